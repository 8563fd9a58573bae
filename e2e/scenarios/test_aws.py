"""IAM authentication on the cluster: a database that lets in by a good token only, over TLS only, and an STS."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.aws import Sts
from e2e.aws.sts import REGION
from e2e.operator import ACCOUNT, Operator
from e2e.scenarios.support import rds_mysql
from e2e.scenarios.support.api import path
from e2e.scenarios.support.images import FIRST, SECOND, THIRD, THREE
from e2e.scenarios.support.rds import DATABASE, USER, rds
from e2e.scenarios.support.upgrade import DONE, RETRIED, held
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e.aws.directory import Directory
    from e2e.aws.sts import Role
    from e2e.operator import Launch
    from e2e.scenarios.support.rds import Rds
    from e2e.scenarios.support.rds_mysql import RdsMysql
    from e2e.scenarios.support.upgrade import Upgrade
    from e2e.scenarios.support.world import World

RETRY_SECONDS = 300
USERS = "SELECT count(*) FROM users"
WAIT = {
    "20250101000001_wait.sql": "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'gate') LOOP PERFORM pg_sleep(0.1); END LOOP; END $$;"
}
# Not this question itself, as an earlier connection that asked it may still be ending.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %LOOP%'"


@pytest.fixture
def sts(tmp_path: Path) -> Iterator[Sts]:
    with Sts(tmp_path / "sts.log") as running:
        yield running


@pytest.fixture
def role(lonely_world: World, sts: Sts) -> Role:
    """A role that the resource `app` may use."""
    made = sts.create_role("migrate", f"{lonely_world.namespace}/app")
    sts.enforce()
    return made


@pytest.fixture
def server(lonely_world: World, sts: Sts) -> Iterator[Rds]:
    with rds(lonely_world.cluster.host_ip, sts) as running:
        yield running
        _is_secret(lonely_world, sts, running.directory)


@pytest.fixture
def mysql(lonely_world: World, sts: Sts) -> Iterator[RdsMysql]:
    with rds_mysql.running(lonely_world.cluster.host_ip, sts) as running:
        yield running
        _is_secret(lonely_world, sts, running.directory)


def _is_secret(world: World, sts: Sts, directory: Directory) -> None:
    """No part of a token that the database has seen, nor of a session, may be seen elsewhere."""
    for token in directory.tokens:
        world.secrets |= {token, token.rpartition("X-Amz-Signature=")[2]}
    for session in sts.sessions().values():
        world.secrets |= {session.secret_key, session.session_token}
    world.secrets |= sts.secrets


@pytest.fixture
def start(
    lonely_world: World, sts: Sts, request: pytest.FixtureRequest, own_operator: Callable[..., Launch]
) -> Iterator[Callable[..., Operator]]:
    """Starts an operator with AWS on and what an installation then lets it do."""
    world = lonely_world
    server: Rds | RdsMysql = request.getfixturevalue("mysql" if "mysql" in request.fixturenames else "server")
    world.kubectl("create", "role", "aws", "--verb=create,update,delete", "--resource=secrets")
    world.kubectl(
        "create", "rolebinding", "aws", "--role=aws", f"--serviceaccount={world.namespace}:{ACCOUNT}"
    )
    settings = {
        **sts.environment(),
        "DBUPGRADE_WATCH_LABEL_SELECTOR": "e2e-operator=own",
        "DBUPGRADE_AWS_CA_BUNDLE": str(server.authority),
    }
    with contextlib.ExitStack() as running:
        yield lambda **more: running.enter_context(
            Operator.start(own_operator(world, **{**settings, **more}))
        )


def database(server: Rds | RdsMysql, role: Role, **changes: Any) -> dict[str, Any]:
    aws = {"roleArn": role.arn, "region": REGION, "host": server.host, "port": server.port}
    return {"type": "awsAurora", "aws": {**aws, "dbName": DATABASE, "username": USER, **changes}}


def failed(failure: str) -> Callable[[Upgrade], bool]:
    return lambda upgrade: bool(upgrade.run.get("failure") == failure)


def token_secrets(world: World) -> list[dict[str, Any]]:
    items = world.api.request("GET", path("secrets", world.namespace))["items"]
    return [item for item in items if item["metadata"]["name"].endswith("-token")]


def test_a_token_lets_the_migration_in_and_nothing_of_it_stays(
    lonely_world: World, server: Rds, role: Role, start: Callable[..., Operator]
) -> None:
    world = lonely_world
    operator = start()
    world.upgrade(world.image({**FIRST, **WAIT, **SECOND, **THIRD}), database=database(server, role))
    wait_until(lambda: server.rows(WAITING) == ["1"], "the migration is under way")
    server.directory.ahead = timedelta(minutes=16)  # a connection outlives its token
    server.rows("CREATE TABLE gate ()")
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["attempt"], upgrade.run["appliedCount"]) == (1, 4)
    assert server.rows(USERS) == ["10"]
    # A new connection for the file behind the wait is refused, so the engine goes on with the one that is open.
    assert set(server.directory.verdicts) == {"", "it has expired"}
    assert token_secrets(world) == []
    told = operator.metrics()
    assert not [token for token in server.directory.tokens if token in told]


def test_an_expired_token_and_an_unknown_server_are_refused_and_tried_again(
    lonely_world: World, server: Rds, role: Role, start: Callable[..., Operator], tmp_path: Path
) -> None:
    world = lonely_world
    operator = start()
    server.directory.ahead = timedelta(minutes=16)
    world.upgrade(world.image(THREE), database=database(server, role))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "TokenRefused"
    assert set(server.directory.verdicts) == {"it has expired"}
    assert token_secrets(world) == []

    operator.stop()
    other = tmp_path / "other.pem"
    other.write_bytes(_another_authority())
    server.directory.ahead = timedelta()
    operator = start(DBUPGRADE_AWS_CA_BUNDLE=str(other))
    upgrade = world.wait_run(2, seconds=RETRY_SECONDS)
    assert upgrade.run["failure"] == "TLSFailed"
    operator.stop()
    start()
    world.wait_for(DONE, seconds=RETRY_SECONDS)
    assert server.rows(USERS) == ["10"]


def test_the_other_engines_use_the_token_too(
    lonely_world: World, server: Rds, role: Role, start: Callable[..., Operator]
) -> None:
    """Psql with the wait before it, whose tools take the URL apart; then a command, which is given it as it is."""
    world = lonely_world
    start()
    database_ = database(server, role)
    image = world.push({"/migrations/001_users.sql": b"CREATE TABLE users (id int);\n"})
    waiting = {"waitForDatabaseSeconds": 60}
    world.upgrade(image, migrations={"engine": "Psql"}, database=database_, runner=waiting)
    assert world.wait_for(DONE).run["appliedCount"] == 1
    assert server.rows(USERS) == ["0"]
    seen = len(server.directory.tokens)
    assert set(server.directory.verdicts) == {""}

    # psql stands for the application's own command: libpq reads the URL as most of PostgreSQL's clients do.
    command = {
        "engine": "Command",
        "command": ["sh", "-c"],
        "args": ['exec psql "$DATABASE_URL" -c "INSERT INTO users VALUES (1)"'],
    }
    server.directory.ahead = timedelta(minutes=16)
    world.upgrade(world.cluster.psql_image, migrations=command, database=database_)
    assert world.wait_for(failed("TokenRefused")).verdict == RETRIED
    server.directory.ahead = timedelta()
    world.wait_for(DONE, seconds=RETRY_SECONDS)
    assert server.rows(USERS) == ["1"]
    assert set(server.directory.verdicts[seen:]) == {"it has expired", ""}
    assert token_secrets(world) == []


def test_mysql_is_sent_the_token_in_clear_over_trusted_tls(
    lonely_world: World, mysql: RdsMysql, role: Role, start: Callable[..., Operator], tmp_path: Path
) -> None:
    world = lonely_world
    other = tmp_path / "other.pem"
    other.write_bytes(_another_authority())
    operator = start(DBUPGRADE_AWS_CA_BUNDLE=str(other))
    aws = {"dialect": "mysql", "dbName": rds_mysql.DATABASE}
    world.upgrade(world.image({**FIRST, **SECOND}), database=database(mysql, role, **aws))
    assert world.wait_for(failed("TLSFailed")).verdict == RETRIED
    assert mysql.directory.tokens == []  # none was sent to a server that is not known
    operator.stop()

    mysql.directory.ahead = timedelta(minutes=16)
    start(DBUPGRADE_AWS_CA_BUNDLE=str(mysql.authority))
    assert world.wait_for(failed("TokenRefused"), seconds=RETRY_SECONDS).verdict == RETRIED
    assert set(mysql.directory.verdicts) == {"it has expired"}
    assert token_secrets(world) == []

    mysql.directory.ahead = timedelta()
    upgrade = world.wait_for(DONE, seconds=RETRY_SECONDS)
    assert upgrade.run["appliedCount"] == 2
    assert mysql.directory.verdicts[-1] == ""
    assert "users" in mysql.server.rows("SHOW TABLES")


def _another_authority() -> bytes:
    from e2e.cluster.pki import Authority  # noqa: PLC0415

    return Authority.create("somebody").cert_pem


def test_a_role_that_does_not_trust_the_resource_is_told_until_it_does(
    lonely_world: World, server: Rds, role: Role, sts: Sts, start: Callable[..., Operator]
) -> None:
    world = lonely_world
    sts.trust("migrate", "somebody/else")
    start()
    world.upgrade(world.image(THREE), database=database(server, role))
    upgrade = world.wait_for(held("AWSAuthFailed"))
    assert "AccessDenied" in upgrade.message
    assert world.created_jobs() == []
    sts.trust("migrate", f"{world.namespace}/app")
    world.wait_for(DONE, seconds=RETRY_SECONDS)


def test_a_pod_that_finds_a_node_late_connects_with_a_renewed_token(
    lonely_world: World, server: Rds, role: Role, start: Callable[..., Operator], tmp_path: Path
) -> None:
    world = lonely_world
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    start(
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    label = f"e2e-late-{world.namespace}"
    runner = {"nodeSelector": {label: "yes"}, "activeDeadlineSeconds": 3600}
    world.upgrade(world.image(THREE), database=database(server, role), runner=runner)
    world.wait_for(lambda upgrade: "cannot be scheduled" in upgrade.message, what="no node takes the pod")
    (first,) = token_secrets(world)
    clock.write_text("+420\n")
    server.directory.ahead = timedelta(
        seconds=16 * 60
    )  # a token of now is too old, one of seven minutes later is not
    world.annotate("app", "look", "again")

    def renewed() -> bool:
        return bool(token_secrets(world)[0]["data"] != first["data"])

    world.wait(renewed, "the token is renewed")
    (node,) = json.loads(world.kubectl("get", "nodes", "-o", "json"))["items"]
    name = node["metadata"]["name"]
    world.kubectl("label", "node", name, f"{label}=yes")
    try:
        world.wait_for(DONE, seconds=RETRY_SECONDS)
    finally:
        world.kubectl("label", "node", name, f"{label}-")
    assert set(server.directory.verdicts) == {""}
    assert token_secrets(world) == []
