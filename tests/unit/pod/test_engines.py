"""What engines have in common: the connection, the certificates, what is a new run, and what is refused."""

from typing import Any

import pytest

from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.decide import validation
from dbupgrade.pod.engines import ENGINES, named
from dbupgrade.pod.job import job, schemes
from dbupgrade.pod.steps import STEPS
from tests.unit.decide.builders import (
    NAMESPACE,
    SETTINGS,
    a_resource,
    a_spec,
    an_intent,
    conditions,
    decide,
    message,
    observe,
)

Object = dict[str, Any]

PARTS = {
    "host": "db",
    "database": "orders",
    "schema": "tenant",
    "userSecretRef": {"name": "login"},
    "passwordSecretRef": {"name": "login", "key": "pw"},
    "sslMode": "require",
}
IN_PARTS = {"type": "selfHosted", "connection": PARTS}
COMMAND = {"engine": "Command", "command": ["npm"], "args": ["run", "migrate $(DB_HOST)"]}


def pod(**changes: Any) -> Object:
    spec = a_spec(**changes)
    template: Object = job(a_resource(spec), an_intent(spec), SETTINGS)["spec"]["template"]
    return template


def migrate(**changes: Any) -> Object:
    (container,) = pod(**changes)["spec"]["containers"]
    return dict(container)


def environment(container: Object) -> Object:
    return {
        entry["name"]: entry.get("value") or entry["valueFrom"]["secretKeyRef"] for entry in container["env"]
    }


# --- the Job -----------------------------------------------------------------------------------------------------


def test_the_runner_gets_the_parts_of_the_connection() -> None:
    (container,) = pod(database=IN_PARTS)["spec"]["containers"]
    given = {name: value for name, value in environment(container).items() if name.startswith("DB_")}
    assert given == {
        "DB_HOST": "db",
        "DB_PORT": "5432",
        "DB_NAME": "orders",
        "DB_USER": {"name": "login", "key": "username"},
        "DB_PASSWORD": {"name": "login", "key": "pw"},
        "DB_SCHEMA": "tenant",
        "DB_SSLMODE": "require",
    }


def test_the_runner_is_told_the_engine() -> None:
    container = migrate(migrations={"engine": "Psql", "baseline": "007"})
    given = environment(container)
    assert (given["MIGRATE_ENGINE"], given["MIGRATE_BASELINE_VERSION"]) == ("Psql", "007")
    assert container["image"] == SETTINGS.runner_image
    assert "command" not in container


@pytest.mark.parametrize(
    ("migrations", "variable"),
    [({}, "PGSSLROOTCERT"), ({"engine": "Psql"}, "PGSSLROOTCERT"), (COMMAND, "DB_SSLROOTCERT")],
    ids=["Atlas", "Psql", "Command"],
)
def test_the_certificates_of_the_database_reach_every_engine(migrations: Object, variable: str) -> None:
    known = {**PARTS, "sslMode": "verify-full", "caSecretRef": {"name": "authority"}}
    database = {"type": "selfHosted", "connection": known}
    template = pod(migrations=migrations, database=database, runner={"waitForDatabaseSeconds": 30})
    (container,) = template["spec"]["containers"]
    file = "/etc/dbupgrade-ca/ca.crt"
    assert environment(container)[variable] == file
    assert {"name": "authority", "mountPath": "/etc/dbupgrade-ca", "readOnly": True} in container[
        "volumeMounts"
    ]
    item = {"key": "ca.crt", "path": "ca.crt"}
    volume = {"name": "authority", "secret": {"secretName": "authority", "items": [item]}}
    assert volume in template["spec"]["volumes"]
    for other in template["spec"]["initContainers"]:
        mounted = [mount for mount in other["volumeMounts"] if mount["name"] == "authority"]
        assert bool(mounted) == (other["name"] == "hold-lock")


