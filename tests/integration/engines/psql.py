"""The runner with the engine Psql, run as its container runs it, on a real PostgreSQL and without a cluster."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbupgrade.pod import message
from tests.integration.harness import forked
from tests.integration.harness.postgres import PASSWORD, USER, Postgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbupgrade.api.failure import Failure
    from dbupgrade.pod.report import Report

ROOT = Path(__file__).parents[3]
SECRETS = (PASSWORD, quote(PASSWORD, safe=""))
ONE = {"001_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text);\n"}
TWO = {"002_orders.sql": "CREATE TABLE orders (id int);\nINSERT INTO users VALUES (1, 'one');\n"}
NO_TRANSACTION = "-- dbupgrade:txmode none\n"
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND state = 'active' AND datname = current_database()"


@dataclass
class Outcome:
    """How a run ended."""

    code: int
    log: str
    report: Report

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log, of which each line is an event."""
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def printed(self) -> list[str]:
        """What the log has of what the files print."""
        return [event["output"] for event in self.events if event["event"] == "printed"]


@dataclass
class Runner:
    """The runner on one database, with files in a folder."""

    postgres: Postgres
    database: str
    folder: Path

    @classmethod
    def create(cls, postgres: Postgres, folder: Path) -> Runner:
        """Make a database, and a folder without files."""
        database = f"db_{secrets.token_hex(4)}"
        postgres.query(f"CREATE DATABASE {database}")
        runner = cls(postgres, database, folder)
        runner.write({})
        return runner

    @property
    def migrations(self) -> Path:
        return self.folder / "migrations"

    def url(
        self, *, user: str = USER, password: str = PASSWORD, port: str = "", database: str = "", **more: str
    ) -> str:
        """The URL of the database, with parameters."""
        login = f"{user}:{quote(password, safe='')}"
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in more.items())
        return (
            f"postgres://{login}@127.0.0.1:{port or self.postgres.port}/{database or self.database}?{query}"
        )

    def write(self, files: Mapping[str, str]) -> None:
        """Make the folder hold these files and no others."""
        shutil.rmtree(self.migrations, ignore_errors=True)
        self.migrations.mkdir()
        for name, text in files.items():
            (self.migrations / name).write_text(text)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": self.url(),
            "MIGRATION_DIR": str(self.migrations),
            "MIGRATE_ENGINE": "Psql",
            "MIGRATE_FORMAT": "json",
            "MIGRATE_WAIT_TIMEOUT": "0s",
            **more,
        }

    def migrate(
        self, files: Mapping[str, str] | None = None, *, report: str = "report", **more: str
    ) -> Outcome:
        """Apply the folder, with `files` in it if they are given, and leave the report in a file of that name."""
        if files is not None:
            self.write(files)
        left = self.folder / report
        left.unlink(missing_ok=True)
        done = forked.run(["migrate", "apply", "--report", str(left)], self.environment(**more))
        return self._outcome(done.code, done.out, done.err, left)

    def start(self, name: str = "report", **more: str) -> subprocess.Popen[str]:
        """Start to apply the folder, and leave the report in a file of that name."""
        return subprocess.Popen(
            [sys.executable, "-m", "dbupgrade", "migrate", "apply", "--report", str(self.folder / name)],
            env=self.environment(**more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str], name: str = "report") -> Outcome:
        out, err = process.communicate(timeout=300)
        return self._outcome(process.returncode, out, err, self.folder / name)

    def _outcome(self, code: int, out: str, err: str, report: Path) -> Outcome:
        assert err == ""
        for line in out.splitlines():
            assert not [secret for secret in SECRETS if secret in str(json.loads(line))], line
        found = message.read(report.read_text())
        assert found is not None
        assert (found.failure is None) == (code == 0), out
        return Outcome(code, out, found)

    def query(self, sql: str) -> list[str]:
        return self.postgres.query(sql, self.database)

    def until(self, sql: str, rows: list[str]) -> None:
        """Wait until a query has these rows."""
        deadline = time.monotonic() + 300
        while self.query(sql) != rows:
            assert time.monotonic() < deadline, sql
            time.sleep(0.1)

    @property
    def tables(self) -> list[str]:
        return self.query(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r'"
            " AND nspname NOT IN ('pg_catalog', 'information_schema') AND relname <> 'dbupgrade_migrations' ORDER BY 1"
        )

    @property
    def history(self) -> list[str]:
        return self.query("SELECT name FROM dbupgrade_migrations WHERE complete IS NOT NULL ORDER BY name")


def failure(outcome: Outcome) -> tuple[Failure | None, str | None]:
    """Why a run failed, and in which file."""
    return outcome.report.failure, outcome.report.failed_file
