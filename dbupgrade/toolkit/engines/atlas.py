"""The engine Atlas: applies what is pending, file by file, by Atlas's command line."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import address, folder, outcome
from dbupgrade.toolkit.bounds import was_ended_by_lock
from dbupgrade.toolkit.call import Call, any_concurrent
from dbupgrade.toolkit.engines.standing import Standing
from dbupgrade.toolkit.history import indexes, lock
from dbupgrade.toolkit.history.atlas import Atlas, AtlasError, File, State
from dbupgrade.toolkit.history.compare import compare, examine, record, refuse_unknown, with_database
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.lint import gate
from dbupgrade.toolkit.output import at, counted
from dbupgrade.toolkit.plan import approval
from dbupgrade.toolkit.plan.span import Span
from dbupgrade.toolkit.preflight import gate as preflight
from dbupgrade.toolkit.progress import mysql
from dbupgrade.toolkit.progress.look import Look
from dbupgrade.toolkit.progress.place import Place
from dbupgrade.toolkit.progress.postgresql import PostgreSQL
from dbupgrade.toolkit.progress.watch import Watch
from dbupgrade.toolkit.tries import Tries


def validate(call: Call) -> str:
    """Check folder and atlas.sum; with a dev database, run the SQL there. Raises FolderError and AtlasError."""
    call.prepare()
    _, problems = look(call)
    if problems:
        raise FilesRefusedError(problems)
    call.atlas.validate(call.folder)
    what = "atlas.sum matches, and the SQL runs" if call.atlas.dev_url else "atlas.sum matches"
    return f"{counted(len(folder.sql_files(call.folder)), 'file')}: {what}"


def standing(call: Call) -> Standing:
    """Folder and database compared. Raises AtlasError and ConversionRefusedError."""
    state = compare(call)
    return Standing(state.current or None, tuple(file.name for file in state.pending))


def apply(call: Call) -> Report:
    """Apply what is pending. Raises AtlasError and ConversionRefusedError."""
    found = examine(call)
    with lock.of_run(call) as keeper:
        _check_limits(call)
        if refused := preflight.refused(findings := preflight.before_history(call, keeper)):
            preflight.tell(call, findings)
            return refused
        return _apply(call, with_database(call, *found), keeper)


def _check_limits(call: Call) -> None:
    """Raises AtlasError for configured limits that the engine cannot set; if it cannot set a default limit, that is reported."""
    if not call.is_pooled or call.atlas.is_ours():
        return
    why = "the official Atlas CLI sets limits only when it connects, and the connection pooler does not accept settings then"
    settings = call.settings
    if settings.lock_seconds is not None or settings.statement_seconds:
        advice = "connect to the database server directly, use the built-in engine, or set lock_timeout for the user (ALTER ROLE)"
        raise AtlasError(
            Failure.CONNECTION_SETTINGS,
            f"lockTimeout and statementTimeout would have no effect: {why}; {advice}",
        )
    if call.bounds.lock is not None:
        call.output.event(
            "no_lock_timeout", f"statements wait for locks without a limit: {why}", level="warning"
        )


def _apply(call: Call, state: State, keeper: lock.Keeper | lock.EngineKeeper) -> Report:
    refuse_unknown(call, state)
    total = len(state.pending)
    found = preflight.of_atlas(call, state, keeper)
    preflight.tell(call, found)
    if refused := preflight.refused(found, total):
        return replace(refused, from_version=state.current or None, to_version=state.current or None)
    known = gate.survey(call, state)
    refused, lint = gate.look(call, known)
    if not refused:
        refused, plan = approval.look(call, Span.of_atlas(state), known)
    if refused:
        return replace(refused, pending=total, from_version=state.current or None, lint=lint, preflight=found)
    call.output.event(
        "started",
        f"{counted(total, 'file')} to apply, {at(state.current)}",
        pending=total,
        current=state.current or None,
    )
    if call.atlas.is_ours():
        _watch(call, state, keeper)
    if state.not_empty and not state.pending:
        report = _only_adopt(call, keeper.ensure)
    else:
        report = _apply_all(call, state, keeper.ensure)
    record(call, state)
    return replace(report, from_version=state.current or None, lint=lint, plan=plan, preflight=found)


def _watch(call: Call, state: State, keeper: lock.Keeper | lock.EngineKeeper) -> None:
    """Observe what the run does, over the connection that holds its lock."""
    watch = Watch(call.output, [file.name for file in state.pending])
    call.atlas = replace(call.atlas, hear=watch.tracker.hear)
    if isinstance(keeper, lock.Keeper):
        keeper.run_beside(lambda fetch: watch.look_forever(PostgreSQL(fetch)))
        return

    async def look(place: Place) -> Look:
        return mysql.read(place, keeper.ask(f"look {place.backend}"))

    keeper.run_beside(watch.look_forever(look))


def _apply_all(call: Call, state: State, ensure_lock: Callable[[], None]) -> Report:
    """What was applied, up to the end or to a file that failed.

    A file whose run has lost its lock is not disturbed: the engine has locks of its own. The next one needs the lock again.
    """
    total, done, version, queue = len(state.pending), 0, state.current, deque(state.pending)
    call.measured.applied = 0
    tries = Tries(call)
    while queue:
        tries.begin()
        report = _next(call, queue, ensure_lock)
        if report.failure is Failure.NOT_CLEAN and call.settings.baseline:
            report, version = _apply_baseline(call), call.settings.baseline
            queue = deque(_left(call, queue, version))
        for _ in range(min(report.applied or 0, len(queue))):
            version = queue.popleft().version
            done += 1
            _tell(call, version, done, total)
            tries.next_file()
        version = report.to_version or version
        call.measured.applied, call.measured.pending = done, len(queue)
        if report.failure:
            ended = tries.pause(report, repeatable=_may_be_repeated(call, queue, report))
            if isinstance(ended, Report):
                return replace(ended, to_version=version or None, applied=done, pending=len(queue))
            time.sleep(ended)
        elif not report.applied:
            break  # somebody else was faster
    return Report(to_version=version or None, applied=done, pending=len(queue))


def _only_adopt(call: Call, ensure_lock: Callable[[], None]) -> Report:
    """Record the baseline of a database that has all files of the folder: the next release needs the history."""
    try:
        ensure_lock()
    except AtlasError as error:
        return outcome.refused(error)
    report = replace(_apply_baseline(call), applied=0, pending=0)
    call.measured.applied = 0
    return report if report.failure else replace(report, to_version=call.settings.baseline)


def _next(call: Call, queue: deque[File], ensure_lock: Callable[[], None]) -> Report:
    """Apply the next files of `queue`, under the lock."""
    try:
        ensure_lock()
    except AtlasError as error:
        return outcome.refused(error)
    report = _apply_files(call, queue[0], _batch(call, queue) if call.atlas.is_ours() else 1)
    if report.failure is None and report.applied is None:
        return Report(failure=Failure.UNKNOWN, error="the report of the engine cannot be read")
    return report


def _may_be_repeated(call: Call, queue: deque[File], report: Report) -> bool:
    """Whether the file that a lock has ended can be applied again. MySQL undoes less."""
    if not (queue and was_ended_by_lock(report) and address.is_postgresql(call.atlas.url)):
        return False
    from dbupgrade.toolkit.sql import repeating  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    return queue[0].name == report.failed_file and repeating.may_be_repeated(_text(call, queue[0]))


def _left(call: Call, queue: deque[File], baseline: str) -> Iterator[File]:
    """The files above the baseline; what is below it has no parts any more, whatever their versions are."""
    return (file for file in queue if file.version > baseline and (call.source / file.name).exists())


def _tell(call: Call, version: str, number: int, total: int) -> None:
    words = f"{version} applied ({number} of {total})"
    call.output.event("applied", words, version=version, number=number, of=total)


def _batch(call: Call, queue: deque[File]) -> int:
    """How many files are passed to the engine at once: all files before the next one that needs special handling, or one such file.

    Our engine gives each file a session of its own, and goes on with the connection that it has when a token has run out
    meanwhile; a process for each file would take ten times as long.
    """
    plain = list(takewhile(lambda file: not _needs_care(call, file), queue))
    return len(plain) or 1


def _needs_care(call: Call, file: File) -> bool:
    if not address.is_postgresql(call.atlas.url):
        return False
    return any_concurrent([(file.name, _text(call, file))])


def _apply_files(call: Call, file: File, batch: int) -> Report:
    """Apply the next files, of which `file` is the first; what a failed concurrent build has left goes before."""
    lock_seconds = lock.patience(call)
    if not _needs_care(call, file):
        return _engine(call).apply_next(call.source, batch, lock_seconds=lock_seconds)
    from dbupgrade.toolkit.sql import concurrently  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    text = _text(call, file)
    found = concurrently.builds(text)
    repeatable = file.version if concurrently.may_be_repeated(text) else ""
    engine = _engine(call, patient=bool(found))
    if not found:
        return engine.apply_next(call.source, lock_seconds=lock_seconds, repeatable=repeatable)
    asyncio.run(indexes.clear(call.settings.url, found, lock_seconds, call.output))
    report = engine.apply_next(call.source, lock_seconds=lock_seconds, repeatable=repeatable)
    if not report.failure:
        asyncio.run(indexes.check(call.settings.url, found))
    return report


def _engine(call: Call, *, patient: bool = False) -> Atlas:
    """The engine, which limits the statements of files.

    A concurrent build waits for old transactions, but blocks no session; giving up would leave the index invalid. Our engine
    knows such a statement; others have the limits in the URL, for all statements of a file.
    """
    if call.atlas.is_ours():
        return replace(call.atlas, bounds=call.bounds)
    if not address.is_postgresql(call.atlas.url):
        return replace(call.atlas, url=address.with_longest_waits(call.atlas.url, call.bounds.lock))
    if call.is_pooled:
        return call.atlas  # it accepts no settings with the connection
    bounds = replace(call.bounds, lock=None) if patient else call.bounds
    return replace(call.atlas, url=address.with_settings(call.atlas.url, bounds.settings))


def _text(call: Call, file: File) -> str:
    return (call.source / file.name).read_bytes().decode()


def _apply_baseline(call: Call) -> Report:
    """Take a database with tables to be at the baseline, and apply the next file.

    Only now: a baseline given to Atlas at once would leave an empty database without its tables.
    """
    version = call.settings.baseline
    call.output.event(
        "baseline",
        f"the database has tables but no history: it is treated as being at version {version}",
        version=version,
    )
    # What is there has no parts.
    call.use({name: parts for name, parts in call.changed.items() if parts[0].version > version})
    return _engine(call).apply_next(call.source, lock_seconds=lock.patience(call), baseline=version)
