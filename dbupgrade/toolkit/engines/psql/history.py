"""The history that psql's migrations have in the database, compared with the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.engines.psql.files import Migration
from dbupgrade.toolkit.history.atlas import AtlasError
from dbupgrade.toolkit.history.lock import Fetch, Held

TABLE = "dbupgrade_migrations"
TRANSACTION_CONSTRAINT = "a_file_must_not_end_its_own_transaction"
_LENGTH = 255
"""Longest text that is read: the table may contain anything that its writers put there."""
_HERE = files(__package__)


@dataclass(frozen=True)
class Row:
    """A file that was applied, or begun."""

    name: str
    version: str
    checksum: str
    is_whole: bool = True
    """Whether all of the file was applied."""


@dataclass(frozen=True)
class History:
    """What the database says."""

    schema: str
    """The first schema of the search path, where the history is."""
    rows: Sequence[Row] = ()
    used: bool = False
    """Whether there are tables and no history."""

    @property
    def version(self) -> str | None:
        """That of the last file that was applied."""
        return max(self.rows, key=lambda row: row.name).version if self.rows else None


def compare(history: History, files: Sequence[Migration], baseline: str) -> Report | None:
    """Why `files` cannot be applied on top of `history`; None when they can."""
    if not history.rows:
        return _refuse_tables(history, files, baseline)
    there = {file.name: file for file in files}
    known = {row.name: row for row in history.rows}
    last_file, last_row = max(there), max(known)
    partly = [row.name for row in history.rows if not row.is_whole]
    changed = [name for name in known if name in there and known[name].checksum != there[name].checksum]
    missing = [name for name in known if name not in there and name < last_file]
    late = [name for name in there if name not in known and name < last_row]
    for failure, names, why in (
        (Failure.PARTLY_APPLIED, partly, None),
        (Failure.FILE_CHANGED, changed, None),
        (Failure.HISTORY_DIVERGED, missing, "the file was applied, but is not in the folder"),
        (Failure.HISTORY_DIVERGED, late, "the file sorts before one that was already applied"),
    ):
        if names:
            return Report(failure=failure, failed_file=min(names), error=why)
    return None


def _refuse_tables(history: History, files: Sequence[Migration], baseline: str) -> Report | None:
    if not history.used:
        return None
    if not baseline:
        return Report(failure=Failure.NOT_CLEAN)
    return None if adopted(files, baseline) else Report(failure=Failure.BASELINE_NOT_FOUND)


def adopted(files: Sequence[Migration], baseline: str) -> list[Migration]:
    """The files that a database at `baseline` is taken to have."""
    last = max((file.name for file in files if file.version == baseline), default="")
    return [file for file in files if file.name <= last]


def pending(history: History, files: Sequence[Migration], baseline: str) -> list[Migration]:
    """The files that are not applied yet; a database with tables and no history has those up to `baseline`."""
    known = {row.name for row in history.rows}
    if history.used:
        known |= {file.name for file in adopted(files, baseline)}
    return [file for file in files if file.name not in known]


async def look(fetch: Fetch) -> History:
    """Read the history. Raises AtlasError."""
    found = (await fetch(_sql("look.sql")))[0]
    if found["schema"] is None:
        raise AtlasError(Failure.CONNECTION_SETTINGS, "none of the schemas in the search_path exists")
    if found["elsewhere"]:
        raise AtlasError(
            Failure.HISTORY_DIVERGED,
            f"{TABLE} is not in the first schema of the search path, but in a later one: name the schema in "
            "the connection (schema, or search_path in the URL)",
        )
    quoted, rows = found["quoted"], []
    if found["here"]:
        rows = await fetch(
            f"SELECT left(name, {_LENGTH}), left(version, {_LENGTH}), left(checksum, {_LENGTH}), complete IS NOT DISTINCT FROM name"  # noqa: S608
            f" FROM {quoted}.{TABLE}"
        )
    used = not rows and (await fetch(_sql("used.sql"), found["bound"]))[0]["used"]
    return History(found["schema"], [Row(*row) for row in rows], used)


async def begin(held: Held, history: History, adopting: Sequence[Migration]) -> History:
    """Make the table where there is none, with the files that the database is taken to have. Raises AtlasError."""
    quoted = (await held.fetch("SELECT quote_ident($1)", history.schema))[0][0]
    insert = f"INSERT INTO {quoted}.{TABLE} (name, version, checksum, baseline, finished_at, complete) VALUES ($1, $2, $3, true, clock_timestamp(), $1)"  # noqa: S608
    rows = [(file.name, file.version, file.checksum) for file in adopting]
    await held.change(_sql("table.sql").replace("SCHEMA", quoted), insert, rows)
    return History(history.schema, [Row(*row) for row in rows])


async def is_whole(held: Held, history: History, name: str) -> bool:
    """Whether all of the file `name` was applied."""
    quoted = (await held.fetch("SELECT quote_ident($1)", history.schema))[0][0]
    rows = await held.fetch(f"SELECT complete = name FROM {quoted}.{TABLE} WHERE name = $1", name)  # noqa: S608
    return bool(rows and rows[0][0])


def _sql(name: str) -> str:
    return _HERE.joinpath(name).read_text(encoding="utf-8")
