"""A real PostgreSQL and the real Atlas, and the command line run on them as a process."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncpg
import pytest

from e2e.cluster import tools
from tests.integration.harness import forked
from tests.integration.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[3]
PASSWORD = "p@ss:w/rd#?% hunter2"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that asks for passwords."""

    port: int

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgres://admin:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def execute(self, database: str, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url(database))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def fetch(self, database: str, query: str) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url(database))
            try:
                return [row[0] for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(run())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@contextmanager
def running_server(
    files: Mapping[str, bytes] | None = None, settings: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Server]:
    """A PostgreSQL with `files` in its folder."""
    postgres = Postgres(files=files, settings=settings, login=("admin", PASSWORD), port=port)
    try:
        postgres.start()
        yield Server(postgres.port)
    finally:
        postgres.stop()


@dataclass
class Result:
    """How a call ended."""

    code: int
    text: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == name)


@dataclass
class Toolkit:
    """A database of one's own, a folder of one's own, and the command line."""

    server: Server
    database: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, **files: str) -> None:
        """Write files by their version, and atlas.sum, which engine Psql does without."""
        for name, sql in files.items():
            (self.folder / f"{name.removeprefix('v')}_x.sql").write_text(sql)
        assert self.run("hash", MIGRATE_ENGINE="Atlas").code == 0

    def environment(self, **variables: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "ATLAS_BIN": str(tools.binary("engine")),
            "MIGRATION_DIR": str(self.folder),
            "MIGRATE_FORMAT": "json",
            "DATABASE_URL": self.server.url(self.database),
            **self.variables,
            **variables,
        }

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the command line as users do."""
        command = [sys.executable, "-m", "dbupgrade", "migrate", *arguments]
        pipe = subprocess.PIPE
        environment = self.environment(**variables)
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, **variables: str) -> Result:
        done = forked.run(["migrate", *arguments], self.environment(**variables))
        assert "Traceback" not in done.err, done.err
        for spelling in (PASSWORD, quote(PASSWORD, safe=""), "hunter2"):
            assert spelling not in done.out + done.err
        return Result(done.code, done.out + done.err)

    def until(self, query: str) -> None:
        """Wait until `query` finds a row."""
        deadline = time.monotonic() + 300
        while not self.fetch(query):
            assert time.monotonic() < deadline, query
            time.sleep(0.1)

    def execute(self, *statements: str) -> None:
        self.server.execute(self.database, *statements)

    def fetch(self, query: str) -> list[Any]:
        return self.server.fetch(self.database, query)

    @contextmanager
    def hold(self, statement: str) -> Iterator[None]:
        """Run a statement in a transaction that stays open."""
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self.server.url(self.database)))
            runner.run(connection.execute(f"begin; {statement}"))
            try:
                yield
            finally:
                runner.run(connection.close())

    def fails_as(self, url: str, sql: str) -> str | None:
        """The SQLSTATE with which statements fail in the session of somebody, and None where they do not; they are undone."""

        async def run() -> str | None:
            connection = await asyncpg.connect(url)
            try:
                await connection.execute(f"begin; {sql}")
            except asyncpg.PostgresError as error:
                return str(error.sqlstate)
            finally:
                await connection.close()
            return None

        return asyncio.run(run())

    def tables(self) -> set[str]:
        return set(
            self.fetch(
                "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
            )
        )


@pytest.fixture
def toolkit(server: Server, tmp_path: Path) -> Toolkit:
    database = f"t{secrets.token_hex(6)}"
    server.execute("postgres", f"create database {database}")
    folder = tmp_path / "migrations"
    folder.mkdir()
    return Toolkit(server, database, folder)
