"""Applies one file in a session of its own."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from dbupgrade.pod.redact import mask_error, printable, remove_secrets, shortened
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines.psql import history, steps
from dbupgrade.toolkit.engines.psql.files import Migration
from dbupgrade.toolkit.engines.psql.history import History
from dbupgrade.toolkit.engines.psql.reports import Reporter
from dbupgrade.toolkit.engines.psql.session import CONNECTION_LOST, Session, new_mark, started
from dbupgrade.toolkit.history.lock import BROKEN, Held
from dbupgrade.toolkit.progress.place import Tracker

_SHOWN_LINES = 100
_SHOWN_BYTES = 512
_CLEAN = "00000"
_FAILED = "Failed"


class _LockLostError(Exception):
    """The connection that held the lock is gone."""


@dataclass(frozen=True)
class Applying:
    """Applies files by one program and with one connection."""

    call: Call
    program: str
    environment: Mapping[str, str]

    async def apply(
        self, held: Held, found: History, migration: Migration, tracker: Tracker
    ) -> Report | None:
        """Apply the file; returns why it failed."""
        # No file knows where it is: so what psql says of that place comes from psql.
        place = self.call.work / new_mark()
        place.mkdir()
        root = place / "migrations"
        root.symlink_to(self.call.folder)
        path = str(root / migration.name)
        reporter = Reporter(migration.name, path, self.call.output.secrets)
        printed = _Printed(self.call, migration.name, f"{root}/")
        bounds = self.call.bounds
        limits = replace(bounds, lock=None) if migration.builds_concurrently else bounds
        target = steps.Target(found.schema, held.holder, limits.settings)
        async with started(
            self.program, self.environment, self.call.folder, f"{root}/", printed.show
        ) as session:
            file = _File(session, held, migration, target, reporter, tracker)
            try:
                return await file.apply(place, found)
            except _LockLostError:
                return reporter.problem("LockLost")
            finally:
                tracker.end()
                await session.stop()
                await file.forget()


@dataclass
class _File:
    """One file in its session."""

    session: Session
    held: Held
    migration: Migration
    target: steps.Target
    reporter: Reporter
    tracker: Tracker
    process: str = ""
    """The session's process in the server."""

    async def apply(self, place: Path, found: History) -> Report | None:
        answer = await self._ask(steps.begin(self.migration, self.target, new_mark()))
        if answer is None:
            return await self._did_not_begin()
        self.process = "".join(answer)
        if not self.process.isdecimal():
            return self.reporter.problem(self.process)
        text = await asyncio.to_thread(Path(self.reporter.path).read_text, errors="replace")
        self.tracker.begin(self.migration.name, int(self.process), text=text)
        if failed := await self._run(place):
            return failed
        return await self._complete(found)

    async def _did_not_begin(self) -> Report:
        error = self.session.step.error
        if await self.session.end() == CONNECTION_LOST:
            return self.reporter.not_connected(error)
        return self.reporter.history(error)

    async def _run(self, place: Path) -> Report | None:
        success, script = new_mark(), place / "run.sql"
        script.write_text(steps.outer(Path(self.reporter.path), success))
        answer = await self._ask(steps.run(script, self.migration, new_mark()))
        error = self.session.step.error
        if answer is None:
            return self.reporter.lost()
        state = answer[0] if answer else ""
        if error or state != _CLEAN or answer[1:] != [success]:
            return self.reporter.statement(error, state)
        return None

    async def _complete(self, found: History) -> Report | None:
        answer = await self._ask(steps.end(self.migration, self.target, new_mark(), self.process))
        error = self.session.step.error
        code = await self.session.end()
        if answer == ["Done"]:
            return None
        if answer and answer[0] != _FAILED:
            return self.reporter.problem(answer[0])
        if answer or code != CONNECTION_LOST:
            state = answer[1] if answer else ""
            return self.reporter.statement(error, state, self._text())
        with contextlib.suppress(*BROKEN, asyncpg.PostgresError):
            if await history.is_whole(self.held, found, self.migration.name):
                return None
        return self.reporter.lost()

    def _text(self) -> str:
        return Path(self.reporter.path).read_text(encoding="utf-8", errors="replace")

    async def _ask(self, step: steps.Step) -> list[str] | None:
        return await self._unless_lost(self.session.ask(step.mark, step.commands))

    async def _unless_lost(self, work: Coroutine[None, None, list[str] | None]) -> list[str] | None:
        """The answer. Raises _LockLostError when the lock is lost before."""
        asking, losing = asyncio.ensure_future(work), asyncio.ensure_future(self.held.lost.wait())
        try:
            await asyncio.wait([asking, losing], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise _LockLostError
            return asking.result()
        finally:
            asking.cancel()
            losing.cancel()

    async def forget(self) -> None:
        """End the session in the server, if psql had to be killed."""
        if self.session.killed and self.process.isdecimal():
            with contextlib.suppress(*BROKEN, asyncpg.PostgresError):
                await self.held.fetch("SELECT pg_catalog.pg_terminate_backend($1)", int(self.process))


@dataclass
class _Printed:
    """What psql and a file print: data, which is shown masked and within bounds."""

    call: Call
    name: str
    root: str
    """What the paths of the migrations begin with."""
    lines: int = 0

    def show(self, line: str) -> None:
        """Show the next line."""
        text = remove_secrets(line.replace(f"psql:{self.root}", ""), self.call.output.secrets)
        text = shortened(mask_error(printable(text).strip(), ""), _SHOWN_BYTES)
        if not text or self.lines > _SHOWN_LINES:
            return
        self.lines += 1
        if self.lines > _SHOWN_LINES:
            text = "more lines, which are not shown"
        self.call.output.event("printed", f"{self.name} printed: {text}", file=self.name, output=text)
