"""`apply`: apply what is pending, file by file."""

import asyncio
import time
from collections import deque
from dataclasses import replace

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.status import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import address
from dbupgrade.toolkit.call import Call, any_concurrent, failed
from dbupgrade.toolkit.exits import exit_code
from dbupgrade.toolkit.history import indexes
from dbupgrade.toolkit.history.atlas import File, State
from dbupgrade.toolkit.history.compare import compare, record


def run(call: Call) -> int:
    """Apply what is pending. Raises AtlasError and ConversionRefusedError."""
    state = compare(call)
    began = time.monotonic()
    total = len(state.pending)
    call.output.event(
        "started",
        f"{total} files to apply, the database is at {state.current or 'no version'}",
        pending=total,
        current=state.current or None,
    )
    done, version, failure = _apply_all(call, state)
    record(call, state)
    if failure:
        return _apply_failed(call, failure)
    call.output.event(
        "finished",
        f"done: {done} files applied, the database is at {version or 'no version'}",
        applied=done,
        version=version or None,
        seconds=round(time.monotonic() - began, 3),
    )
    return ExitCode.OK


def _apply_all(call: Call, state: State) -> tuple[int, str, Report | None]:
    """How many files were applied, the version that the database is at, and the report of a file that failed."""
    total, done, version, queue = len(state.pending), 0, state.current, deque(state.pending)
    call.measured.applied = 0
    while queue:
        began = time.monotonic()
        report = _apply_file(call, queue[0])
        if report.failure is Failure.NOT_CLEAN and call.settings.baseline:
            report, version = _apply_baseline(call), call.settings.baseline
            queue = deque(file for file in queue if file.version > version)
        if report.failure:
            return done, version, report
        if report.applied is None:
            return (
                done,
                version,
                Report(failure=Failure.UNKNOWN, error="the engine left no report that can be read"),
            )
        if not report.applied:
            break  # somebody else was faster
        version = report.to_version or version
        done += 1
        while queue and queue[0].version <= version:
            queue.popleft()
        call.measured.applied, call.measured.pending = done, len(queue)
        call.output.event(
            "applied",
            f"{version} applied ({done} of {total})",
            version=version,
            number=done,
            of=total,
            seconds=round(time.monotonic() - began, 3),
        )
    return done, version, None


def _apply_file(call: Call, file: File) -> Report:
    """Apply the next file, which is `file`; what a failed concurrent build has left goes before."""
    lock_seconds = call.settings.lock_seconds
    text = (call.source / file.name).read_bytes().decode()
    if not address.is_postgresql(call.atlas.url) or not any_concurrent([(file.name, text)]):
        return call.atlas.apply_next(call.source, lock_seconds=lock_seconds)
    from dbupgrade.toolkit.sql import concurrently  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    found = concurrently.builds(text)
    repeatable = file.version if concurrently.may_be_repeated(text) else ""
    if not found:
        return call.atlas.apply_next(call.source, lock_seconds=lock_seconds, repeatable=repeatable)
    # A concurrent build waits for old transactions, and keeps nobody waiting: to give up would leave it invalid.
    patient = replace(call.atlas, url=call.settings.url)
    asyncio.run(indexes.clear(patient.url, found, lock_seconds, call.output))
    report = patient.apply_next(call.source, lock_seconds=lock_seconds, repeatable=repeatable)
    if not report.failure:
        asyncio.run(indexes.check(patient.url, found))
    return report


def _apply_baseline(call: Call) -> Report:
    """Take a database with tables to be at the baseline, and apply the next file.

    Only now: a baseline given to Atlas at once would leave an empty database without its tables.
    """
    version = call.settings.baseline
    call.output.event("baseline", f"the database has tables: it is taken to be at {version}", version=version)
    # What is there has no parts.
    call.use({name: parts for name, parts in call.changed.items() if parts[0].version > version})
    return call.atlas.apply_next(call.source, lock_seconds=call.settings.lock_seconds, baseline=version)


def _apply_failed(call: Call, report: Report) -> int:
    failure = report.failure or Failure.UNKNOWN
    code = exit_code(failure, report)
    where = (
        f" in {report.failed_file}: {report.error}\n  {report.failed_statement}\n"
        if report.failed_file
        else ""
    )
    return failed(
        call.output,
        code,
        f"{KINDS[failure].what}{where}",
        failure=failure.value,
        file=report.failed_file,
        statement=report.failed_statement,
        error=report.error,
    )
