"""The engine Psql: PostgreSQL's own psql, one session for each file, with a history table of ours. Guarantees: docs/engines.md."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines.psql import connection, files, history, reports
from dbupgrade.toolkit.engines.psql.apply_file import Applying
from dbupgrade.toolkit.engines.psql.files import Migration, UnusableFileError
from dbupgrade.toolkit.engines.psql.history import History
from dbupgrade.toolkit.engines.psql.inspection import (
    breakable,
    check,
    only_postgresql,
    span,
    standing,
    validate,
)
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder.problem import Problem
from dbupgrade.toolkit.history import lock
from dbupgrade.toolkit.history.compare import connect
from dbupgrade.toolkit.inspection import look
from dbupgrade.toolkit.lint import gate
from dbupgrade.toolkit.output import at, counted
from dbupgrade.toolkit.plan import approval
from dbupgrade.toolkit.preflight import gate as preflight
from dbupgrade.toolkit.preflight.facts import History as Recorded
from dbupgrade.toolkit.preflight.facts import Run
from dbupgrade.toolkit.preflight.finding import Finding
from dbupgrade.toolkit.progress.postgresql import PostgreSQL
from dbupgrade.toolkit.progress.watch import Watch
from dbupgrade.toolkit.tries import Tries

__all__ = ["apply", "standing", "validate"]

_RUN = Run(connections=2)  # that of its lock, and that of psql
ApplyFile = Callable[[Migration], Awaitable[Report | None]]
"""Applies a file once; returns why it failed."""


def apply(call: Call) -> Report:
    """Apply what is pending. Raises AtlasError, FolderError and BadEnvironmentError."""
    only_postgresql(call)
    program = shutil.which(call.settings.psql)
    if program is None:
        raise BadEnvironmentError(
            f"{call.settings.psql} was not found: put psql on PATH, or set PSQL_BIN to its path"
        )
    try:
        migrations = files.read(call.folder)
    except UnusableFileError as error:
        return error.report
    _, problems = look(call, Engine.PSQL)
    variables = connection.environment(call.settings.database)
    connect(call)
    return asyncio.run(_apply(call, migrations, problems, Applying(call, program, variables)))


async def _apply(
    call: Call, migrations: Sequence[Migration], problems: Sequence[Problem], applying: Applying
) -> Report:
    """Apply the files while holding the lock, which is acquired before the history is read."""
    async with lock.held(call.settings.database, lock.patience(call), lambda: lock.tell(call)) as held:
        lock.limit(call, held)
        try:
            found = await history.look(held.fetch)
            if refused := history.compare(found, migrations, call.settings.baseline):
                return replace(refused, from_version=found.version, to_version=found.version)
            adopted = history.adopted(migrations, call.settings.baseline) if found.used else []
            known = {row.name for row in found.rows} | {file.name for file in adopted}
            check(call, problems, known)
            names = [migration.name for migration in migrations if migration.name not in known]
            seen = await _look_ahead(call, held, found, names)
            if seen.failure:
                return seen
            if not found.rows:
                found = await _begin(call, held, found, adopted)
        except lock.BROKEN:
            return Report(failure=Failure.DATABASE_UNREACHABLE)
        except asyncpg.PostgresError as error:
            return reports.of_history(str(error))
        report = await _apply_all(call, held, found, migrations, applying)
        return replace(report, preflight=seen.preflight, lint=seen.lint, plan=seen.plan)


async def _look_ahead(call: Call, held: lock.Held, found: History, names: Sequence[str]) -> Report:
    """What preflight, lint and plan find before the files with these names are applied, with a failure if it holds the run back."""
    findings = await _preflight(call, held, found, names)
    report = preflight.refused(findings, len(names))
    if not report:
        # In a thread, since it asks the database with an event loop of its own.
        report = await asyncio.to_thread(_lint_and_plan, call, found, names)
    return replace(report, from_version=found.version, to_version=found.version, preflight=findings)


def _lint_and_plan(call: Call, found: History, names: Sequence[str]) -> Report:
    """What lint and plan say of these files, with a failure if it holds the run back."""
    known = gate.survey_of(call, set(names), breakable(call, found, set(names)))
    refused, lint = gate.look(call, known)
    plan = None
    if not refused:
        refused, plan = approval.look(call, span(found, names), known)
    return replace(replace(refused, pending=len(names)) if refused else Report(), lint=lint, plan=plan)


async def _preflight(
    call: Call, held: lock.Held, found: History, names: Sequence[str]
) -> tuple[Finding, ...]:
    """What is found before the files with these names are applied."""
    findings = (
        await preflight.look(
            call,
            held.fetch,
            names,
            Recorded(found.schema, history.TABLE),
            replace(_RUN, is_pooled=call.is_pooled),
        )
        if names
        else ()
    )
    preflight.tell(call, findings)
    return findings


async def _begin(call: Call, held: lock.Held, found: History, adopted: Sequence[Migration]) -> History:
    """Make the history table, and adopt a database that has tables."""
    version = call.settings.baseline
    if adopted:
        call.output.event(
            "baseline",
            f"the database has tables but no history: it is treated as being at version {version}",
            version=version,
        )
    return await history.begin(held, found, adopted)


async def _apply_all(
    call: Call, held: lock.Held, found: History, migrations: Sequence[Migration], applying: Applying
) -> Report:
    known = {row.name for row in found.rows}
    pending = [migration for migration in migrations if migration.name not in known]
    total, current = len(pending), found.version
    report = Report(from_version=current, to_version=current, applied=0, pending=total)
    call.output.event(
        "started",
        f"{counted(total, 'file')} to apply, {at(current)}",
        pending=total,
        current=current,
    )
    watch = Watch(call.output, [migration.name for migration in pending])
    async with watch.looking(PostgreSQL(held.fetch)):
        return await _each(
            call, report, pending, lambda file: applying.apply(held, found, file, watch.tracker)
        )


async def _each(
    call: Call,
    report: Report,
    pending: Sequence[Migration],
    apply_file: ApplyFile,
) -> Report:
    """Apply the files one after the other; `report` is that of a run that has not applied any."""
    total, current = len(pending), report.from_version
    for number, migration in enumerate(pending, 1):
        call.measured.applied, call.measured.pending = number - 1, total - number + 1
        began = time.monotonic()
        if failed := await _apply_one(call, migration, apply_file):
            return replace(
                failed,
                from_version=current,
                to_version=report.to_version,
                applied=number - 1,
                pending=report.pending,
            )
        report = replace(report, to_version=migration.version, applied=number, pending=total - number)
        call.output.event(
            "applied",
            f"{migration.version} applied ({number} of {total})",
            version=migration.version,
            number=number,
            of=total,
            seconds=round(time.monotonic() - began, 3),
        )
    call.measured.applied, call.measured.pending = total, 0
    return report


async def _apply_one(call: Call, migration: Migration, apply_file: ApplyFile) -> Report | None:
    """Apply a file, also after a lock has ended it; returns why it failed."""
    tries = Tries(call)
    while True:
        tries.begin()
        failed = await apply_file(migration)
        if failed is None:
            return None
        ended = tries.pause(failed, repeatable=migration.repeatable)
        if isinstance(ended, Report):
            return ended
        await asyncio.sleep(ended)
