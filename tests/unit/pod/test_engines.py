"""What an engine makes of its Job, and what is read of its report."""

import base64
import json
from typing import Any

import pytest

from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Failure
from dbupgrade.decide import validation
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.engines import ENGINES
from dbupgrade.pod.engines.psql.report import PROBLEMS
from dbupgrade.pod.engines.psql.script import SCRIPT
from dbupgrade.pod.job import job
from dbupgrade.pod.report import MARK, Report
from dbupgrade.pod.steps import wait as wait_for
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import FETCHED as DONE
from tests.unit.decide.builders import (
    IMAGE_1,
    NAMESPACE,
    RUNNING,
    SETTINGS,
    a_job,
    a_pod,
    a_resource,
    a_spec,
    an_intent,
    conditions,
    decide,
    message,
    observe,
    the_run,
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


def test_psql_gets_the_files_the_url_and_no_argument_with_either() -> None:
    container = migrate(migrations={"engine": "Psql", "baseline": "007"})
    assert container["image"] == SETTINGS.psql_image
    assert container["command"][:2] == ["sh", "-c"]
    assert container["command"][2].replace("$$", "$") == SCRIPT
    assert environment(container) == {
        "DATABASE_URL": {"name": "orders-db", "key": "url"},
        "MIGRATIONS": "/migrations",
        "BASELINE": "007",
        "HOME": "/tmp",
    }
    assert [mount["name"] for mount in container["volumeMounts"]] == ["work", "tmp"]


def test_psql_gets_the_parts_as_libpq_names_them() -> None:
    assert environment(migrate(migrations={"engine": "Psql"}, database=IN_PARTS)) == {
        "PGHOST": "db",
        "PGPORT": "5432",
        "PGDATABASE": "orders",
        "PGUSER": {"name": "login", "key": "username"},
        "PGPASSWORD": {"name": "login", "key": "pw"},
        "PGSSLMODE": "require",
        "PGOPTIONS": '-c search_path="tenant"',
        "MIGRATIONS": "/migrations",
        "HOME": "/tmp",
    }


def test_atlas_makes_its_url_of_the_parts_from_its_environment() -> None:
    template = pod(database=IN_PARTS)
    (container,) = template["spec"]["containers"]
    assert set(environment(container)) == {"DB_USER", "DB_PASSWORD", "HOME"}
    config = template["metadata"]["annotations"]["dbupgrade.subbug.learning/atlas-config"]
    assert "@db:5432/orders?sslmode=require&search_path=tenant" in config
    assert 'urlescape(getenv("DB_PASSWORD"))' in config


@pytest.mark.parametrize(
    ("migrations", "variable"),
    [({}, None), ({"engine": "Psql"}, "PGSSLROOTCERT"), (COMMAND, "DB_SSLROOTCERT")],
    ids=["Atlas", "Psql", "Command"],
)
def test_the_certificates_of_the_database_reach_every_engine(
    migrations: Object, variable: str | None
) -> None:
    known = {**PARTS, "sslMode": "verify-full", "caSecretRef": {"name": "authority"}}
    database = {"type": "selfHosted", "connection": known}
    template = pod(migrations=migrations, database=database, runner={"waitForDatabaseSeconds": 30})
    (container,) = template["spec"]["containers"]
    file = "/etc/dbupgrade-ca/ca.crt"
    if variable:
        assert environment(container)[variable] == file
    else:
        config = template["metadata"]["annotations"]["dbupgrade.subbug.learning/atlas-config"]
        assert f"sslmode=verify-full&sslrootcert={file}&" in config
    assert {"name": "authority", "mountPath": "/etc/dbupgrade-ca", "readOnly": True} in container[
        "volumeMounts"
    ]
    item = {"key": "ca.crt", "path": "ca.crt"}
    volume = {"name": "authority", "secret": {"secretName": "authority", "items": [item]}}
    assert volume in template["spec"]["volumes"]
    others = template["spec"]["initContainers"]
    assert not [mount for other in others for mount in other["volumeMounts"] if mount["name"] == "authority"]


def test_the_certificates_of_the_database_reach_the_container_that_lints() -> None:
    known = {**PARTS, "sslMode": "verify-full", "caSecretRef": {"name": "authority"}}
    template = pod(database={"type": "selfHosted", "connection": known}, policy={"lint": "error"})
    lint = next(container for container in template["spec"]["initContainers"] if container["name"] == "lint")
    assert environment(lint)["PGSSLROOTCERT"] == "/etc/dbupgrade-ca/ca.crt"
    assert {"name": "authority", "mountPath": "/etc/dbupgrade-ca", "readOnly": True} in lint["volumeMounts"]


def test_a_command_runs_in_the_users_image_without_extraction() -> None:
    env = [
        {"name": "A", "value": "$(DB_PASSWORD)"},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
    ]
    spec = pod(migrations={**COMMAND, "env": env}, database=IN_PARTS)["spec"]
    (container,) = spec["containers"]
    assert "initContainers" not in spec
    assert (container["image"], container["command"]) == (IMAGE_1, ["npm"])
    assert container["args"] == ["run", "migrate $$(DB_HOST)"]
    assert {entry["name"]: entry for entry in container["env"]}["A"]["value"] == "$$(DB_PASSWORD)"
    names = {
        "HOME",
        "DB_HOST",
        "DB_PORT",
        "DB_DATABASE",
        "DB_USER",
        "DB_PASSWORD",
        "DB_SCHEMA",
        "DB_SSLMODE",
        "A",
        "B",
    }
    assert {entry["name"] for entry in container["env"]} == names
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_wait_is_a_container_of_its_own_after_the_fetch_and_has_no_password() -> None:
    spec = pod(database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})["spec"]
    fetch, wait = spec["initContainers"]
    assert (fetch["name"], wait["name"], wait["image"]) == (
        "fetch-migrations",
        "wait-for-database",
        SETTINGS.psql_image,
    )
    assert environment(wait) == {
        "PGHOST": "db", "PGPORT": "5432", "PGDATABASE": "orders", "WAIT_SECONDS": "30", "HOME": "/tmp",
    }  # fmt: skip
    assert wait["command"][2].replace("$$", "$") == wait_for.SCRIPT


