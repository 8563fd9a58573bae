"""The script of an engine, run as its container runs it, on a real PostgreSQL and without a cluster."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dbupgrade.pod.engines.psql import report, script
from e2e.cluster import debian
from e2e.scenarios.support.mariadb import MariaDb, mariadb
from tests.integration.engines.servers import OnMariaDb, OnPostgres, on_postgres
from tests.integration.harness.postgres import PASSWORD, USER, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dbupgrade.pod.report import Report
    from tests.integration.engines.atlas import Database
    from tests.integration.engines.servers import Server

BUSYBOX_TOOLS = (
    "base64", "cat", "cut", "date", "grep", "head", "mkfifo", "mktemp", "sed", "sha256sum", "sleep", "tail", "tee", "tr", "wc",
)  # fmt: skip


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class Outcome:
    """How a run of a script ended."""

    code: int
    log: str
    report: Report


@dataclass
class Runner:
    """Runs the scripts on one database, with files in a folder."""

    postgres: Postgres
    database: str
    folder: Path
    shell: list[str]
    path: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def migrations(self) -> Path:
        return self.folder / "migrations"

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.postgres.port}/{self.database}"

    def write(self, files: Mapping[str, str]) -> None:
        """Make the folder hold these files and no others."""
        shutil.rmtree(self.migrations, ignore_errors=True)
        self.migrations.mkdir()
        for name, text in files.items():
            (self.migrations / name).write_text(text)

    def environment(self, **more: str) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        connection = {} if "DATABASE_URL" in more else self.postgres.environment(self.database)
        return {
            "PATH": self.path, "HOME": str(home), "MIGRATIONS": str(self.migrations), **connection, **self.extra, **more,
        }  # fmt: skip

    def start(self, script: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.shell, "-c", script],
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )

    def finish(self, process: subprocess.Popen[str]) -> Outcome:
        log, _ = process.communicate(timeout=300)
        found = report.parse(log, succeeded=process.returncode == 0, secrets=(PASSWORD,))
        return Outcome(process.returncode, log, found)

    def migrate(self, files: Mapping[str, str] | None = None, **more: str) -> Outcome:
        """Run the engine Psql, on `files` if they are given."""
        if files is not None:
            self.write(files)
        return self.finish(self.start(script.SCRIPT, **more))

    def query(self, sql: str) -> list[str]:
        return self.postgres.query(sql, self.database)

    @property
    def tables(self) -> list[str]:
        return self.query(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r'"
            " AND nspname NOT IN ('pg_catalog', 'information_schema') AND relname <> 'dbupgrade_migrations' ORDER BY 1"
        )

    @property
    def history(self) -> list[str]:
        return self.query("SELECT name FROM dbupgrade_migrations WHERE complete IS NOT NULL ORDER BY name")


@pytest.fixture
def runner(postgres: Postgres, tmp_path: Path) -> Runner:
    """Runs the scripts as Debian's tools do."""
    return make_runner(postgres, tmp_path, ["/bin/sh"], os.environ["PATH"])


@pytest.fixture(params=["debian", "busybox"])
def any_runner(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> Runner:
    """Runs the scripts with the tools of Debian, then with those of Alpine, where PostgreSQL's small image comes from."""
    if request.param == "debian":
        return make_runner(postgres, tmp_path, ["/bin/sh"], os.environ["PATH"])
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in BUSYBOX_TOOLS:
        (tools / name).symlink_to("/bin/busybox")
    for name in ("psql", "pg_isready"):
        (tools / name).symlink_to(debian.postgresql_bin() / name)
    return make_runner(postgres, tmp_path, ["/bin/busybox", "sh"], str(tools))


def make_runner(postgres: Postgres, folder: Path, shell: list[str], path: str) -> Runner:
    database = f"db_{secrets.token_hex(4)}"
    postgres.query(f"CREATE DATABASE {database}")
    runner = Runner(postgres, database, folder, shell, path)
    runner.write({})
    return runner


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> Database:
    """A new database, for engines with Atlas's command line."""
    return on_postgres(postgres, tmp_path)


@pytest.fixture(scope="session")
def maria() -> Iterator[MariaDb]:
    with mariadb("127.0.0.1") as server:
        yield server


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "postgres":
        return OnPostgres(request.getfixturevalue("postgres"))
    return OnMariaDb(request.getfixturevalue("maria"))
