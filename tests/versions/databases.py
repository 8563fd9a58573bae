"""A database of one's own on a server of some version, as the engines and the tests reach it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from e2e.scenarios.support.mariadb import WAIT_AT_GATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from e2e.scenarios.support.mariadb import MariaDb
    from tests.integration.harness.postgres import Postgres


class Database(Protocol):
    """What a scenario needs of a database, whoever made the server."""

    @property
    def password(self) -> str:
        """The right one."""

    @property
    def plain(self) -> str:
        """Parameters of a URL for a connection without TLS."""

    @property
    def encrypted(self) -> str:
        """Parameters for TLS with whatever server answers."""

    @property
    def verified(self) -> str:
        """Parameters for TLS with a server whose certificate is trusted."""

    @property
    def is_encrypted(self) -> str:
        """An SQL expression: whether the session that evaluates it has TLS."""

    @property
    def untrusted(self) -> str:
        """Parameters for TLS with a server whose certificate must be trusted, and is not."""

    @property
    def wait_at_gate(self) -> str:
        """A migration that waits at the gate."""

    def url(self, parameters: str = "", password: str = "") -> str:
        """Where an engine connects to, by default without TLS and with the right password."""

    def rows(self, query: str) -> list[str]:
        """Run statements; the rows that they find."""

    def gate(self) -> AbstractContextManager[None]:
        """Hold each migration that waits at the gate, until the block ends."""

    def waits(self) -> bool:
        """Whether a migration waits at the gate."""

    @property
    def tables(self) -> set[str]:
        """The tables, without those of a history."""


@dataclass(frozen=True)
class OnPostgres:
    """A database on a PostgreSQL, whose certificate `authority` has signed."""

    server: Postgres
    authority: Path
    name: str

    plain = "sslmode=disable"
    encrypted = "sslmode=require"
    untrusted = "sslmode=verify-full"
    # No lock is waited for, since that may be limited; each statement of a block sees what was committed before it.
    wait_at_gate = (
        "do $$ begin while not exists (select from gate.opened) loop perform pg_sleep(0.1); end loop; end $$;"
    )
    is_encrypted = "(select ssl from pg_stat_ssl where pid = pg_backend_pid())"

    @classmethod
    def create(cls, server: Postgres, authority: Path) -> OnPostgres:
        name = f"db_{secrets.token_hex(4)}"
        server.query(f"create database {name}")
        return cls(server, authority, name)

    @property
    def password(self) -> str:
        return self.server.password

    @property
    def verified(self) -> str:
        return f"sslmode=verify-full&sslrootcert={self.authority}"

    def url(self, parameters: str = "", password: str = "") -> str:
        login = f"{self.server.user}:{quote(password or self.password, safe='')}"
        return f"postgres://{login}@127.0.0.1:{self.server.port}/{self.name}?{parameters or self.plain}"

    def rows(self, query: str) -> list[str]:
        return self.server.query(query, self.name)

    @contextmanager
    def gate(self) -> Iterator[None]:
        self.rows("create schema gate; create table gate.opened ()")
        try:
            yield
        finally:
            self.rows("insert into gate.opened default values")

    def waits(self) -> bool:
        return self.rows(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        ) == ["1"]

    @property
    def tables(self) -> set[str]:
        return set(
            self.rows(
                "select tablename from pg_tables where schemaname = 'public' and tablename <> 'dbupgrade_migrations'"
            )
        )


@dataclass(frozen=True)
class OnMariaDb:
    """A database on a MariaDB, whose certificate nobody has signed whom an engine could know."""

    server: MariaDb
    name: str

    plain = "tls=false"
    encrypted = "tls=skip-verify"
    verified = encrypted  # Atlas's URL has no parameter for an authority
    untrusted = "tls=true"
    wait_at_gate = WAIT_AT_GATE
    is_encrypted = "(select variable_value <> '' from information_schema.session_status where variable_name = 'ssl_cipher')"

    @classmethod
    def create(cls, server: MariaDb) -> OnMariaDb:
        name = f"db_{secrets.token_hex(4)}"
        server.rows(f"create database {name}; grant all on {name}.* to shop")
        return cls(server, name)

    @property
    def password(self) -> str:
        return self.server.password

    def url(self, parameters: str = "", password: str = "") -> str:
        base = self.server.url(password=quote(password, safe="")).rpartition("/")[0]
        return f"{base}/{self.name}?{parameters or self.plain}"

    def rows(self, query: str) -> list[str]:
        return self.server.rows(f"use {self.name}; {query}")

    def gate(self) -> AbstractContextManager[None]:
        return self.server.closed_gate()

    def waits(self) -> bool:
        return self.rows("select count(*) from information_schema.processlist where state = 'User lock'") == [
            "1"
        ]

    @property
    def tables(self) -> set[str]:
        return set(
            self.rows(
                "select table_name from information_schema.tables where table_schema = database()"
                " and table_name <> 'atlas_schema_revisions'"
            )
        )