def test_only_failures_to_connect_are_tried_again_by_the_job() -> None:
    spec = a_spec(runner={"backoffLimit": 3, "runAsUser": 1000, "runAsGroup": 0})
    body = job(a_resource(spec), an_intent(spec), SETTINGS)["spec"]
    assert body["backoffLimit"] == 3
    assert body["podFailurePolicy"]["rules"][1] == {
        "action": "FailJob",
        "onExitCodes": {"operator": "NotIn", "values": [75]},
    }
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


# --- reports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "exit_code", "failure", "error"),
    [
        ("all is well", 0, None, None),
        ("", 3, Failure.COMMAND, "exit code 3"),
        ("one\ntwo pw-1 three\n", 3, Failure.COMMAND, "exit code 3: one two *** three"),
        ("at postgres://u:x@h/d", 1, Failure.COMMAND, "exit code 1: at ***"),
        ("insert 'hunter2' failed", 1, Failure.COMMAND, "exit code 1: insert '***' failed"),
        ("anything", 75, Failure.DATABASE_UNREACHABLE, "exit code 75: anything"),
        ("Error: connect ECONNREFUSED 10.0.0.1:5432", 1, Failure.DATABASE_UNREACHABLE, None),
        ("getaddrinfo ENOTFOUND db", 1, Failure.DATABASE_UNREACHABLE, None),
        ("password authentication failed for user", 1, Failure.AUTHENTICATION, None),
        ("error: PAM authentication failed for user", 1, Failure.AUTHENTICATION, None),
        ("read ECONNRESET", 1, Failure.COMMAND, "exit code 1: read ECONNRESET"),
    ],
)
def test_the_end_of_a_command(log: str, exit_code: int, failure: Failure | None, error: str | None) -> None:
    report = ENGINES["Command"].parse(log, exit_code=exit_code, secrets=("pw-1",))
    assert report.failure is failure
    assert error is None or report.error == error


