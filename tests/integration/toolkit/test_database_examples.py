"""examples/databases: each is accepted by the API server and the operator; those whose server there is here migrate it."""

from __future__ import annotations

import copy
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
import yaml

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.api.spec.policy import Policy
from dbupgrade.decide import validation
from dbupgrade.kube.resources import ResourceKind
from dbupgrade.pod.connection import secrets
from dbupgrade.pod.connection.url import SCHEMES
from e2e.cluster.pki import Authority
from e2e.scenarios.support.mariadb import mariadb
from tests.integration.harness.pgbouncer import pgbouncer
from tests.integration.harness.postgres import Postgres
from tests.integration.toolkit.conftest import PASSWORD, ROOT, Server, Toolkit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbupgrade.kube.client import Client

Object = dict[str, Any]

EXAMPLES = ROOT / "examples/databases"
FILES = sorted(EXAMPLES.glob("*.yaml"))
OTHER_OPERATORS = {"Cluster", "PostgresCluster", "postgresql"}
PLURALS = {"NetworkPolicy": "networkpolicies"}
MIGRATION = "create table orders (id {serial} primary key, note varchar(99));"


def _objects(file: Path) -> list[Object]:
    return list(yaml.safe_load_all(file.read_text()))


def _connection(name: str) -> Object:
    """Of the DBUpgrade in an example."""
    found: Object = next(o for o in _objects(EXAMPLES / f"{name}.yaml") if o["kind"] == "DBUpgrade")
    connection: Object = found["spec"]["database"]["connection"]
    return connection


