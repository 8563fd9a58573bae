"""A clock that tests step, and a source of lists and watches that follows a script."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dbupgrade.objects import Object


@dataclass
class FakeTimer:
    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Time passes by `advance` only; who sleeps on it makes it pass."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self._timers: list[FakeTimer] = []

    @property
    def timers(self) -> list[FakeTimer]:
        return [timer for timer in self._timers if not timer.cancelled]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.time + seconds, callback)
        self._timers = [*self.timers, timer]
        return timer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        end = self.time + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self._timers.remove(timer)
            self.time = max(self.time, timer.when)
            timer.callback()
        self.time = end


@dataclass(frozen=True)
class FakePage:
    items: list[Object]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True)
class Silence:
    """Seconds for which a watch brings nothing."""

    seconds: float


Step = tuple[str, Object] | Silence | Exception
"""What happens next in a watch; an exception is raised."""


@dataclass
class FakeSource:
    """Answers lists and watches in the order of the script; the watch after the last one stays silent for ever."""

    clock: FakeClock
    pages: deque[FakePage | Exception]
    watches: deque[Sequence[Step]] = field(default_factory=deque)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """("list", continue token) or ("watch", resource version), in order."""
    limits: list[int] = field(default_factory=list)
    timeouts: list[int] = field(default_factory=list)
    open_watches: int = 0
    script_is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def list_page(self, limit: int, continue_token: str) -> FakePage:
        self.asked.append(("list", continue_token))
        self.limits.append(limit)
        await asyncio.sleep(0)
        answer = self.pages.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(
        self, resource_version: str, timeout_seconds: int
    ) -> AsyncGenerator[tuple[str, Object], None]:
        self.asked.append(("watch", resource_version))
        self.timeouts.append(timeout_seconds)
        self.open_watches += 1
        try:
            if not self.watches:
                self.script_is_over.set()
                await asyncio.Event().wait()
            for step in self.watches.popleft():
                await asyncio.sleep(0)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Silence):
                    self.clock.advance(step.seconds)
                else:
                    yield step
        finally:
            self.open_watches -= 1


def an_object(
    name: str, version: str, uid: str = "", namespace: str = "shop", labels: Iterable[str] = ()
) -> Object:
    """Return an object as the API server sends it; the uid is the name's own unless given."""
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid or f"uid-of-{name}",
            "resourceVersion": version,
            "labels": dict.fromkeys(labels, "yes"),
            "managedFields": [{"manager": "kubectl"}],
        }
    }