def test_the_end_of_a_long_log_is_kept_and_a_secret_at_the_cut_is_not_seen() -> None:
    log = "x" * 3000 + "pw-1" * 1000 + "\nthe end"
    report = ENGINES["Command"].parse(log, exit_code=1, secrets=("pw-1",))
    assert report.error
    assert report.error.endswith("the end")
    assert "pw-1" not in report.error
    assert len(report.error.encode()) <= 1024


def output(errors: str = "", **changes: Any) -> str:
    body = {"exit": 3, "phase": "files", "problem": "", "file": "002.sql", "from": "001", "to": "001", "pending": 2,
            "applied": 0, "errors": base64.b64encode(errors.encode()).decode(), **changes}  # fmt: skip
    return f"psql: noise\n{MARK}{json.dumps(body)}\n"


ERROR = (
    'psql:/migrations/002.sql:7: ERROR:  relation "secret" does not exist at character 15\n'
    "psql:/migrations/002.sql:7: STATEMENT:  SELECT *\n  FROM secret WHERE a = 'hunter2';\n"
)


def test_a_statement_that_failed_in_psql() -> None:
    report = ENGINES["Psql"].parse(output(ERROR), exit_code=1)
    assert report == Report(
        failure=Failure.SQL, from_version="001", to_version="001", applied=0, pending=2, failed_file="002.sql",
        failed_statement="SELECT * FROM secret WHERE a = '***';",
        error='line 7: relation "secret" does not exist at character 15',
    )  # fmt: skip


@pytest.mark.parametrize("log", ["", "Error", f"{MARK}{{", f"{MARK}[]", f'{MARK}{{"exit": "x"}}'])
def test_a_psql_report_that_cannot_be_read_says_nothing(log: str) -> None:
    assert ENGINES["Psql"].parse(log, exit_code=0) == Report()
    assert ENGINES["Psql"].parse(log, exit_code=1) == Report(failure=Failure.UNKNOWN)


@pytest.mark.parametrize("word", PROBLEMS)
def test_every_problem_of_the_script_is_known(word: str) -> None:
    assert word in SCRIPT
    report = ENGINES["Psql"].parse(output(problem=f"{word} 001.sql"), exit_code=1)
    assert report.failure is PROBLEMS[word][0]


# --- the wait ----------------------------------------------------------------------------------------------------


def waited(exit_code: int, **job_changes: Any) -> Any:
    spec = a_spec(database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})
    wait = ContainerView(started=True, exit_code=exit_code, end_reason="Error")
    run = an_intent(spec, job_uid="job-uid")
    ended = a_pod(terminal=True, fetch=DONE, wait=wait)
    changes = {"failed_reason": "BackoffLimitExceeded", **job_changes}
    return decide(observe(a_resource(spec, run=run), job=a_job(run, **changes), pods=(ended,)))


@pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "DeadlineExceeded"])
def test_a_database_that_never_came_is_named_and_tried_again(reason: str) -> None:
    decision = waited(75, failed_reason=reason)
    assert the_run(decision).failure is Failure.DATABASE_UNREACHABLE
    assert "db:5432 accepted no connections within 30 s" in message(decision.status)
    assert conditions(decision.status)[3] is False


def test_the_wait_is_told_while_it_lasts() -> None:
    spec = a_spec(database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})
    run = an_intent(spec, job_uid="job-uid")
    waiting = a_pod(fetch=DONE, wait=RUNNING)
    decision = decide(observe(a_resource(spec, run=run), job=a_job(run), pods=(waiting,)))
    assert "waits until the database accepts connections" in message(decision.status)


def test_what_a_secret_holds_is_not_in_the_words_for_a_database() -> None:
    assert described(a_spec().database) == "the server of the database URL in Secret orders-db"
