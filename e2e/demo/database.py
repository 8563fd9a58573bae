"""The shop's database: made anew for the demo, and looked into afterwards."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

TABLES = """
    SELECT c.relname,
           CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table'
                          WHEN 'v' THEN 'view' ELSE 'materialized view' END,
           (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', c.relname), true, true, '')))[1]::text
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
    ORDER BY c.relname
"""
REVISIONS = """
    SELECT version, description, applied, total, to_char(executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    FROM atlas_schema_revisions.atlas_schema_revisions
    ORDER BY version
"""


class Revision(NamedTuple):
    """A row of Atlas's own history."""

    version: str
    description: str
    applied: int
    total: int
    executed_at: str


@dataclass(frozen=True)
class Database:
    """A database and the role that owns it, both called `name`, on the server of `admin_url`."""

    admin_url: str
    name: str

    async def recreate(self) -> str:
        """Drop database and role if they are there, make them anew, and give the role's new password.

        The role may create roles because one of the migrations does.
        """
        password = secrets.token_urlsafe(24)
        async with _connect(self.admin_url) as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            await connection.execute(f'DROP ROLE IF EXISTS "{self.name}"')
            create_role = "SELECT format('CREATE ROLE %I LOGIN CREATEROLE PASSWORD %L', $1::text, $2::text)"
            await connection.execute(await connection.fetchval(create_role, self.name, password))
            await connection.execute(f'CREATE DATABASE "{self.name}" OWNER "{self.name}"')
        return password

    def url(self, password: str) -> str:
        """Where the owner of the database connects to."""
        server = urlsplit(self.admin_url)
        netloc = f"{self.name}:{quote(password, safe='')}@{server.netloc.rpartition('@')[2]}"
        return urlunsplit(
            server._replace(scheme="postgres", netloc=netloc, path=f"/{self.name}", query="sslmode=disable")
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[asyncpg.Connection]:
        """Connect to the database as the server's administrator."""
        url = urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{self.name}"))
        async with _connect(url) as connection:
            yield connection

    async def tables(self) -> Sequence[tuple[str, ...]]:
        """List name, kind and number of rows of each table and view."""
        async with self.connect() as connection:
            return [tuple(row) for row in await connection.fetch(TABLES)]

    async def revisions(self) -> Sequence[Revision]:
        """Read Atlas's history, oldest first."""
        async with self.connect() as connection:
            return [Revision(*row) for row in await connection.fetch(REVISIONS)]


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
