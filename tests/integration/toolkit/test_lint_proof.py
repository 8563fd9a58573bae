"""The rules follow the database: what each must find is proved by what a real PostgreSQL locks, rewrites, reads or loses.

`make lint-proof` does it on PostgreSQL 13 to 18.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from dbupgrade.toolkit.lint.lock import LockMode, TableLock
from dbupgrade.toolkit.lint.locks import locks_of
from dbupgrade.toolkit.lint.types import keeps_rows
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.names import Name, Type, type_of
from dbupgrade.toolkit.sql.parser import unwrap
from tests.lint.examples import FOUND, Ends, Fails, Found, Locks, Loses, Rewrites, Scans
from tests.lint.locking import LOCKING, Locking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.toolkit.conftest import Server

LOCKS = """
select mode from pg_locks
where pid = pg_backend_pid() and granted and locktype = 'relation' and database <> 0 and relation = $1
"""
SCANS = "select seq_scan from pg_stat_xact_user_tables where relid = $1"


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """A database of one's own."""
    name = f"proof{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.url("postgres"))
    await admin.execute(f"create database {name}")
    found = await asyncpg.connect(server.url(name), statement_cache_size=0)
    yield found
    await found.close()
    await admin.execute(f"drop database {name}")
    await admin.execute("drop role if exists owner_example")
    await admin.close()


async def _rows(connection: asyncpg.Connection, query: str) -> int:
    """How many rows a query gives; none when it fails."""
    inside = connection.is_in_transaction()
    await connection.execute("savepoint here" if inside else "begin")
    try:
        return len(await connection.fetch(query))
    except asyncpg.PostgresError:
        return 0
    finally:
        await connection.execute("rollback to here" if inside else "rollback")


class _Before:
    """A database before a migration, and what it made of it."""

    def __init__(self, connection: asyncpg.Connection, example: Found) -> None:
        self._connection, self._example = connection, example
        self._oids: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._rows: dict[str, int] = {}

    async def look(self) -> None:
        for proof in self._example.proofs:
            if isinstance(proof, Locks | Scans | Rewrites):
                self._oids[proof.relation] = await self._connection.fetchval(
                    "select $1::regclass::oid", proof.relation
                )
                self._files[proof.relation] = await self._file(proof.relation)
            if isinstance(proof, Loses):
                self._rows[proof.query] = await _rows(self._connection, proof.query)

    async def _file(self, relation: str) -> int:
        query = "select relfilenode from pg_class where oid = $1"
        return int(await self._connection.fetchval(query, self._oids[relation]) or 0)

    async def check(self) -> None:
        for proof in self._example.proofs:
            match proof:
                case Locks():
                    held = await self._connection.fetch(LOCKS, self._oids[proof.relation])
                    assert proof.mode in [row[0] for row in held], f"{proof.relation} is not locked so"
                case Scans():
                    assert await self._connection.fetchval(SCANS, self._oids[proof.relation]), (
                        "nothing was read"
                    )
                case Rewrites():
                    assert await self._file(proof.relation) != self._files[proof.relation], (
                        "nothing was written again"
                    )
                case Loses():
                    assert await _rows(self._connection, proof.query) < self._rows[proof.query], (
                        "nothing was lost"
                    )
                case Ends():
                    assert self._connection.is_in_transaction() is proof.is_open
                case Fails():
                    pytest.fail("it did not fail")


@pytest.mark.parametrize("example", FOUND, ids=lambda example: f"{example.rule}: {example.sql[:60]}")
async def test_what_is_found_is_so(connection: asyncpg.Connection, example: Found) -> None:
    version = connection.get_server_version().major
    expected = next((proof.state for proof in example.proofs if isinstance(proof, Fails)), None)
    if version < example.since:
        expected = "42601"  # the grammar of later versions
    await connection.execute(example.setup or "select 1")
    before = _Before(connection, example)
    await before.look()
    if not example.alone:
        await connection.execute("begin")
    try:
        await connection.execute(example.sql)
    except asyncpg.PostgresError as error:
        assert error.sqlstate == expected, str(error)  # noqa: PT017 - most examples raise nothing
        return
    assert expected is None
    await before.check()


FILE = "select relfilenode from pg_class where oid = 't'::regclass"
TYPES = ("int", "bigint", "text", "varchar", "varchar(5)", "varchar(9)", "char(5)", "numeric", "numeric(8,2)", "numeric(12,2)",
         "numeric(12,3)", "varbit(4)", "varbit(8)", "varbit", "timestamp", "timestamp(3)", "time(2)", "time", "interval",
         "interval(2)", "cidr", "inet", "date", "text[]", "varchar(5)[]", "citextless")  # fmt: skip


def _type(text: str) -> Type:
    tree = parser.statements(f"select null::{text}")[0].tree
    return type_of(unwrap(unwrap(tree.target_list[0]).val).type_name)


