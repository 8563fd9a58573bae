"""The engine Atlas: applies what is pending, file by file, by Atlas's command line."""

import asyncio
import time
from collections import deque
from dataclasses import replace

from dbupgrade.api.status import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import address
from dbupgrade.toolkit.call import Call, any_concurrent
from dbupgrade.toolkit.history import indexes
from dbupgrade.toolkit.history.atlas import File, State
from dbupgrade.toolkit.history.compare import compare, record
from dbupgrade.toolkit.lint import gate


def apply(call: Call) -> Report:
    """Apply what is pending. Raises AtlasError and ConversionRefusedError."""
    state = compare(call)
    total = len(state.pending)
    refused, lint = gate.look(call, state)
    if refused:
        return replace(refused, pending=total, lint=lint)
    call.output.event(
        "started",
        f"{total} files to apply, the database is at {state.current or 'no version'}",
        pending=total,
        current=state.current or None,
    )
    report = _apply_all(call, state)
    record(call, state)
    return replace(report, from_version=state.current or None, lint=lint)


def _apply_all(call: Call, state: State) -> Report:
    """What was applied, up to the end or to a file that failed."""
    total, done, version, queue = len(state.pending), 0, state.current, deque(state.pending)
    call.measured.applied = 0
    while queue:
        began = time.monotonic()
        report = _apply_file(call, queue[0])
        if report.failure is Failure.NOT_CLEAN and call.settings.baseline:
            report, version = _apply_baseline(call), call.settings.baseline
            queue = deque(file for file in queue if file.version > version)
        if report.failure is None and report.applied is None:
            report = Report(failure=Failure.UNKNOWN, error="the engine left no report that can be read")
        if report.failure:
            return replace(report, to_version=version or None, applied=done, pending=len(queue))
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
    return Report(to_version=version or None, applied=done, pending=len(queue))


def _apply_file(call: Call, file: File) -> Report:
    """Apply the next file, which is `file`; what a failed concurrent build has left goes before."""
    lock_seconds = call.settings.engine_lock_seconds
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
    return call.atlas.apply_next(
        call.source, lock_seconds=call.settings.engine_lock_seconds, baseline=version
    )
