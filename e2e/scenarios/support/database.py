"""A database with an owner of its own, on the cluster's PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator

# A migration with this statement waits at the gate, without a limit: it ends when the test says so, not after some time.
GATE = 4711
WAIT_AT_GATE = f"SELECT set_config('lock_timeout', '0', false), pg_advisory_lock_shared({GATE});"
VERSIONS = "SELECT version FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY version"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"


@dataclass(frozen=True)
class Database:
    """A database and its owner, both called `name`."""

    admin_url: str
    name: str
    password: str

    @classmethod
    def create(cls, admin_url: str, name: str) -> Database:
        """Make database and role."""
        made = cls(admin_url, name, f"pw-{secrets.token_hex(16)}")
        made._as_admin(
            f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{made.password}'",
            f'CREATE DATABASE "{name}" OWNER "{name}"',
        )
        return made

    @property
    def server(self) -> str:
        """Address of the server, the same for pods and for the host."""
        return urlsplit(self.admin_url).netloc.rpartition("@")[2]

    def url(self, *, password: str = "", server: str = "", database: str = "") -> str:
        """Where the owner connects to, or a URL that is wrong in one way."""
        login = f"{self.name}:{password or self.password}"
        place = f"{server or self.server}/{database or self.name}"
        return f"postgres://{login}@{place}?sslmode=disable"

    def rows(self, query: str) -> list[Any]:
        """The first column of what a query finds, asked as the owner."""
        return asyncio.run(self._run(self.url(), query))

    def create_another(self, name: str) -> None:
        """Make one more database of the same owner."""
        self._as_admin(f'CREATE DATABASE "{name}" OWNER "{self.name}"')

    @property
    def tables(self) -> list[str]:
        """Names of the tables that migrations made."""
        return self.rows(TABLES)

    @property
    def versions(self) -> list[str]:
        """What Atlas has noted as applied."""
        return self.rows(VERSIONS)

    @contextlib.contextmanager
    def closed_gate(self, database: str = "") -> Iterator[Gate]:
        """Hold every migration that waits at the gate of this database, or of another of its owner, until it is opened.

        It is at the latest at the end of the block.
        """
        gate = Gate(self.url(database=database))
        try:
            yield gate
        finally:
            gate.open()

    @contextlib.contextmanager
    def transaction(self, statement: str) -> Iterator[None]:
        """Keep a transaction open in which a statement was executed."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.url()))
            runner.run(connection.execute(f"BEGIN; {statement}"))
            try:
                yield
            finally:
                runner.run(connection.close())

    def administer(self, *statements: str) -> None:
        """Execute statements in this database as the administrator of the server."""
        url = urlsplit(self.admin_url)._replace(path=f"/{self.name}").geturl()
        asyncio.run(self._run(url, *statements))

    def _as_admin(self, *statements: str) -> None:
        asyncio.run(self._run(self.admin_url, *statements))

    @staticmethod
    async def _run(url: str, *statements: str) -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                rows = await connection.fetch(statement)
            return [row[0] for row in rows]
        finally:
            await connection.close()


class Gate:
    """An exclusive lock, held by a connection of its own."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(asyncpg.connect(url))
        self._loop.run_until_complete(self._connection.execute(f"SELECT pg_advisory_lock({GATE})"))

    def open(self) -> None:
        """Let everybody through; a second time does nothing."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._connection.close())
            self._loop.close()