def test_only_failures_to_connect_are_tried_again_by_the_job() -> None:
    spec = a_spec(runner={"backoffLimit": 3, "runAsUser": 1000, "runAsGroup": 0})
    body = job(a_resource(spec), an_intent(spec), SETTINGS)["spec"]
    assert body["backoffLimit"] == 3
    assert body["podFailurePolicy"]["rules"][1:] == [
        {"action": "FailJob", "onExitCodes": {"containerName": name, "operator": "NotIn", "values": [75]}}
        for name in ("fetch-migrations", "migrate")
    ]
    security = body["template"]["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["runAsNonRoot"]) == (1000, 0, True)


# --- identities --------------------------------------------------------------------------------------------------


def with_host(host: str, **changes: Any) -> Spec:
    return a_spec(database={"type": "selfHosted", "connection": {**PARTS, "host": host, **changes}})


@pytest.mark.parametrize(
    "host", ["DB", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "db.shop.svc.cluster.local."]
)
def test_every_name_of_a_service_is_the_same_database(host: str) -> None:
    identity = database_identity(NAMESPACE, with_host("db").database)
    assert database_identity(NAMESPACE, with_host(host).database) == identity
    assert database_identity(NAMESPACE, with_host("db", port=5432, schema="other").database) == identity


@pytest.mark.parametrize("changes", [{"port": 5433}, {"database": "other"}, {"host": "db.other"}])
def test_another_database_is_another(changes: Object) -> None:
    identity = database_identity(NAMESPACE, with_host("db").database)
    assert database_identity(NAMESPACE, with_host(**{"host": "db", **changes}).database) != identity


def test_parts_and_aws_lead_to_one_database() -> None:
    aws = {
        "roleArn": "arn:aws:iam::1:role/a",
        "region": "r",
        "host": "db.example",
        "dbName": "orders",
        "username": "u",
    }
    by_aws = a_spec(database={"type": "awsRds", "aws": aws}).database
    assert database_identity("other", by_aws) == database_identity(
        NAMESPACE, with_host("db.example").database
    )


def test_engine_and_command_are_part_of_the_run_and_env_is_not() -> None:
    specs = [
        a_spec(),
        a_spec(migrations={"engine": "Psql"}),
        a_spec(migrations=COMMAND),
        a_spec(migrations={**COMMAND, "args": ["run"]}),
        a_spec(migrations={**COMMAND, "command": ["npm", "run"], "args": ["migrate $(DB_HOST)"]}),
    ]
    assert len({run_id(NAMESPACE, spec) for spec in specs}) == len(specs)
    more = a_spec(migrations={**COMMAND, "env": [{"name": "A", "value": "1"}]})
    assert run_id(NAMESPACE, more) == run_id(NAMESPACE, specs[2])
    assert runner_hash(more) != runner_hash(specs[2])


# --- what is refused ---------------------------------------------------------------------------------------------

SECRET = {"secretKeyRef": {"name": "a", "key": "b"}}
REFUSED: list[tuple[Object, str]] = [
    ({"migrations": {"engine": "Command"}}, "spec.migrations.command is required with engine Command"),
    ({"migrations": {"args": ["x"]}}, "spec.migrations.engine must be Command for command, args and env to be set"),
    ({"migrations": {**COMMAND, "baseline": "1"}}, "spec.migrations.baseline must not be set with engine Command"),
    ({"migrations": {**COMMAND, "env": [{"name": "DB_HOST", "value": "x"}]}}, "spec.migrations.env[0].name must not be a variable that is set from spec.database"),
    ({"migrations": {**COMMAND, "env": [{"name": "A", "value": "x", "valueFrom": SECRET}]}}, "spec.migrations.env[0].valueFrom must not be set together with value"),
    ({"migrations": {**COMMAND, "env": [{"name": "A", "valueFrom": {}}]}}, "spec.migrations.env[0].valueFrom must have exactly one of secretKeyRef"),
    ({"database": {"type": "selfHosted", "connection": {"port": 1}}}, "spec.database.connection.urlSecretRef is required, unless"),
    ({"database": {"type": "selfHosted", "connection": {**PARTS, "urlSecretRef": {"name": "a"}}}}, "spec.database.connection.urlSecretRef must not be set together"),
    ({"database": {"type": "selfHosted", "connection": {"host": "a"}}}, "spec.database.connection.userSecretRef is required with host"),
    ({"database": {"type": "selfHosted", "connection": {**PARTS, "caSecretRef": {"name": "a"}}}}, "spec.database.connection.sslMode must be verify-ca or verify-full"),
    ({"runner": {"waitForDatabaseSeconds": 600}}, "spec.runner.waitForDatabaseSeconds must be less than activeDeadlineSeconds"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "told"), REFUSED)
def test_what_makes_no_sense_is_refused_also_without_admission(changes: Object, told: str) -> None:
    spec = a_spec(**changes)
    problems = "; ".join(map(str, validation.problems(spec)))
    assert told in problems
    decision = decide(observe(a_resource(spec)))
    assert conditions(decision.status)[2:] == ("InvalidSpec", True)
    assert told in message(decision.status)


# --- the tables --------------------------------------------------------------------------------------------------


def test_every_engine_of_the_crd_is_in_the_table_and_one_of_a_newer_operator_is_read_as_atlas() -> None:
    assert set(ENGINES) == set(Engine)
    assert named("Psql") is ENGINES[Engine.PSQL]
    assert named("Later") is ENGINES[Engine.ATLAS]


def test_the_containers_of_a_pod_have_names_of_their_own() -> None:
    assert "migrate" not in STEPS
    assert [name for name, step in STEPS.items() if step.name != name] == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ("postgres", "postgresql", "mysql", "mariadb")),
        ({"migrations": {"engine": "Psql"}}, ("postgres", "postgresql")),
        ({"migrations": COMMAND}, ("postgres", "postgresql", "mysql", "mariadb")),
    ],
)
def test_a_url_may_begin_as_all_that_runs_in_the_pod_takes_it(
    changes: Object, wanted: tuple[str, ...]
) -> None:
    assert schemes(a_spec(**changes)) == wanted