def _secrets(name: str) -> dict[str, Object]:
    objects = _objects(EXAMPLES / f"{name}.yaml")
    return {o["metadata"]["name"]: o["stringData"] for o in objects if o["kind"] == "Secret"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_api_server_accepts(admin: Client, namespace: str, file: Path) -> None:
    for obj in _objects(file):
        if obj["kind"] in OTHER_OPERATORS:
            continue
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = ResourceKind(group, version, PLURALS.get(obj["kind"], f"{obj['kind'].lower()}s"))
        query = {"fieldValidation": "Strict", "dryRun": "All"}
        await admin.request("POST", kind.collection(namespace), query=query, body=obj)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_operator_accepts(file: Path) -> None:
    (found,) = [obj for obj in _objects(file) if obj["kind"] == "DBUpgrade"]
    spec, wrong = validation.parse(found["spec"])
    assert spec
    assert not wrong
    assert not validation.problems(spec)
    given = _secrets(file.stem)
    if connection := spec.database.connection:
        for what, reference in secrets.secret_references(connection):
            if reference.name in given:
                value = given[reference.name][reference.key]
                assert not secrets.problem(value, what, SCHEMES, Engine.ATLAS, Policy())


def test_the_readme_names_every_file() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    assert [file.name for file in EXAMPLES.iterdir() if f"({file.name})" not in readme] == ["README.md"]


@dataclass
class Database:
    """A server on which an example is tried; its host is not the one in the example."""

    postgres: Postgres
    toolkit: Toolkit

    def run_as(self, user: str, sql: str) -> None:
        """With psql, from the database postgres on."""
        client = copy.copy(self.postgres)
        client.user = user
        client.query(sql)

    def apply(self, connection: Object, values: dict[str, Object], port: int = 0) -> tuple[int, str]:
        """What `dbupgrade migrate apply` says with that connection and the Secrets' values."""
        self.toolkit.write(v1=MIGRATION.format(serial="bigserial"))
        done = self.toolkit.run("apply", **_variables(connection, values, port or self.postgres.port))
        return done.code, done.text

    def refused(self, user: str, password: str, sql: str) -> str | None:
        url = f"postgres://{user}:{password}@127.0.0.1:{self.postgres.port}/shop?sslmode=require"
        return self.toolkit.fails_as(url, sql)


def _variables(connection: Object, values: dict[str, Object], port: int) -> dict[str, str]:
    """The connection as the toolkit gets it, on this machine."""
    if reference := connection.get("urlSecretRef"):
        url = values[reference["name"]][reference.get("key", "url")]
        login = urlsplit(url).netloc.rpartition("@")[0]
        return {"DATABASE_URL": urlsplit(url)._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()}
    user, password = (connection[f"{name}SecretRef"] for name in ("user", "password"))
    return {
        "DATABASE_URL": "",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(port),
        "DB_NAME": connection["database"],
        "DB_SCHEMA": connection.get("schema", ""),
        "DB_SSLMODE": connection["sslMode"],
        "DB_USER": values[user["name"]][user["key"]],
        "DB_PASSWORD": values[password["name"]][password["key"]],
    }


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with TLS."""
    pair = Authority.create("database").issue("database", ips=["127.0.0.1"])
    files = {"server.crt": pair.cert_pem, "server.key": pair.key_pem}
    server = Postgres(files=files, settings={"ssl": "on"}, login=("admin", PASSWORD))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> Iterator[Database]:
    yield Database(postgres, Toolkit(Server(postgres.port), "shop", tmp_path))
    postgres.query("drop database if exists shop with (force)")
    for role in ("shop", "shop_migrations", "manager"):
        postgres.query(f"drop role if exists {role}")


@pytest.mark.parametrize("administrator", ["admin", "manager"])
def test_postgresql(database: Database, administrator: str) -> None:
    """By a superuser, and by an administrator as managed services have them."""
    database.run_as("admin", f"create role manager login createdb createrole password '{PASSWORD}'")
    database.run_as(administrator, (EXAMPLES / "postgresql.sql").read_text())
    code, text = database.apply(_connection("postgresql"), _secrets("postgresql"))
    assert code == 0, text
    assert database.refused("shop", "change-me-too", "insert into orders (note) values ('x')") is None
    if administrator == "admin":  # before PostgreSQL 15, nobody else can take that from everybody
        assert database.refused("shop", "change-me-too", "create table mine (id int)") == "42501"
    assert database.refused("shop", "change-me-too", "alter table orders add mine int") == "42501"


def test_pgbouncer_with_an_entry_of_its_own_in_session_mode(database: Database) -> None:
    database.run_as("admin", (EXAMPLES / "postgresql.sql").read_text())
    (config,) = [o for o in _objects(EXAMPLES / "pgbouncer.yaml") if o["kind"] == "ConfigMap"]
    entries = config["data"]["pgbouncer.ini"].partition("[databases]\n")[2].partition("\n\n")[0]
    entries = entries.replace(
        "host=postgres.databases.svc port=5432",
        "host=127.0.0.1 port={server} user={user} password='{password}'",
    )
    with pgbouncer(database.postgres.port, ("shop_migrations", "change-me"), "transaction", entries) as port:
        given = _secrets("pgbouncer")
        code, text = database.apply(_connection("pgbouncer"), given, port)
        assert code == 0, text
        given["shop-database"]["url"] = given["shop-database"]["url"].replace("/shop_migrations?", "/shop?")
        code, text = database.apply(_connection("pgbouncer"), given, port)
        assert (code, "transaction" in text) == (2, True), text


def test_cloudnativepg(database: Database) -> None:
    """Its Secret and its user, as its documentation describes them."""
    database.run_as("admin", "create role shop login password 'generated'; create database shop owner shop")
    uri = "postgresql://shop:generated@shop-db-rw.default:5432/shop"
    code, text = database.apply(_connection("cloudnativepg"), {"shop-db-app": {"uri": uri}})
    assert code == 0, text


def test_crunchy_with_a_schema_for_the_user(database: Database) -> None:
    """Its Secret and its user, as its code makes them; with the URL, it says what is missing in the schema public."""
    password = "a^b|c=d,e;f:g"
    user = f"create role shop login password '{password}'; create database shop; grant all on database shop to shop"
    database.run_as("admin", f"{user};\n\\connect shop\nrevoke create on schema public from public")
    uri = f"postgresql://shop:{quote(password, safe='')}@shop-db-primary.default.svc:5432/shop"
    values = {"shop-db-pguser-shop": {"uri": uri, "user": "shop", "password": password}}
    by_url = {"urlSecretRef": {"name": "shop-db-pguser-shop", "key": "uri"}}
    code, text = database.apply(by_url, values)
    assert (code, "GRANT CREATE ON SCHEMA public TO shop" in text) == (14, True), text
    database.run_as("admin", "\\connect shop\ncreate schema shop authorization shop")
    code, text = database.apply(_connection("crunchy"), values)
    assert code == 0, text
    assert database.toolkit.fetch("select relname from pg_class where oid = 'shop.orders'::regclass") == [
        "orders"
    ]


def test_zalando(database: Database) -> None:
    """Its Secret and its user, as its documentation describes them."""
    database.run_as("admin", "create role shop login password 'generated'; create database shop owner shop")
    secret = "shop.shop-db.credentials.postgresql.acid.zalan.do"
    values = {secret: {"username": "shop", "password": "generated"}}
    code, text = database.apply(_connection("zalando"), values)
    assert code == 0, text


def test_the_default_engine_does_not_know_channel_binding(database: Database) -> None:
    """As neon.yaml says."""
    database.run_as("admin", (EXAMPLES / "postgresql.sql").read_text())
    url = f"postgres://shop_migrations:change-me@127.0.0.1:{database.postgres.port}/shop?sslmode=require"
    database.toolkit.write(v1="select 1;")
    refused = database.toolkit.run("apply", DATABASE_URL=f"{url}&channel_binding=require")
    assert (refused.code, "channel_binding" in refused.text) == (2, True), refused.text


def test_mariadb(tmp_path: Path) -> None:
    with mariadb("127.0.0.1") as server:
        login = ["mariadb", "--no-defaults", f"--socket={server.socket}", "--user=root"]
        sql = "drop database shop; drop user shop;\n" + (EXAMPLES / "mysql.sql").read_text()
        subprocess.run(login, input=sql, text=True, check=True)
        toolkit = Toolkit(Server(server.port), "shop", tmp_path)
        toolkit.write(v1=MIGRATION.format(serial="serial"))
        url = _variables(_connection("mariadb"), _secrets("mariadb"), server.port)["DATABASE_URL"]
        done = toolkit.run("apply", DATABASE_URL=url.partition("?")[0])
        assert done.code == 0, done.text
        application = ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={server.port}", "--user=shop"]
        application += ["--password=change-me-too", "shop", "--execute"]
        assert (
            subprocess.run([*application, "insert into orders (note) values ('x')"], check=False).returncode
            == 0
        )
        refused = subprocess.run(
            [*application, "alter table orders add mine int"], capture_output=True, text=True, check=False
        )
        assert "ERROR 1142" in refused.stderr
