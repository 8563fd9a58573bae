"""The preflight of what `apply` is about to apply: it may hold the run back."""

import asyncio
from collections.abc import Awaitable, Collection

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.pod import preflight as told
from dbupgrade.pod.redact import cut
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import address, trouble
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history import database, ledger
from dbupgrade.toolkit.history.atlas import AtlasError, State
from dbupgrade.toolkit.history.lock import BROKEN, EngineKeeper, Fetch, Keeper
from dbupgrade.toolkit.preflight.facts import Facts, History, Run
from dbupgrade.toolkit.preflight.finding import ERROR, WARNING, Finding
from dbupgrade.toolkit.sql.names import Name


def before_history(call: Call, keeper: Keeper | EngineKeeper) -> tuple[Finding, ...]:
    """What keeps the engine even from reading the history: it needs a connection of its own. Raises AtlasError."""
    return keeper.ask(lambda fetch: _of_server(call, fetch)) if isinstance(keeper, Keeper) else ()


def of_atlas(call: Call, state: State, keeper: Keeper | EngineKeeper) -> tuple[Finding, ...]:
    """What is found before the pending files of `state` are applied. Raises AtlasError."""
    if not (names := _names(call, state)):
        return ()
    if not isinstance(keeper, Keeper):
        return _of_mysql(call, names)
    return keeper.ask(lambda fetch: look(call, fetch, names, _history(call), _run(call)))


def _run(call: Call) -> Run:
    """What is known of a run with an engine that is Atlas."""
    ours = call.atlas.is_ours()
    return Run(3 if ours else 2, is_pooled=call.is_pooled, begins_read_write=True)


def of_plan(call: Call, state: State) -> tuple[Finding, ...]:
    """The same for a plan, which is made without the lock, and may be made on a standby. Raises AtlasError."""
    if not (names := _names(call, state)):
        return ()
    is_postgresql = address.is_postgresql(call.settings.database)
    found = asyncio.run(_connected(call, names)) if is_postgresql else _of_mysql(call, names)
    return tuple(each for each in found if each.check != "primary")


def _of_mysql(call: Call, names: Collection[str]) -> tuple[Finding, ...]:
    """The same on MySQL, of which our engine asks; others cannot be asked."""
    if not call.atlas.is_ours():
        return ()
    from dbupgrade.toolkit.preflight import mysql, pending  # noqa: PLC0415 - parsers take time and memory

    try:
        known = mysql.facts(call.atlas.ask(mysql.QUERIES))
    except AtlasError as error:
        if error.failure is not Failure.UNKNOWN:
            raise
        message = f"the engine could not ask the server for the preflight ({error}): nothing was checked"
        return (Finding(check="facts", severity=WARNING, message=message),)
    history = Name(call.settings.revisions_schema, ledger.HISTORY)
    return mysql.preflight(known, pending.texts(call.source, names, {}), history)


async def _connected(call: Call, names: Collection[str]) -> tuple[Finding, ...]:
    try:
        connection = await database.connect(call.settings.database)
    except database.NOT_YET as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None
    try:
        return await look(call, connection.fetch, names, _history(call), _run(call))
    finally:
        await connection.close()


def _names(call: Call, state: State) -> list[str]:
    """The files that are applied; without a history, only our engine knows whether the baseline covers some."""
    baseline = "" if state.applied or call.atlas.is_ours() else call.settings.baseline
    return [file.name for file in state.pending if file.version > baseline]


def _history(call: Call) -> History:
    schema = ledger.schema_of(call.settings.database, call.settings.revisions_schema)
    return History(schema, ledger.HISTORY)


async def look(
    call: Call, fetch: Fetch, names: Collection[str], history: History, run: Run
) -> tuple[Finding, ...]:
    """What is found before the files with these names are applied. Raises AtlasError for a connection that is gone."""
    # PostgreSQL's parser takes time and memory.
    from dbupgrade.toolkit.preflight import pending, preflight, reader  # noqa: PLC0415

    parts = {part.name: name for name, split in call.changed.items() for part in split}
    files = pending.read(pending.texts(call.source, names, parts))
    facts = await _answered(reader.read(fetch, files, run, history))
    return preflight(facts, files) if isinstance(facts, Facts) else (facts,)


async def _of_server(call: Call, fetch: Fetch) -> tuple[Finding, ...]:
    from dbupgrade.toolkit.preflight import reader  # noqa: PLC0415 - as above
    from dbupgrade.toolkit.preflight.checks import connections  # noqa: PLC0415

    facts = await _answered(reader.read_server(fetch, _run(call)))
    return tuple(connections.look(facts)) if isinstance(facts, Facts) else ()


async def _answered(facts: Awaitable[Facts]) -> Facts | Finding:
    """The facts, or that a server does not know what it is asked for. Raises AtlasError for a connection that is gone."""
    try:
        return await facts
    except BROKEN as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None
    except asyncpg.PostgresError as error:
        message = f"the server rejected the queries of the preflight (SQLSTATE {error.sqlstate}): nothing was checked"
        return Finding(check="facts", severity=WARNING, message=message)


def tell(call: Call, findings: Collection[Finding]) -> None:
    """Say what was found."""
    for finding in findings:
        values = {"check": finding.check, "fix": finding.fix or None}
        call.output.event("preflight", told.text(finding), level=finding.severity, **values)


def refused(findings: tuple[Finding, ...], pending: int | None = None) -> Report | None:
    """The report of a run that is held back."""
    if not any(finding.severity == ERROR for finding in findings):
        return None
    return Report(
        failure=Failure.PREFLIGHT, pending=pending, error=cut(told.where(findings)), preflight=findings
    )
