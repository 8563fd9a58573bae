"""A clock that tests step, and the API server's behaviour on single objects, in memory."""

from __future__ import annotations

import asyncio
import heapq
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from dbupgrade.kube.errors import KubeError, status_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbupgrade.kube.client import Client

START = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


class FakeClock:
    """Time that passes only in `advance`."""

    def __init__(self) -> None:
        self._time = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._time)

    def monotonic(self) -> float:
        return self._time

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._time + seconds, next(self._order), future))
        await future

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.Task[None]:
        async def call() -> None:
            await self.sleep(seconds)
            callback()

        return asyncio.get_running_loop().create_task(call())

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking every sleeper at its moment."""
        end = self._time + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._time, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self._time = end
        await settle()


async def settle() -> None:
    """Let all tasks run until they wait for something."""
    for _ in range(50):
        await asyncio.sleep(0)


class FakeApi:
    """Stands in for a Client: GET, POST, PUT and merge PATCH on objects by path, with resource versions."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Called with the method before a request takes effect; may hang or raise."""
        self.after: Callable[[str], Awaitable[None]] | None = None
        """Called with the method when the request has taken effect but is not yet answered."""
        self._versions = count(1)

    def as_client(self) -> Client:
        return cast("Client", self)

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        self.calls.append((method, path, body))
        if self.before is not None:
            await self.before(method)
        answer = deepcopy(self._apply(method, path, deepcopy(body)))
        if self.after is not None:
            await self.after(method)
        return answer

    def _apply(self, method: str, path: str, body: Any) -> dict[str, Any]:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise failure(method, path, 409, "AlreadyExists")
            return self._store(path, body)
        if path not in self.objects:
            raise failure(method, path, 404, "NotFound")
        stored = self.objects[path]
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
                raise failure(method, path, 409, "Conflict")
            return self._store(path, body)
        if method == "PATCH":
            return self._store(path, stored | body)
        return stored

    def _store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[path] = body
        return body


def failure(method: str, path: str, status: int, reason: str) -> KubeError:
    return status_error(method, path, status, {"reason": reason})
