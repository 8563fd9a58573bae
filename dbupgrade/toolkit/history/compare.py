"""The folder compared with the database."""

import asyncio

from dbupgrade.api.status import Failure
from dbupgrade.toolkit import address, folder
from dbupgrade.toolkit.call import Call, any_concurrent
from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.history.atlas import AtlasError, State


def compare(call: Call) -> State:
    """Folder and database compared, both examined first. Raises AtlasError and ConversionRefusedError."""
    call.prepare()
    call.atlas.validate_offline(call.folder)
    _connect(call)
    state = _safe_state(call)
    call.measured.pending = len(state.pending)
    for name in state.skipped:
        call.output.event(
            "skipped",
            f"{name} will never be applied: its version is below {state.current}, where the database is; give it a "
            "higher one",
            level="warning",
            file=name,
        )
    if state.missing:
        call.output.event(
            "ahead",
            f"the database has {len(state.missing)} versions that the folder has not, the last is {state.missing[-1]}",
            level="warning",
            versions=state.missing[-10:],
        )
    return state


def state(call: Call) -> State:
    """What Atlas says of folder and database. Raises AtlasError."""
    try:
        return call.atlas.status(call.source)
    except AtlasError as error:
        # Tables, and a history without a row: what `apply` and `baseline` make of it is their matter.
        if error.failure is not Failure.NOT_CLEAN or call.given.command == "status":
            raise
        return State.without_history(folder.sql_files(call.source))


def _connect(call: Call) -> None:
    """Wait for the database. Raises AtlasError."""
    reached = asyncio.run(
        database.wait(
            call.settings.database,
            call.settings.wait_seconds,
            lambda reason: call.output.event(
                "waiting", f"waiting for the database ({reason})", reason=reason
            ),
        )
    )
    call.measured.connection_seconds = reached.seconds
    call.output.event("connected", f"connected in {reached.seconds:.3f} s", seconds=round(reached.seconds, 6))


def _safe_state(call: Call) -> State:
    """Compare with the folder in which CONCURRENTLY is safe. Raises ConversionRefusedError for a pending file."""
    files = folder.read(call.folder)
    if not address.is_postgresql(call.atlas.url) or not any_concurrent(files):
        return state(call)
    from dbupgrade.toolkit.sql import concurrently  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    there = [concurrently.File(*file) for file in files]
    changed, refused = concurrently.convert_each(there)
    call.use(changed)
    found = state(call)
    history = [concurrently.Revision(row.version, row.total) for row in found.applied]
    if whole := concurrently.applied_whole(there, changed, history):
        call.use({name: parts for name, parts in changed.items() if name not in whole})
        found = state(call)
    pending = {file.name for file in found.pending}
    for name, reason in refused.items():
        if name in pending:
            raise concurrently.ConversionRefusedError(reason)
    for name, parts in changed.items():
        if pending & {part.name for part in parts}:
            call.output.event(
                "converted",
                f"{name} has CONCURRENTLY: it is applied as {', '.join(part.name for part in parts)}",
                file=name,
                parts=[part.name for part in parts],
            )
    return found
