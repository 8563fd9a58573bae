"""What Atlas makes of names in a URL, on real servers: those that are let through reach the database that they name."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.spec.database import Aws
from dbupgrade.pod.identities import aws as iam
from e2e.cluster import tools
from e2e.scenarios.support.mariadb import MariaDb, mariadb
from tests.integration.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "db:5432/?Action=connect&DBUser=a%40b&X-Amz-Security-Token=a%2Fb+c%3D@:/?#&X-Amz-Signature=ab"
CONFIG = 'env "run" {\n  url = getenv("DATABASE_URL")\n}\n'


@dataclass
class Atlas:
    """Applies one migration."""

    program: Path
    folder: Path

    def run(self, *arguments: str, url: str = "") -> str:
        """Run it in the folder; returns what it says when it fails."""
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "DATABASE_URL": url}
        words = [str(self.program), "migrate", *arguments, "--dir", f"file://{self.folder}/migrations"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr if done.returncode else ""

    def apply(self, url: str) -> str:
        return self.run("apply", "--config", f"file://{self.folder}/atlas.hcl", "--env", "run", url=url)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("names")
    (folder / "migrations").mkdir()
    (folder / "migrations" / "1_first.sql").write_text("CREATE TABLE here (id int);\n")
    (folder / "atlas.hcl").write_text(CONFIG)
    found = Atlas(tools.binary("engine"), folder)
    assert found.run("hash") == ""
    return found


@pytest.fixture(scope="module")
def cli(atlas: Atlas) -> Atlas:
    """Atlas's own command line, which users may bring: names are refused for its sake."""
    return Atlas(tools.binary("atlas"), atlas.folder)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def mysql() -> Iterator[MariaDb]:
    with mariadb("127.0.0.1") as server:
        yield server


def url_for(port: int, **given: str) -> str:
    """The URL as the operator makes it, but for TLS, which these servers do not speak."""
    wanted = {"roleArn": "arn", "region": "r", "host": "127.0.0.1", "port": port, **given}
    url = iam.database_url(Aws.model_validate(wanted), TOKEN, verify=False)
    return url.replace("sslmode=require", "sslmode=disable").replace("tls=skip-verify&", "")


@pytest.mark.parametrize(
    "name", ["shop/1", "a?b=c&d", "a%41%2F", "a@b:c", " a'b\"c\\d ", "x/@tcp(127.0.0.1:9)/y", "ördér$(X)`+#"]
)
def test_postgresql_is_reached_by_every_name(atlas: Atlas, postgres: Postgres, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    postgres.query(f"CREATE DATABASE {quoted}")
    postgres.query(f"CREATE ROLE {quoted} SUPERUSER LOGIN PASSWORD '{TOKEN}'")
    assert atlas.apply(url_for(postgres.port, username=name, dbName=name)) == ""
    tables = "SELECT tableowner FROM pg_tables WHERE tablename = 'here'"
    assert postgres.query(tables, name) == [name]


def test_postgresql_cuts_long_names(atlas: Atlas, postgres: Postgres) -> None:
    postgres.query(f"CREATE DATABASE {'x' * 63}")
    postgres.query(f"CREATE ROLE short SUPERUSER LOGIN PASSWORD '{TOKEN}'")
    assert atlas.apply(url_for(postgres.port, username="short", dbName="x" * 70)) == ""


def user(server: MariaDb, name: str, database: str) -> None:
    login = "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
    server.rows(f"CREATE DATABASE `{database.replace('`', '``')}`")
    server.rows(f"CREATE USER IF NOT EXISTS {login} IDENTIFIED BY '{TOKEN}'")
    server.rows(f"GRANT ALL ON *.* TO {login}")


@pytest.mark.parametrize(
    ("username", "database"),
    [("a@b/c?d%41", "plain"), ("$(X)`\\'\"", "a@b c#d:e'f\"g"), ("order&=+", "a&b=c+d;e$f\\g")],
)
def test_mysql_is_reached_by_the_names_that_are_let_through(
    atlas: Atlas, mysql: MariaDb, username: str, database: str
) -> None:
    user(mysql, username, database)
    assert atlas.apply(url_for(mysql.port, username=username, dbName=database, dialect="mysql")) == ""
    quoted = database.replace("`", "``")
    assert "here" in mysql.rows(f"SHOW TABLES FROM `{quoted}`")


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("shop/1", "invalid DSN"),
        ("x/@tcp(127.0.0.1:9)/y", "dial tcp 127.0.0.1:9"),  # that is where the token would have gone
        ("shop?x=y", "Unknown system variable 'x'"),
        ("a`b", "error in your SQL syntax"),
        ("a(b)", "error in your SQL syntax"),
    ],
)
def test_mysql_is_not_reached_by_the_names_that_are_refused(
    cli: Atlas, mysql: MariaDb, database: str, said: str
) -> None:
    user(mysql, "app", database)
    assert said in cli.apply(url_for(mysql.port, username="app", dbName=database, dialect="mysql"))


def test_a_mysql_user_ends_at_a_colon(atlas: Atlas, mysql: MariaDb) -> None:
    user(mysql, "a:b", "colon")
    said = atlas.apply(url_for(mysql.port, username="a:b", dbName="colon", dialect="mysql"))
    assert "Access denied for user 'a'" in said
