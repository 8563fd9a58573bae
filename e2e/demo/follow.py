"""Follows an upgrade from a change of the resource to its end, and prints what happens meanwhile."""

from __future__ import annotations

import asyncio
import time
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


async def follow(kubectl: Kubectl, name: str, change: Callable[[], Awaitable[int]]) -> Json:
    """Carry out `change`, which gives the generation it led to, and follow the resource until that one is Ready.

    Whatever ends the upgrade in another way is a DemoError, with the log of the pods printed before.
    """
    seen: asyncio.Queue[Json] = asyncio.Queue()
    try:
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
            watches = [group.create_task(_watch(kubectl, kind, seen)) for kind in WATCHED]
            started = time.monotonic()
            resource, result = await _until_end(name, await change(), seen, started)
            for watch in watches:
                watch.cancel()
    except TimeoutError:
        await _print_logs(kubectl)
        raise DemoError(
            f"not Ready after {LIMIT_SECONDS} s. {_last_words(await kubectl.get('dbu', name))}"
        ) from None
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    if result is Outcome.FAILED:
        await _print_logs(kubectl)
        raise DemoError(f"the upgrade failed. {_last_words(resource)}")
    return resource


async def _watch(kubectl: Kubectl, kind: str, seen: asyncio.Queue[Json]) -> None:
    async for item in kubectl.watch(kind):
        seen.put_nowait(item)


async def _until_end(
    name: str, generation: int, seen: asyncio.Queue[Json], started: float
) -> tuple[Json, Outcome]:
    """Print every change of what is watched, until the resource has come to its end."""
    last: dict[str, str] = {}
    while True:
        item = await seen.get()
        text, uid = describe(item), item["metadata"]["uid"]
        if last.get(uid) != text:
            last[uid] = text
            say.event(time.monotonic() - started, text)
        if item["kind"] == "DBUpgrade" and item["metadata"]["name"] == name:
            result = outcome(item, generation)
            if result is not None:
                return item, result


def _last_words(resource: Json) -> str:
    found = conditions(resource)
    if not found:
        return "The operator has not looked at the resource: is it running? `make up` starts it."
    telling = found.get("Progressing") or found["Ready"]
    return f"{telling['reason']}: {telling.get('message', '')}"


async def _print_logs(kubectl: Kubectl) -> None:
    """Print the end of the log of every pod there is."""
    for pod in await kubectl.list("pods"):
        name = pod["metadata"]["name"]
        say.headline(f"Log of pod {name}, the last {LOG_LINES} lines of each container")
        try:
            tail = f"--tail={LOG_LINES}"
            print(await kubectl.run("logs", name, "--all-containers", "--prefix", "--ignore-errors", tail))
        except DemoError as error:
            print(f"no log: {error}")
