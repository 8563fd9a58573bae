"""Our own table beside Atlas's history: the SHA-256 of each applied file as it is in the folder. PostgreSQL only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from dbupgrade.toolkit import address
from dbupgrade.toolkit.history.database import NOT_YET, connect

TABLE = "dbupgrade_files"
HISTORY = "atlas_schema_revisions"
_LONGEST = 300
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, *NOT_YET)
"""What keeps us from the table: never a reason to fail."""

_CREATE = (
    "CREATE TABLE IF NOT EXISTS {table} (version text PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, "
    "recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now())"
)
_INSERT = "INSERT INTO {table} (version, name, sha256) VALUES ($1, $2, $3) ON CONFLICT (version) DO "
_UPDATE = "UPDATE SET name = excluded.name, sha256 = excluded.sha256, recorded_at = pg_catalog.now()"


@dataclass(frozen=True)
class Ledger:
    """What is recorded."""

    exists: bool = False
    """Without it, the runner sees the database for the first time."""
    shas: Mapping[str, str] = field(default_factory=dict)
    """By version; a second file of a version, which is never applied, by its name."""
    applied: frozenset[str] = frozenset()
    """The versions that Atlas's history has as complete."""


def schema_of(url: str, revisions_schema: str) -> str:
    """The schema of the history, as Atlas chooses it."""
    return revisions_schema or address.schema(url) or HISTORY


async def read(url: str, schema: str) -> Ledger:
    """What is there; creates nothing. Raises one of FAILURES."""
    connection = await connect(url)
    try:
        history, ours = _quoted(schema, HISTORY), _quoted(schema, TABLE)
        if await connection.fetchval("SELECT pg_catalog.to_regclass($1)", history) is None:
            return Ledger()
        rows = await connection.fetch(
            f"SELECT pg_catalog.left(version, {_LONGEST}) FROM {history} WHERE applied = total"  # noqa: S608 - quoted
        )
        applied = frozenset(row[0] for row in rows)
        if await connection.fetchval("SELECT pg_catalog.to_regclass($1)", ours) is None:
            return Ledger(applied=applied)
        rows = await connection.fetch(f"SELECT version, sha256 FROM {ours}")  # noqa: S608 - quoted
        return Ledger(exists=True, shas={row[0]: row[1] for row in rows}, applied=applied)
    finally:
        await connection.close()


async def write(
    url: str, schema: str, new: Sequence[tuple[str, str, str]], old: Sequence[tuple[str, str, str]]
) -> None:
    """Record version, name and SHA-256 of files: `new` ones in place of what is there. Raises one of FAILURES."""
    connection = await connect(url)
    try:
        table = _quoted(schema, TABLE)
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            if await connection.fetchval("SELECT pg_catalog.to_regclass($1)", table) is None:
                await connection.execute(_CREATE.format(table=table))
            insert = _INSERT.format(table=table)
            await connection.executemany(f"{insert} {_UPDATE}", new)
            await connection.executemany(f"{insert} NOTHING", old)
    finally:
        await connection.close()


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