async def test_what_is_said_to_keep_the_rows_keeps_them(connection: asyncpg.Connection) -> None:
    """Every pair of types: where the lint is silent, PostgreSQL writes nothing again."""
    silent = 0
    await connection.execute("create domain citextless as text")
    for old in TYPES:
        for new in TYPES:
            if not keeps_rows(_type(old), _type(new)):
                continue
            silent += 1
            for using in ("", f" using a::{new}"):
                await connection.execute(f"create table t (a {old})")
                before = await connection.fetchval(FILE)
                await connection.execute(f"alter table t alter a type {new}{using}")
                assert before == await connection.fetchval(FILE), f"{old} to {new}{using}"
                await connection.execute("drop table t")
    assert silent > len(TYPES)


RELATIONS = """
select c.oid, n.nspname as schema, c.relname as name, c.relfilenode as file
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
"""
MODES = "select relation, mode, granted from pg_locks where pid = $1 and locktype = 'relation' and relation = any($2)"
READ = "select relid, seq_scan from pg_stat_xact_user_tables where seq_scan > 0"


def _mode(text: str) -> LockMode:
    """The mode as pg_locks has it: RowShareLock."""
    return LockMode[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text.removesuffix("Lock")).upper()]


def _strongest(rows: list[asyncpg.Record], names: dict[int, Name]) -> dict[Name, LockMode]:
    found: dict[Name, LockMode] = {}
    for row in rows:
        name, mode = names[row["relation"]], _mode(row["mode"])
        found[name] = max(found.get(name, mode), mode)
    return found


def _told(example: Locking) -> dict[Name, TableLock]:
    (statement,) = parser.statements(example.sql)
    return {each.table: each for each in locks_of(statement.tree, example.known())}


async def _relations(connection: asyncpg.Connection) -> dict[int, tuple[Name, int]]:
    rows = await connection.fetch(RELATIONS)
    return {row["oid"]: (Name(row["schema"], row["name"]), row["file"]) for row in rows}


@pytest.mark.parametrize(
    "example", [each for each in LOCKING if not each.alone], ids=lambda example: example.sql[:60]
)
async def test_locks_of_a_statement(connection: asyncpg.Connection, example: Locking) -> None:
    await connection.execute(example.setup)
    before = await _relations(connection)
    names = {oid: name for oid, (name, _) in before.items()}
    await connection.execute("begin")
    version = connection.get_server_version().major
    if version < example.since:
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute(example.sql)
        return
    counted = dict(await connection.fetch(READ))
    await connection.execute(example.sql)
    rows = await connection.fetch(MODES, connection.get_server_pid(), list(names))
    held, told = _strongest(rows, names), _told(example)
    if example.reads_more:
        held = {name: mode for name, mode in held.items() if name in told or mode > LockMode.ACCESS_SHARE}
    assert held.keys() == told.keys()
    for name, mode in held.items():
        assert mode <= told[name].mode if version <= example.weaker else mode == told[name].mode, name
    after = await _relations(connection)
    written = {names[oid] for oid, (_, file) in before.items() if oid in after and after[oid][1] != file}
    rewrites = {name for name, lock in told.items() if lock.rewrites}
    if "truncate" not in example.sql:
        assert written == rewrites
    count = dict(await connection.fetch(READ))
    read = {name for oid, name in names.items() if count.get(oid, 0) > counted.get(oid, 0)}
    if re.search("alter|index", example.sql):
        scans = {name for name, lock in told.items() if lock.scans}
        assert scans <= read
        assert read & {name for name, lock in told.items() if lock.mode.blocks_writes} - rewrites <= scans


@pytest.mark.parametrize(
    "example", [each for each in LOCKING if each.alone], ids=lambda example: example.sql[:60]
)
async def test_locks_of_a_statement_outside_of_a_transaction(
    server: Server, connection: asyncpg.Connection, example: Locking
) -> None:
    """Its lock is seen while it waits for it."""
    if connection.get_server_version().major < example.since:
        return
    await connection.execute(example.setup)
    names = {oid: name for oid, (name, _) in (await _relations(connection)).items()}
    (table, lock), *_ = _told(example).items()
    holder = await asyncpg.connect(server.url(await connection.fetchval("select current_database()")))
    try:
        await holder.execute(f"begin; lock table {table} in share update exclusive mode")
        pid = connection.get_server_pid()
        waits = asyncio.create_task(connection.execute(example.sql))
        deadline = time.monotonic() + 120
        while not (
            waited := [row for row in await holder.fetch(MODES, pid, list(names)) if not row["granted"]]
        ):
            assert time.monotonic() < deadline
            assert not waits.done()
            await asyncio.sleep(0.02)
        assert _strongest(waited, names) == {table: lock.mode}
        await holder.execute("rollback")
        await waits
    finally:
        await holder.close()
