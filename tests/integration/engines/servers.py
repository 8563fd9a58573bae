"""The servers that an engine with Atlas's command line is tried on, by what differs between them."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from e2e.cluster import debian
from tests.integration.engines.atlas import Database
from tests.integration.harness.postgres import PASSWORD, USER
from tests.integration.harness.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.scenarios.support.mariadb import MariaDb
    from tests.integration.harness.postgres import Postgres


class Server(Protocol):
    """Where databases are made, and what they hold is read."""

    schema: str
    here: str
    json: str
    waiting: str
    """Asks for statements that wait for a row."""
    busy: str
    """Asks for statements that are executed at all, with or without a client."""
    lock_holder: str
    """Asks for the number of the session that holds the lock of a run."""
    kill: str
    queueing: str
    """Asks for a second run, which waits for the lock of the first."""

    def database(self, folder: Path) -> Database: ...

    def rows(self, database: Database, query: str) -> list[str]: ...

    def client(self, database: Database) -> tuple[list[str], dict[str, str]]: ...

    def in_history(self, database: Database, query: str) -> list[str]:
        """Rows of a query in which HISTORY stands for the name of the history."""
        name = f"{self.schema}.atlas_schema_revisions".removeprefix(".")
        return self.rows(database, query.replace("HISTORY", name))

    def until(self, database: Database, query: str, *, found: bool = True) -> None:
        """Wait until a query finds a row, or none."""
        deadline = time.monotonic() + PATIENCE
        while bool(self.rows(database, query)) != found:
            assert time.monotonic() < deadline, query
            time.sleep(0.1)

    @contextlib.contextmanager
    def hold(self, database: Database, statement: str) -> Iterator[None]:
        """Keep a transaction open in which `statement` found a row."""
        command, environment = self.client(database)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        ) as client:
            assert client.stdin
            assert client.stdout
            client.stdin.write(f"begin;\n{statement};\n")
            client.stdin.flush()
            assert client.stdout.readline()
            yield
            client.stdin.close()  # which ends it, and its transaction


@dataclass
class OnPostgres(Server):
    server: Postgres
    schema: str = "atlas_schema_revisions"
    here: str = "'atlas_schema_revisions'"
    json: str = "jsonb_build_object"
    waiting: str = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    busy: str = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    lock_holder: str = (
        "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = current_database()"
        " AND locktype = 'advisory' AND objid = 2686470616 AND granted"
    )
    kill: str = "SELECT pg_terminate_backend({})"
    queueing: str = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'SELECT pg_try_advisory_lock%' HAVING count(*) = 2"
    )

    def database(self, folder: Path) -> Database:
        return on_postgres(self.server, folder)

    def rows(self, database: Database, query: str) -> list[str]:
        return self.server.query(query, database.name)

    def client(self, database: Database) -> tuple[list[str], dict[str, str]]:
        psql = [str(debian.postgresql_bin() / "psql"), "--no-psqlrc", "--quiet", "--tuples-only"]
        return psql, {**os.environ, **self.server.environment(database.name)}


@dataclass
class OnMariaDb(Server):
    server: MariaDb
    schema: str = ""
    here: str = "DATABASE()"
    json: str = "JSON_OBJECT"
    waiting: str = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    busy: str = "SELECT 1 FROM information_schema.innodb_trx"
    lock_holder: str = (
        "SELECT n FROM (SELECT IS_USED_LOCK('atlas_migrate_execute') AS n) AS s WHERE n IS NOT NULL"
    )
    kill: str = "KILL {}"
    queueing: str = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK%'"

    def database(self, folder: Path) -> Database:
        name = f"db_{secrets.token_hex(4)}"
        self.server.rows(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO shop")
        folder.mkdir(exist_ok=True)
        return Database(f"{self.server.url().rpartition('/')[0]}/{name}", folder, name)

    def rows(self, database: Database, query: str) -> list[str]:
        return self.server.rows(f"USE {database.name}; {query}")

    def client(self, database: Database) -> tuple[list[str], dict[str, str]]:
        login = ("--no-defaults", f"--socket={self.server.socket}", "--user=root", "--skip-column-names")
        return ["mariadb", *login, "--unbuffered", database.name], {**os.environ}


def on_postgres(postgres: Postgres, folder: Path) -> Database:
    """A new database of that server."""
    name = f"db_{secrets.token_hex(4)}"
    postgres.query(f"CREATE DATABASE {name}")
    login = f"{USER}:{quote(PASSWORD, safe='')}"
    folder.mkdir(exist_ok=True)
    return Database(f"postgres://{login}@127.0.0.1:{postgres.port}/{name}?sslmode=disable", folder, name)
