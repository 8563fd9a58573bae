"""INVALID indexes, which a failed concurrent build leaves: found, and dropped concurrently before it is tried again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit import trouble
from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.history.atlas import AtlasError

if TYPE_CHECKING:  # PostgreSQL's parser takes time and memory
    from collections.abc import Sequence

    from dbupgrade.toolkit.output import Output
    from dbupgrade.toolkit.sql.concurrently import Build
    from dbupgrade.toolkit.sql.names import Name

_ATLAS_LOCK = 2686470616
"""The advisory lock under which Atlas applies: FNV-1 of "atlas_migrate_execute"."""
_POLL_SECONDS = 0.5

_INVALID = """
select format('%I.%I', n.nspname, c.relname)
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relkind = 'i'  -- that of a partitioned table is invalid until all parts are attached
  and ($2::text is null or i.indrelid = to_regclass($2))
  and case when $1::text is null then c.relname ~ '_cc(new|old)[0-9]*$'  -- what a failed REINDEX leaves
      else c.relname = $1 or (c.relname ~ '_cc(new|old)[0-9]*$' and starts_with(c.relname, left($1, 50))) end
  and (n.nspname = $3 or ($3::text is null and ($2::text is not null or pg_table_is_visible(c.oid))))
order by 1
"""
_BUILDING = """
select p.pid from pg_stat_progress_create_index p
where p.datname = current_database() and ($1::text is null or p.relid = to_regclass($1))
"""


async def clear(url: str, builds: Sequence[Build], seconds: float, output: Output) -> None:
    """Drop what is invalid of `builds`. Raises AtlasError."""
    connection = await _connect(url)
    try:
        if not await _invalid(connection, builds):
            return
        # It waits for old transactions and keeps nobody waiting, as the build does.
        await connection.execute("set lock_timeout = 0")
        # Under Atlas's lock: an index that somebody builds right now is invalid as well.
        await _lock(connection, seconds)
        await _until_built(connection, builds, seconds)
        for name in await _invalid(connection, builds):
            output.event(
                "invalid_index",
                f"{name} is INVALID, probably because a concurrent build failed: it is dropped and built again",
                level="warning",
                index=name,
            )
            await connection.execute(f"drop index concurrently if exists {name}")
    except asyncpg.PostgresError as error:
        raise AtlasError(
            Failure.SQL, f"an INVALID index could not be dropped (SQLSTATE {error.sqlstate})"
        ) from None
    finally:
        await connection.close()


async def check(url: str, builds: Sequence[Build]) -> None:
    """Raise AtlasError when an index of `builds` is invalid after all."""
    connection = await _connect(url)
    try:
        if found := await _invalid(connection, builds):
            raise AtlasError(
                Failure.SQL,
                f"{', '.join(found)} is INVALID although its file was applied; drop it with DROP INDEX CONCURRENTLY, and build it in a new file",
            )
    finally:
        await connection.close()


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await database.connect(url)
    except database.NOT_YET as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None


async def _invalid(connection: asyncpg.Connection, builds: Sequence[Build]) -> list[str]:
    found: dict[str, None] = {}
    for build in builds:
        index, table = build.index, _quoted(build.table)
        rows = await connection.fetch(
            _INVALID, index.name if index else None, table, index.schema or None if index else None
        )
        found |= dict.fromkeys(row[0] for row in rows)
    return list(found)


def _quoted(name: Name | None) -> str | None:
    if name is None:
        return None
    return ".".join('"' + part.replace('"', '""') + '"' for part in (name.schema, name.name) if part)


async def _lock(connection: asyncpg.Connection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _ATLAS_LOCK):
        if time.monotonic() >= deadline:
            raise AtlasError(Failure.DATABASE_LOCKED)
        await asyncio.sleep(_POLL_SECONDS)


async def _until_built(connection: asyncpg.Connection, builds: Sequence[Build], seconds: float) -> None:
    """Wait for builds that continue although the session that requested them has disconnected."""
    deadline = time.monotonic() + seconds
    for build in builds:
        while pid := await connection.fetchval(_BUILDING, _quoted(build.table)):
            if time.monotonic() >= deadline:
                raise AtlasError(
                    Failure.DATABASE_LOCKED, f"the index is being built by the server's process {pid}"
                )
            await asyncio.sleep(_POLL_SECONDS)
