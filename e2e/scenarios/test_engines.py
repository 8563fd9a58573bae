"""The engines Psql and Command, the connection in parts, and the wait for a database: real pods on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import socketserver
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster.images import Folder, Link, programs
from e2e.operator import Operator
from e2e.ports import free_port
from e2e.scenarios.support.images import FIRST, THREE
from e2e.scenarios.support.psql import PSQL, USERS, parts, sql_image
from e2e.scenarios.support.tls import OWNER, tls_server
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e.cluster.images import Content
    from e2e.operator import Launch
    from e2e.scenarios.support.world import World


def test_atlas_takes_the_connection_in_parts(world: World) -> None:
    world.upgrade(world.image(THREE), database=parts(world))
    assert world.wait_for(DONE).run["appliedCount"] == 3
    assert world.database.tables == ["orders", "users"]


# --- Command -----------------------------------------------------------------------------------------------------

MIGRATE = """
set -e
test "$EXTRA-$FROM_SECRET-$FROM_MAP-$COST" = 'a-b-c-$(DB_HOST)'
export PGHOST="$DB_HOST" PGPORT="$DB_PORT" PGDATABASE="$DB_DATABASE" PGUSER="$DB_USER" PGPASSWORD="$DB_PASSWORD"
touch /tmp/writable
psql -v ON_ERROR_STOP=1 -c 'CREATE TABLE users (id int)'
"""


def test_the_applications_own_command_migrates(world: World) -> None:
    database = parts(world)
    for kind, plural, data in (("Secret", "secrets", "stringData"), ("ConfigMap", "configmaps", "data")):
        body = {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": "extra"},
            data: {"key": "bc"[kind == "ConfigMap"]},
        }
        world.api.apply(body, plural, world.namespace)
    image = world.push({"/app/migrate.sh": MIGRATE.encode()}, base=world.cluster.psql_image)
    reference = {"name": "extra", "key": "key"}
    env = [
        {"name": "EXTRA", "value": "a"},
        {"name": "COST", "value": "$(DB_HOST)"},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": reference}},
        {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": reference}},
    ]
    command = {"engine": "Command", "command": ["sh"], "args": ["/app/migrate.sh"], "env": env}
    world.upgrade(image, migrations=command, database=database, runner={"runAsUser": 1000, "runAsGroup": 0})
    upgrade = world.wait_for(DONE)
    assert upgrade.message == f"the command of {image} ended with success"
    assert world.database.tables == ["users"]


def test_a_command_that_fails_is_told_with_the_end_of_its_log_and_without_its_secrets(world: World) -> None:
    script = b'echo "first words"; echo "connecting with $DB_PASSWORD"; echo "it went wrong"; exit 3'
    image = world.push({"/app/migrate.sh": script}, base=world.cluster.psql_image)
    command = {"engine": "Command", "command": ["sh", "/app/migrate.sh"]}
    world.upgrade(image, migrations=command, database=parts(world), policy={"errorDetail": "Full"})
    upgrade = world.wait_for(STALLED)
    assert upgrade.run["failure"] == "CommandFailed"
    assert upgrade.run["error"] == "exit code 3: first words connecting with *** it went wrong"
    assert len(world.created_jobs()) == 1


def npm() -> dict[str, Content]:
    """Node and npm of this machine, as an application's image would have them."""
    node, tool = shutil.which("node"), shutil.which("npm")
    assert node, "install Node: the scenario makes an image of it"
    assert tool, "install npm: the scenario makes an image of it"
    home = Path(tool).resolve().parents[1]
    start = Link("/usr/local/lib/npm/bin/npm-cli.js")
    return {**programs(Path(node)), "/usr/bin": Folder(), "/usr/local/lib/npm": home, "/usr/local/bin/npm": start,
            "/usr/bin/env": Link("/bin/busybox")}  # fmt: skip


def test_npm_run_migrate(world: World) -> None:
    package = {"name": "app", "version": "1.0.0", "scripts": {"migrate": "node migrate.js"}}
    script = (
        "const {execFileSync} = require('child_process'); const e = process.env;"
        "execFileSync('psql', ['-v', 'ON_ERROR_STOP=1', '-c', 'CREATE TABLE from_node (id int)'], {env: {...e, "
        "PGHOST: e.DB_HOST, PGPORT: e.DB_PORT, PGDATABASE: e.DB_DATABASE, PGUSER: e.DB_USER, PGPASSWORD: e.DB_PASSWORD}});"
    )
    app = {"/app/package.json": json.dumps(package).encode(), "/app/migrate.js": script.encode()}
    image = world.push({**npm(), **app}, base=world.cluster.psql_image)
    command = {"engine": "Command", "command": ["npm"], "args": ["--prefix", "/app", "run", "migrate"]}
    world.upgrade(image, migrations=command, database=parts(world))
    world.wait_for(DONE)
    assert world.database.tables == ["from_node"]


# --- TLS ---------------------------------------------------------------------------------------------------------

KNOWN = b"""
set -e
export PGHOST="$DB_HOST" PGPORT="$DB_PORT" PGDATABASE="$DB_DATABASE" PGUSER="$DB_USER" PGPASSWORD="$DB_PASSWORD"
export PGSSLMODE="$DB_SSLMODE" PGSSLROOTCERT="$DB_SSLROOTCERT"
psql -v ON_ERROR_STOP=1 -c 'CREATE TABLE users (id int)'
"""


