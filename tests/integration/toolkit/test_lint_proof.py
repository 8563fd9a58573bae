"""The rules follow the database: what each must find is proved by what a real PostgreSQL locks, rewrites, reads or loses.

`make lint-proof` does it on PostgreSQL 13 to 18.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import asyncpg
import pytest

from dbupgrade.toolkit.lint.rules.types import keeps_rows
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.names import Type, type_of
from dbupgrade.toolkit.sql.parser import unwrap
from tests.lint.examples import FOUND, Ends, Fails, Found, Locks, Loses, Rewrites, Scans

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
            await connection.execute(f"create table t (a {old})")
            before = await connection.fetchval("select relfilenode from pg_class where oid = 't'::regclass")
            await connection.execute(f"alter table t alter a type {new}")
            after = await connection.fetchval("select relfilenode from pg_class where oid = 't'::regclass")
            await connection.execute("drop table t")
            assert before == after, f"{old} to {new}"
    assert silent > len(TYPES)
