"""Follows an upgrade from a change of the resource to its end, and prints what happens meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from e2e.demo import say
from e2e.demo.errors import DemoError
from e2e.demo.transitions import Outcome, conditions, describe, outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from e2e.demo.kubectl import Json, Kubectl

LIMIT_SECONDS = 240
WATCHED = ("dbupgrades", "jobs", "pods")
LOG_LINES = 30


@dataclass
class Follower:
    """Follows the upgrades of one resource, one after the other; what was printed once is not printed again."""

    kubectl: Kubectl
    name: str
    printed: dict[str, str] = field(default_factory=dict)

    async def follow(self, change: Callable[[], Awaitable[int]]) -> Json:
        """Carry out `change`, which gives the generation it led to, and follow the resource until that one is Ready.

        Whatever ends the upgrade in another way is a DemoError, with the log of the pods printed before.
        """
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                resource, result = await self._watch_all(change)
        except TimeoutError:
            await self._print_logs()
            resource = await self.kubectl.get("dbupgrade", self.name)
            raise DemoError(f"not Ready after {LIMIT_SECONDS} s. {_last_words(resource)}") from None
        if result is Outcome.FAILED:
            await self._print_logs()
            raise DemoError(f"the upgrade failed. {_last_words(resource)}")
        return resource

    async def _watch_all(self, change: Callable[[], Awaitable[int]]) -> tuple[Json, Outcome]:
        seen: asyncio.Queue[Json] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as group:
                watches = [group.create_task(self._watch(kind, seen)) for kind in WATCHED]
                started = time.monotonic()
                end = await self._until_end(await change(), seen, started)
                for watch in watches:
                    watch.cancel()
        except* DemoError as errors:
            raise errors.exceptions[0] from None
        return end

    async def _watch(self, kind: str, seen: asyncio.Queue[Json]) -> None:
        async for item in self.kubectl.watch(kind):
            seen.put_nowait(item)

    async def _until_end(
        self, generation: int, seen: asyncio.Queue[Json], started: float
    ) -> tuple[Json, Outcome]:
        """Print every change of what is watched, until the resource has come to its end."""
        while True:
            item = await seen.get()
            self._print(item, time.monotonic() - started)
            if item["kind"] == "DBUpgrade" and item["metadata"]["name"] == self.name:
                result = outcome(item, generation)
                if result is not None:
                    return item, result

    def _print(self, item: Json, seconds: float) -> None:
        text, uid = describe(item), item["metadata"]["uid"]
        if self.printed.get(uid) != text:
            self.printed[uid] = text
            say.event(seconds, text)

    async def _print_logs(self) -> None:
        """Print the end of the log of every pod there is."""
        for pod in await self.kubectl.list("pods"):
            name = pod["metadata"]["name"]
            say.headline(f"Log of pod {name}, the last {LOG_LINES} lines of each container")
            try:
                tail = f"--tail={LOG_LINES}"
                print(
                    await self.kubectl.run(
                        "logs", name, "--all-containers", "--prefix", "--ignore-errors", tail
                    )
                )
            except DemoError as error:
                print(f"no log: {error}")


def _last_words(resource: Json) -> str:
    found = conditions(resource)
    if not found:
        return "The operator has not looked at the resource: is it running? `make up` starts it."
    telling = found.get("Progressing") or found["Ready"]
    return f"{telling['reason']}: {telling.get('message', '')}"