def test_every_engine_knows_the_server_by_the_given_certificates(world: World) -> None:
    with tls_server(world.cluster.host_ip, world.database.password) as server:
        command = {"engine": "Command", "command": ["sh", "/app/migrate.sh"]}
        script = world.push({"/app/migrate.sh": KNOWN}, base=world.cluster.psql_image)
        plain = sql_image(world, USERS)
        engines = {"atlas": ({}, world.image(THREE)), "psql": (PSQL, plain), "command": (command, script)}
        world.secret(OWNER, name="owner", key="username")
        user = {"userSecretRef": {"name": "owner"}}
        place = {"host": server.host, "port": server.port, "sslMode": "verify-full", **user}
        for name, text in (("known", server.authority), ("stranger", server.stranger)):
            world.secret(text, name=name, key="ca.crt")
        for name, (migrations, image) in engines.items():
            server.rows(f"CREATE DATABASE {name}")
            given = parts(world, **place, database=name, caSecretRef={"name": "known"})
            runner = {"waitForDatabaseSeconds": 60}
            world.upgrade(image, name, migrations=migrations, database=given, runner=runner)
        for name in engines:
            world.wait_for(DONE, name)
            assert server.rows("SELECT to_regclass('users')", name) == ["users"]
        for name, (migrations, image) in engines.items():
            given = parts(world, **place, database=name, caSecretRef={"name": "stranger"})
            full = {"errorDetail": "Full"}
            world.upgrade(image, f"not-{name}", migrations=migrations, database=given, policy=full)
        for name in engines:
            run = world.wait_for(STALLED, f"not-{name}").run
            assert run["failure"] == "ConnectionSettings"


# --- Atlas's own command line --------------------------------------------------------------------------------------


def test_atlas_own_command_line_and_our_engine_go_on_where_the_other_stopped(
    lonely_world: World, own_operator: Callable[..., Launch]
) -> None:
    world = lonely_world
    own = {"DBUPGRADE_WATCH_LABEL_SELECTOR": "e2e-operator=own"}
    world.secret()
    with Operator.start(own_operator(world, **own, DBUPGRADE_ATLAS_IMAGE=world.cluster.atlas_cli_image)):
        world.upgrade(world.image({**FIRST, "20250102000000_bad.sql": "SELECT nope;"}))
        run = world.wait_for(STALLED).run
        assert (run["failure"], run["failedFile"], run["appliedCount"]) == (
            "SQLError",
            "20250102000000_bad.sql",
            1,
        )
    with Operator.start(own_operator(world, **own)):
        world.upgrade(world.image(THREE))
        assert world.wait_for(DONE).run["appliedCount"] == 2
    writers = "SELECT operator_version FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY version"
    assert world.database.rows(writers) == ["Atlas CLI - development", "DBUpgrade 0.1.0", "DBUpgrade 0.1.0"]


# --- the wait ----------------------------------------------------------------------------------------------------


def test_a_database_that_never_comes_is_named(world: World) -> None:
    runner = {"waitForDatabaseSeconds": 2, "backoffLimit": 1}
    port = free_port()
    world.upgrade(sql_image(world, USERS), migrations=PSQL, database=parts(world, port=port), runner=runner)
    upgrade = world.wait_for(RETRIED)
    host = world.database.server.partition(":")[0]
    assert upgrade.run["failure"] == "DatabaseUnreachable"
    assert f"{host}:{port}: no connection within 2 s: connection refused" in upgrade.message
    # The Job itself has tried twice.
    pods = {obj["metadata"]["name"] for _, obj in world.record.changes("pods") if obj}
    assert len([name for name in pods if name.startswith(upgrade.run["jobName"])]) == 2


def test_a_database_that_is_still_starting_is_waited_for(world: World) -> None:
    address = (world.cluster.host_ip, free_port())
    database = parts(world, host=address[0], port=address[1])
    world.upgrade(
        sql_image(world, USERS), migrations=PSQL, database=database, runner={"waitForDatabaseSeconds": 120}
    )
    job = world.wait_migrating().run["jobName"]
    wait_until(lambda: "waiting for the database" in world.kubectl("logs", f"job/{job}"), "it waits")
    with forwarding(address, world.database.server):
        assert world.wait_for(DONE).run["attempt"] == 1


class Forwarder(socketserver.ThreadingTCPServer):
    """A server at an address that leads to another one."""

    allow_reuse_address = True
    to: tuple[str, int]


class Forwarding(socketserver.BaseRequestHandler):
    """One connection, forth and back until both sides have ended."""

    def handle(self) -> None:
        assert isinstance(self.server, Forwarder)
        with socket.create_connection(self.server.to) as other:
            back = threading.Thread(target=copy, args=(other, self.request))
            back.start()
            copy(self.request, other)
            back.join()


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def forwarding(address: tuple[str, int], server: str) -> Iterator[None]:
    """Let `address` lead to `server` for the time of the block."""
    host, _, port = server.partition(":")
    with Forwarder(address, Forwarding) as forwarder:
        forwarder.to = (host, int(port or 5432))
        threading.Thread(target=forwarder.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            forwarder.shutdown()
