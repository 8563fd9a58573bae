"""The lint of files that a database has not applied yet, with what the database says of their tables."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit import address, folder, trouble
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history.atlas import AtlasError, State
from dbupgrade.toolkit.history.database import NOT_YET
from dbupgrade.toolkit.lint import facts, psql_files, settings
from dbupgrade.toolkit.lint.findings import Known, findings
from dbupgrade.toolkit.lint.rule import Finding
from dbupgrade.toolkit.lint.world import Database
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.psql_text import plain


@dataclass(frozen=True)
class Survey:
    """What is known of the pending files."""

    files: list[File]
    """The whole folder."""
    all_names: set[str]
    """Names of the files that would be applied."""
    names: set[str]
    """Names of those that are linted: what is applied to an empty database cannot break anything."""
    findings: list[Finding]
    database: Database | None
    """What the database says of the tables in them; None for MySQL."""


def names(call: Call, state: State) -> tuple[set[str], set[str]]:
    """Names of the files that would be applied, and of those among them that can break something."""
    return _names(call, state), _names(call, _breakable(call, state))


def survey(call: Call, everything: set[str], names: set[str]) -> Survey:
    """What is known of the pending files: `everything` would be applied, and `names` are linted.

    Raises AtlasError, FolderError and BadEnvironmentError.
    """
    asked = asked_for(call)
    files = [File(*file) for file in folder.contents(call.folder)[0].texts]
    if not address.is_postgresql(call.atlas.url):
        from dbupgrade.toolkit.lint import mysql  # noqa: PLC0415 - a parser of its own

        return Survey(files, everything, names, mysql.findings(files, names, asked), None)
    database = _database(call, [sql(call, file) for file in files if file.name in names])
    known = Known(
        asked,
        database,
        asked=True,
        together=True,
        has_timeout=has_timeout(call),
    )
    return Survey(files, everything, names, of_postgresql(call, files, names, known), database)


def of_postgresql(call: Call, files: Sequence[File], names: set[str], known: Known) -> list[Finding]:
    """What is found in files for PostgreSQL, be they for psql."""
    return (psql_files.findings if call.settings.engine is Engine.PSQL else findings)(files, names, known)


def sql(call: Call, file: File) -> str:
    """The SQL of a file, in which spaces stand for what is psql's own."""
    return plain(file.text).text if call.settings.engine is Engine.PSQL else file.text


def asked_for(call: Call) -> settings.LintSettings:
    """The lint settings of the repository or the image; ignored settings are reported."""
    config = getattr(call.given, "config", None)
    asked = settings.find(config, [Path.cwd(), call.folder, call.folder.parent])
    if call.settings.lint_floor:
        asked = asked.stricter()
    for name in asked.unread:
        call.output.event("not_read", name, level="warning")
    return asked


def has_timeout(call: Call) -> bool:
    """Whether a statement waits for a lock within bounds."""
    return call.settings.lock_seconds != 0


def _names(call: Call, state: State) -> set[str]:
    """The pending files as they are in the folder, be it that their parts are what is applied."""
    pending = {file.name for file in state.pending}
    parts = {part.name: name for name, split in call.changed.items() for part in split}
    return {parts.get(name, name) for name in pending}


def _breakable(call: Call, state: State) -> State:
    """`state` without what is applied to an empty database, in which nothing can break."""
    if state.applied:
        return state
    if baseline := call.settings.baseline:
        return replace(state, pending=[file for file in state.pending if file.version > baseline])
    if address.schema(call.atlas.url):
        return state
    call.output.event(
        "no_history",
        "the database has no history, so there is nothing to check: it is empty, or nothing will be applied to it",
    )
    return State()


def _database(call: Call, texts: list[str]) -> Database:
    if not texts:
        return Database(())
    try:
        return asyncio.run(facts.ask(call.settings.url, texts))
    except (*NOT_YET, asyncpg.PostgresError) as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None
