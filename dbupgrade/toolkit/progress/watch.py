"""Looks now and then at what the session of the engine does, through the connection that holds the lock of the run."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from dbupgrade.toolkit.output import Output, counted
from dbupgrade.toolkit.progress import waits
from dbupgrade.toolkit.progress.place import Place, Tracker

LOOK_SECONDS = 2.0
"""Between two looks; a statement that takes less is not looked at."""
REPEAT_SECONDS = 15.0
"""Between two lines that say the same of one statement."""
_BLOCKERS = 5

Fetch = Callable[..., Awaitable[Sequence[Mapping[str, Any]]]]


class Watch:
    """The lines on one run."""

    def __init__(self, output: Output, files: Sequence[str]) -> None:
        self._output = output
        self.tracker = Tracker(files, time.monotonic, self._began)
        self._told: tuple[tuple[int, int], list[int]] | None = None
        """Of the last line: the statement and its line, and the processes that block it."""
        self._knows_copy: bool | None = None
        self._told_at = 0.0
        self._blind = False

    @contextlib.asynccontextmanager
    async def looking(self, fetch: Fetch) -> AsyncIterator[None]:
        """Look as long as the block runs."""
        task = asyncio.create_task(self.look_forever(fetch))
        try:
            yield
        finally:
            task.cancel()

    async def look_forever(self, fetch: Fetch) -> None:
        """Look until cancelled. A look that fails does not disturb the run; the first one is reported."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            place = self.tracker.place
            if place is None or not place.backend or time.monotonic() - place.since < LOOK_SECONDS:
                continue
            try:
                at = await self._at(fetch, place)
                found = waits.wait(await fetch(waits.BLOCKERS, place.backend))
                rows = [] if found else await self._progress(fetch, place.backend)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                self._cannot_look(error)
                continue
            if place == self.tracker.place:  # else it says nothing of what goes on now
                self._tell(at, found, rows[0] if rows else None)

    async def _at(self, fetch: Fetch, place: Place) -> Place:
        """At the statement that the server executes, where the engine does not say which it is."""
        if not place.text:
            return place
        rows = await fetch(waits.STATEMENT, place.backend)
        return place.at(rows[0]["query"], time.monotonic() - rows[0]["seconds"]) if rows else place

    async def _progress(self, fetch: Fetch, backend: int) -> Sequence[Mapping[str, Any]]:
        if self._knows_copy is None:
            self._knows_copy = bool(await fetch(waits.KNOWS_COPY))
        found = await fetch(waits.PROGRESS, backend)
        return found or (await fetch(waits.COPY, backend) if self._knows_copy else ())

    def _cannot_look(self, error: Exception) -> None:
        if not self._blind:
            self._blind = True
            text = f"the locks that the run waits for cannot be read ({type(error).__name__})"
            self._output.event("not_watched", text, level="warning")

    def _began(self, place: Place) -> None:
        what = counted(place.statements, "statement") if place.statements else "all statements"
        text = f"{place.words}: applying {what}"
        self._output.event("applying", text, file=place.file, number=place.number, of=place.of)

    def _tell(self, place: Place, found: waits.Wait | None, row: Mapping[str, Any] | None) -> None:
        """Write a line when something has changed, and now and then when nothing has."""
        now = time.monotonic()
        seconds = now - place.since
        statement = (place.statement, place.line)
        what = (statement, [blocker.pid for blocker in found.blockers] if found else [])
        if what == self._told and now - self._told_at < REPEAT_SECONDS:
            return
        freed = self._told is not None and self._told[0] == statement and self._told[1]
        if found is None and seconds < REPEAT_SECONDS and not freed:
            return  # a statement that runs is worth a line only when it takes long
        self._told, self._told_at = what, now
        values: dict[str, Any] = {
            **{
                name: getattr(place, name) or None
                for name in ("file", "number", "of", "statement", "statements", "line")
            },
            "seconds": round(seconds),
        }
        if found is None:
            self._output.event("running", waits.running_words(place, seconds, row), **values)
            return
        values |= {"relation": found.relation, "mode": found.mode}
        values["blockers"] = [dataclasses.asdict(blocker) for blocker in found.blockers[:_BLOCKERS]]
        self._output.event("blocked", waits.waiting_words(place, found, seconds), **values)
