"""The folder compared with the database."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import ExecOrder
from dbupgrade.toolkit import address, folder, trouble
from dbupgrade.toolkit.call import Call, any_concurrent
from dbupgrade.toolkit.folder.problem import Files, Problem, version
from dbupgrade.toolkit.history import changes, database, ledger
from dbupgrade.toolkit.history.atlas import AtlasError, File, State
from dbupgrade.toolkit.history.ledger import Ledger
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.sql import directives

_NAMED = 10


def compare(call: Call) -> State:
    """Folder and database compared, both examined first. Raises AtlasError and ConversionRefusedError."""
    return with_database(call, *examine(call))


def examine(call: Call) -> tuple[Files, list[Problem]]:
    """The folder, and its faults that only the database can excuse; the database accepts connections. Raises AtlasError."""
    call.prepare()
    files, problems = look(call)
    told = [problem for problem in problems if problem.file not in files.names]
    if told or (problems and not address.is_postgresql(call.settings.database)):
        raise FilesRefusedError(told or problems)
    if not problems:
        call.atlas.validate_offline(call.folder)
    connect(call)
    return files, problems


def with_database(call: Call, files: Files, problems: list[Problem]) -> State:
    """What `examine` found, compared with the database. Raises AtlasError and ConversionRefusedError."""
    known = _ledger(call)
    if problems:
        files = _excuse(call, files, problems, known)
    state = _in_order(call, files, _safe_state(call, files))
    _unchanged(call, files, state, known)
    call.measured.pending = len(state.pending)
    if state.missing:
        call.warn(
            "ahead",
            "history",
            f"the database has {len(state.missing)} versions that are not in the folder; the last one is {state.missing[-1]}",
            versions=state.missing[-_NAMED:],
        )
    return state


def refuse_unknown(call: Call, state: State) -> None:
    """Raise AtlasError for a database that has tables but no history, and no baseline that says what is in it."""
    if not state.not_empty:
        return
    baseline = call.settings.baseline
    if not baseline:
        raise AtlasError(Failure.NOT_CLEAN, state.not_empty)
    if baseline not in {version(path.name) for path in folder.sql_files(call.folder)}:
        raise AtlasError(Failure.BASELINE_NOT_FOUND, baseline)


def _uncovered(call: Call, state: State) -> State:
    """`state` without the files that a database with tables but no history has already, which the baseline says."""
    baseline = call.settings.baseline
    if not state.not_empty or not baseline:
        return state
    whole = {part.name: parts[0].version for parts in call.changed.values() for part in parts}
    return replace(
        state, pending=[file for file in state.pending if whole.get(file.name, file.version) > baseline]
    )


def state(call: Call) -> State:
    """What Atlas says of folder and database, without what a baseline covers. Raises AtlasError."""
    try:
        return _uncovered(call, call.atlas.status(call.source))
    except AtlasError as error:
        # Tables, and a history without a row: what `apply` and `baseline` make of it is their matter.
        if error.failure is not Failure.NOT_CLEAN or call.given.command == "status":
            raise
        return State.without_history(folder.sql_files(call.source))


def record(call: Call, before: State) -> None:
    """Record the SHA-256 of the files that are applied; `before` is what `compare` found.

    Where that is missing or not possible, Atlas's hashes are compared instead.
    """
    if not address.is_postgresql(call.settings.database):
        return
    everything = folder.contents(call.folder)[0]
    twice = {name for name, parts in call.changed.items() if not parts}
    files = everything.without(twice)
    try:
        known = asyncio.run(ledger.read(call.settings.database, _schema(call)))
        done = [
            (version(name), name, changes.sha256(data))
            for name, data in files.files
            if known.applied.issuperset(_versions(call, name))
        ]
        pending = {file.version for file in before.pending}
        new = [row for row in done if row[0] in pending]
        done += [(name, name, changes.sha256(data)) for name, data in everything.files if name in twice]
        old = [row for row in done if row[0] not in pending and row[0] not in known.shas]
        if new or old:
            asyncio.run(ledger.write(call.settings.database, _schema(call), new, old))
    except (AtlasError, *ledger.FAILURES) as error:
        _not_recorded(call, error)


def _versions(call: Call, name: str) -> set[str]:
    """The versions as which a file is applied."""
    return {part.version for part in call.changed.get(name, ())} or {version(name)}


def _schema(call: Call) -> str:
    return ledger.schema_of(call.settings.database, call.settings.revisions_schema)


def _ledger(call: Call) -> Ledger:
    if not address.is_postgresql(call.settings.database):
        return Ledger()
    try:
        return asyncio.run(ledger.read(call.settings.database, _schema(call)))
    except ledger.FAILURES as error:
        _not_recorded(call, error)
        return Ledger()


def _not_recorded(call: Call, error: Exception) -> None:
    call.output.event(
        "not_recorded",
        f"the table {ledger.TABLE} cannot be used ({trouble.words(error)}): applied files are compared with Atlas's "
        "hashes only",
        level="warning",
    )


def _excuse(call: Call, files: Files, problems: list[Problem], known: Ledger) -> Files:
    """The files to continue with: problems of files that were already applied are harmless, and are reported once.

    Raises FilesRefusedError for those of others.
    """
    if new := [problem for problem in problems if _is_new(problem, known)]:
        raise FilesRefusedError(new)
    for problem in problems:
        if version(problem.file) not in known.shas:
            warn_of_old(call, problem)
    twice = {problem.file for problem in problems if problem.failure is Failure.DUPLICATE_VERSION}
    if not twice:
        call.atlas.validate_offline(call.folder)
        return files
    # The engine takes no second file of a version, and would never come to it.
    if files.sums != changes.sums(files.files):
        raise AtlasError(Failure.CHECKSUM)
    call.use(dict.fromkeys(twice, ()))
    return files.without(twice)


def _is_new(problem: Problem, known: Ledger) -> bool:
    """Whether a fault is one of a file that was not there before.

    A second file of an applied version was never applied itself: it is old only if it was there at our first run, of which
    it has a row under its name.
    """
    applied = version(problem.file) in known.applied
    if problem.failure is Failure.DUPLICATE_VERSION and version(problem.file) in known.shas:
        return problem.file not in known.shas
    return not applied


def warn_of_old(call: Call, problem: Problem) -> None:
    """Warn of a fault of a file that was applied before."""
    call.warn(
        "old_fault",
        "folder",
        f"{problem.text} (only a warning, because the version was applied before the first run of dbupgrade)",
        failure=problem.failure.value,
        file=problem.file,
    )


def _in_order(call: Call, files: Files, state: State) -> State:
    """The state in which files out of order are what execOrder makes of them. Raises FilesRefusedError."""
    late = _late(files, state)
    order = call.settings.exec_order
    if not late:
        return state
    if order is ExecOrder.LINEAR:
        raise FilesRefusedError([_out_of_order(file, state, "give it a higher version") for file in late])
    if call.atlas.knows_order():
        call.atlas = replace(call.atlas, exec_order=order)
    elif order is ExecOrder.NON_LINEAR:
        why = "this version of Atlas cannot apply it out of order: use Atlas 1.x, or the built-in engine"
        raise FilesRefusedError([_out_of_order(file, state, why) for file in late])
    if order is ExecOrder.NON_LINEAR:
        first = min((row.version for row in state.applied), default="")
        if below := [file for file in late if file.version < first]:
            why = f"the history begins with {first}, and files below that are never applied: give it a higher version"
            raise FilesRefusedError([_out_of_order(file, state, why) for file in below])
        return replace(state, pending=[*late, *state.pending])
    for file in late[:_NAMED]:
        call.warn(
            "skipped",
            "history",
            f"{file.name} is skipped: its version is below {state.current}, the version of the database",
            file=file.name,
        )
    return state


def _late(files: Files, state: State) -> list[File]:
    """Files out of order; a checkpoint is for empty databases only, and stands for all files before it."""
    checkpoints = {version(name) for name, data in files.files if directives.is_checkpoint(data)}
    applied = {row.version for row in state.applied}
    covered = max((each for each in checkpoints if each in applied), default="")
    return [file for file in state.late if file.version > covered and file.version not in checkpoints]


def _out_of_order(file: File, state: State, what: str) -> Problem:
    where = f"was never applied, and its version is below {state.current}, the version of the database"
    return Problem(Failure.OUT_OF_ORDER, (file.name,), f"{where}: {what}")


def _unchanged(call: Call, files: Files, state: State, known: Ledger) -> None:
    """Raise FilesRefusedError for applied files that were changed; before the first run of ours, that is a warning."""
    source = files if call.source == call.folder else folder.contents(call.source)[0]
    found = changes.changed(files.files, source.files, state.applied, known.shas)
    problems = [Problem(Failure.APPLIED_FILE_CHANGED, (each.name,), _change(each)) for each in found]
    if known.exists and problems:
        raise FilesRefusedError(problems)
    for problem in problems:
        warn_of_old(call, problem)


def _change(change: changes.Change) -> str:
    which = "was changed" if change.exact else "or an earlier file was changed"
    return f"{which} after it was applied: restore its content, and put the change into a new file"


def connect(call: Call) -> None:
    """Wait until the database accepts connections. Raises AtlasError."""
    reached = asyncio.run(
        database.wait(
            call.settings.database,
            call.settings.wait_seconds,
            lambda reason: call.output.event("waiting", f"waiting for the database: {reason}", reason=reason),
        )
    )
    call.measured.connection_seconds = reached.seconds
    call.output.event("connected", f"connected in {reached.seconds:.3f} s", seconds=round(reached.seconds, 6))


def _safe_state(call: Call, files: Files) -> State:
    """Compare with the folder in which CONCURRENTLY is safe. Raises ConversionRefusedError for a pending file."""
    if not address.is_postgresql(call.atlas.url) or not any_concurrent(texts := files.texts):
        return state(call)
    from dbupgrade.toolkit.sql import concurrently  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    there = [concurrently.File(*file) for file in texts]
    changed, refused = concurrently.convert_each(there)
    left_out = call.changed
    call.use({**left_out, **changed})
    found = state(call)
    history = [concurrently.Revision(row.version, row.total) for row in found.applied]
    if whole := concurrently.applied_whole(there, changed, history):
        call.use({**left_out, **{name: parts for name, parts in changed.items() if name not in whole}})
        found = state(call)
    pending = {file.name for file in found.pending}
    for name, reason in refused.items():
        if name in pending:
            raise concurrently.ConversionRefusedError(reason)
    for name, parts in changed.items():
        if pending & {part.name for part in parts}:
            call.output.event(
                "converted",
                f"{name} contains CONCURRENTLY: it is applied {_in_parts(name, [part.name for part in parts])}",
                file=name,
                parts=[part.name for part in parts],
            )
    return found


def _in_parts(name: str, parts: Sequence[str]) -> str:
    return "without a transaction" if list(parts) == [name] else f"as {', '.join(parts)}"
