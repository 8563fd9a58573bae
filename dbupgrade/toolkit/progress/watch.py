"""Looks now and then at what the session of the engine does, through the connection that holds the lock of the run."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from dbupgrade.toolkit.output import Output, counted
from dbupgrade.toolkit.progress import waits
from dbupgrade.toolkit.progress.look import CannotLookError, Looker
from dbupgrade.toolkit.progress.place import Place, Tracker

LOOK_SECONDS = 2.0
"""Between two observations; a shorter statement is not observed."""
REPEAT_SECONDS = 15.0
"""Between two lines that say the same of one statement."""
_BLOCKERS = 5


class Watch:
    """The lines on one run."""

    def __init__(self, output: Output, files: Sequence[str]) -> None:
        self._output = output
        self.tracker = Tracker(files, time.monotonic, self._began)
        self._told: tuple[tuple[int, int], list[int]] | None = None
        """Of the last line: the statement and its line, and the processes that block it."""
        self._told_at = 0.0
        self._blind = False

    @contextlib.asynccontextmanager
    async def looking(self, look: Looker) -> AsyncIterator[None]:
        """Look as long as the block runs."""
        task = asyncio.create_task(self.look_forever(look))
        try:
            yield
        finally:
            task.cancel()

    async def look_forever(self, look: Looker) -> None:
        """Look until cancelled. A look that fails does not disturb the run; the first one is reported."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            place = self.tracker.place
            if place is None or not place.backend or time.monotonic() - place.since < LOOK_SECONDS:
                continue
            try:
                seen = await look(place)
            except CannotLookError as error:
                self._cannot_look(error)
                continue
            if place == self.tracker.place:  # else it says nothing of what goes on now
                self._tell(seen.place, seen.wait, seen.progress)

    def _cannot_look(self, error: CannotLookError) -> None:
        if not self._blind:
            self._blind = True
            text = f"the locks that the run waits for cannot be read ({error})"
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
