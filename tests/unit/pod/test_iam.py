"""AWS authentication: the gate before a run, its Secret, its renewal and its end, and what is said of a refusal."""

from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.identity import database_identity
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import Aws
from dbupgrade.decide import validation
from dbupgrade.decide.decision import CreateJob, Decision, RemoveToken, RenewToken, WriteStatus
from dbupgrade.decide.needs import ReadSecret
from dbupgrade.decide.observed import Observed, SecretView
from dbupgrade.pod.connection import url as database_url
from dbupgrade.pod.identities import aws as iam
from dbupgrade.pod.identity import AuthError
from dbupgrade.pod.job import job
from dbupgrade.pod.redact import mask_error
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    FETCHED,
    NOW,
    SETTINGS,
    a_job,
    a_migrating_pod,
    a_pod,
    a_resource,
    a_spec,
    again,
    an_ended_pod,
    conditions,
    decide,
    later,
    message,
    needs,
    observe,
    the_run,
    words,
)
from tests.unit.decide.test_start import AWS

TOKEN = "db.example:5432/?Action=connect&DBUser=a%40b&X-Amz-Signature=ab+cd%3D=="
SPEC = a_spec(database={"type": "awsRds", "aws": AWS}, runner={"activeDeadlineSeconds": 7200})
REFUSED = SecretView(problem=Reason.AWS_AUTH_FAILED, message="AWS gave no session")
PULLING = ContainerView(waiting_reason="PodInitializing")


def aws(**changes: Any) -> Aws:
    return Aws.model_validate({**AWS, **changes})


def fresh(spec: Spec = SPEC, **changes: Any) -> Observed:
    return observe(a_resource(spec), aws_enabled=True, **changes)


def an_aws_run() -> Run:
    return the_run(decide(fresh()))


def on(**changes: Any) -> Observed:
    """A run whose Job was just created."""
    run = an_aws_run()
    resource = a_resource(SPEC, run=run)
    seen = {"job": a_job(run), "pods": (a_pod(migrate=PULLING),), "token_written": NOW, "aws_enabled": True}
    return observe(resource, **{**seen, **changes})


# --- the URL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("dialect", ["postgres", "mysql"])
@pytest.mark.parametrize(
    ("username", "db_name"),
    [
        ("app", "orders"),
        ("app@team", "or/ders"),
        ("a:p%p", "o?r#d ers"),
        ("äpp", "ördérs"),
        ("$(X)", "`d'\""),
    ],
)
def test_every_part_of_the_url_comes_back(username: str, db_name: str, dialect: str, verify: bool) -> None:
    given = aws(username=username, dbName=db_name, dialect=dialect)
    url = iam.database_url(given, TOKEN, verify=verify)
    assert database_url.problem(url) == ""
    parts = urlsplit(url)
    assert parts.scheme == dialect
    assert (parts.hostname, parts.port) == ("db.example", 5432 if dialect == "postgres" else 3306)
    assert unquote(parts.username or "") == username
    assert unquote(parts.password or "") == TOKEN
    assert unquote(parts.path) == f"/{db_name}"


@pytest.mark.parametrize(
    ("dialect", "verify", "query"),
    [
        ("postgres", False, "sslmode=require"),
        ("postgres", True, "sslmode=verify-full&sslrootcert=/etc/dbupgrade-aws/ca.pem"),
        ("mysql", False, "tls=skip-verify&allowCleartextPasswords=true"),
        ("mysql", True, "tls=true&allowCleartextPasswords=true"),
    ],
)
def test_tls_is_always_required(dialect: str, verify: bool, query: str) -> None:
    assert urlsplit(iam.database_url(aws(dialect=dialect), "t", verify=verify)).query == query


@pytest.mark.parametrize(
    ("given", "port"),
    [
        ({}, 5432),
        ({"dialect": "mysql"}, 3306),
        ({"dialect": "mysql", "port": 3307}, 3307),
        ({"port": 6000}, 6000),
    ],
)
def test_the_port_by_default_is_the_dialects(given: dict[str, Any], port: int) -> None:
    assert aws(**given).server_port == port
    database = a_spec(database={"type": "awsAurora", "aws": {**AWS, **given}}).database
    assert database_identity("any", database)[2] == str(port)


LONG = "ö" * 32  # 64 bytes


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"dbName": "shop/1?%`()", "username": "a:b@c/d"}, ""),
        ({"dbName": "x" * 63}, ""),
        ({"dbName": "x" * 64}, "spec.database.aws.dbName must have at most 63 bytes"),
        ({"dbName": LONG}, "spec.database.aws.dbName must have at most 63 bytes"),
        ({"username": LONG}, "spec.database.aws.username must have at most 63 bytes"),
        ({"dialect": "mysql", "dbName": "shop@1 #x", "username": "a@b/c?d%"}, ""),
        ({"dialect": "mysql", "dbName": "x" * 64}, ""),
        *(
            ({"dialect": "mysql", "dbName": f"shop{sign}1"}, "spec.database.aws.dbName must not contain /")
            for sign in "/?%`()"
        ),
        ({"dialect": "mysql", "username": "a:b"}, "spec.database.aws.username must not contain :"),
        ({"dbName": "a\nb"}, "spec.database.aws.dbName must not contain control characters"),
        ({"username": "a\0b"}, "spec.database.aws.username must not contain control characters"),
    ],
)
def test_a_name_that_would_be_read_as_something_else_is_refused(given: dict[str, Any], problem: str) -> None:
    spec = {"migrations": {"image": "i"}, "database": {"type": "awsRds", "aws": {**AWS, **given}}}
    parsed, problems = validation.parse(spec)
    problems = problems or (validation.problems(parsed) if parsed else ())
    assert "; ".join(map(str, problems)).startswith(problem)
    assert bool(problems) is bool(problem)
    if parsed is not None and problem:
        held = decide(fresh(parsed))
        assert conditions(held.status) == ("False", "False", Reason.INVALID_SPEC, True)
        assert problem in message(held.status)


def test_a_host_is_the_same_in_capitals() -> None:
    assert urlsplit(iam.database_url(aws(host="DB.Example"), "t", verify=True)).netloc.endswith(
        "@db.example:5432"
    )
    capitals = a_spec(database={"type": "awsRds", "aws": {**AWS, "host": "DB.Example"}}).database
    assert database_identity("x", capitals) == database_identity("y", SPEC.database)


@pytest.mark.parametrize("host", ["a/b", "u@h", "h?x", "h:1", "h#x", "h h", "-h", "h.", "[::1]"])
def test_a_host_cannot_change_the_url(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        aws(host=host)


@pytest.mark.parametrize("region", ["eu.evil.example/", "eu central", "EU", "-"])
def test_a_region_cannot_lead_the_operator_elsewhere(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        aws(region=region)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws-cn:iam::123456789012:role/migrate",
        "arn:aws-us-gov:iam::123456789012:role/some/path/migrate@team",
    ],
)
def test_paths_and_partitions_are_valid(arn: str) -> None:
    assert aws(roleArn=arn).role_arn == arn


# --- the gate ----------------------------------------------------------------------------------------------------


def test_a_refused_role_holds_the_run_and_is_tried_again() -> None:
    decision = decide(fresh(secret=REFUSED))
    assert conditions(decision.status) == ("False", "False", Reason.AWS_AUTH_FAILED, False)
    assert decision.backoff
    assert decision.status.run is None


def test_a_run_has_a_secret_of_its_own_and_remembers_it() -> None:
    decision = decide(fresh(secret=SecretView()))
    run = the_run(decision)
    assert run.token_secret == names.token_secret(run.job_name) == f"{run.job_name}-token"
    assert run.secret_version is None
    assert isinstance(decision.actions[1], CreateJob)


def test_with_both_blocks_aws_wins_and_selfhosted_ignores_it() -> None:
    connection = {"urlSecretRef": {"name": "orders-db"}}
    both = a_spec(database={"type": "awsRds", "aws": AWS, "connection": connection})
    assert the_run(decide(fresh(both))).token_secret
    plain = a_spec(database={"type": "awsRds", "connection": connection})
    assert the_run(decide(fresh(plain))).token_secret is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            AuthError("AccessDenied"),
            "AccessDenied. Check that the operator's identity may sts:AssumeRole",
        ),
        (AuthError("AccessDenied"), "sts:ExternalId shop/orders"),
        (AuthError("AccessDenied", own=True), "AWS rejects the operator's own identity"),
        (AuthError("IDPCommunicationError", own=True), "cannot reach the cluster's OIDC provider"),
        (AuthError("InvalidIdentityToken", own=True), "does not accept the operator's service account token"),
        (AuthError("Throttling", own=True), "AWS throttles the calls"),
        (AuthError("ExpiredTokenException"), "credentials have expired"),
        (AuthError("ExpiredToken"), "credentials have expired"),
        (AuthError("RequestLimitExceeded"), "AWS throttles the calls"),
        (AuthError("NoCredentials"), "give its service account a role"),
        (AuthError("Unreachable"), "VPC endpoint"),
        (AuthError("ValidationError"), "roleArn"),
        (AuthError("SomethingNew"), "SomethingNew. See the AWS documentation"),
    ],
)
def test_a_refusal_names_aws_code_and_what_to_check(error: AuthError, expected: str) -> None:
    assert expected in iam.refusal(aws(), "shop/orders", error)


# --- the Job -----------------------------------------------------------------------------------------------------


def test_the_job_takes_the_url_from_the_runs_secret() -> None:
    run = an_aws_run()
    pod = job(a_resource(SPEC), run, SETTINGS)["spec"]["template"]["spec"]
    env = {item["name"]: item for item in pod["containers"][0]["env"]}
    assert env["DATABASE_URL"]["valueFrom"] == {"secretKeyRef": {"name": run.token_secret, "key": "url"}}
    assert "SSL_CERT_FILE" not in env
    assert not any("secret" in volume for volume in pod["volumes"])


def test_the_authority_is_mounted_without_the_url_beside_it() -> None:
    run = an_aws_run()
    pod = job(a_resource(SPEC), run, replace(SETTINGS, verifies_cloud_databases=True))["spec"]["template"][
        "spec"
    ]
    (volume,) = (volume for volume in pod["volumes"] if "secret" in volume)
    items = [{"key": "ca.pem", "path": "ca.pem"}]
    assert volume == {"name": "authority", "secret": {"secretName": run.token_secret, "items": items}}
    container = pod["containers"][0]
    assert {"name": "authority", "mountPath": "/etc/dbupgrade-aws", "readOnly": True} in container[
        "volumeMounts"
    ]


@pytest.mark.parametrize(
    ("dialect", "engine", "trusted"),
    [
        ("mysql", {}, {"SSL_CERT_FILE": "/etc/dbupgrade-aws/ca.pem", "SSL_CERT_DIR": "/etc/dbupgrade-aws"}),
        ("postgres", {}, {}),
        ("postgres", {"engine": "Psql"}, {}),
        ("postgres", {"engine": "Command", "command": ["npm"]}, {}),
        ("mysql", {"engine": "Command", "command": ["npm"]}, {}),
    ],
)
def test_only_atlas_for_mysql_has_the_authority_in_the_place_of_all_others(
    dialect: str, engine: dict[str, Any], trusted: dict[str, str]
) -> None:
    spec = a_spec(database={"type": "awsRds", "aws": {**AWS, "dialect": dialect}}, migrations=engine)
    resource = a_resource(spec)
    run = the_run(decide(observe(resource, aws_enabled=True)))
    pod = job(resource, run, replace(SETTINGS, verifies_cloud_databases=True))["spec"]["template"]["spec"]
    env = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    assert {name: value for name, value in env.items() if name.startswith("SSL_")} == trusted
    assert "authority" in [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]


def test_other_databases_get_no_authority() -> None:
    resource = a_resource()
    run = the_run(decide(observe(resource)))
    assert job(resource, run, replace(SETTINGS, verifies_cloud_databases=True)) == job(
        resource, run, SETTINGS
    )


# --- renewal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "renewed"),
    [
        pytest.param({}, False, id="a fresh token is left alone"),
        pytest.param({"now": later(299)}, False, id="one of nearly five minutes too"),
        pytest.param({"now": later(300)}, True, id="one of five minutes is renewed"),
        pytest.param({"now": later(-1)}, True, id="one from the future too: the clock was set back"),
        pytest.param({"token_written": None}, True, id="one that another process wrote too"),
        pytest.param(
            {"now": later(400), "pods": (a_pod(migrate=PULLING, unschedulable=True),)},
            True,
            id="while no node takes the pod",
        ),
        pytest.param({"now": later(10), "token_written": None, "pods": ()}, True, id="before there is a pod"),
        pytest.param(
            {"now": later(400), "pods": (a_migrating_pod(),)}, False, id="not once the migration has begun"
        ),
        pytest.param(
            {
                "now": later(400),
                "pods": (
                    a_migrating_pod("one", terminal=True),
                    a_pod("two", fetch=FETCHED, migrate=PULLING),
                ),
            },
            True,
            id="for a pod that replaces one that had begun",
        ),
        pytest.param(
            {"now": later(1000), "pods": (an_ended_pod(75, disrupted=True),)},
            True,
            id="once it has failed, as the Job may replace its pod",
        ),
        pytest.param(
            {"now": later(1000), "pods": (an_ended_pod(0, disrupted=True),)},
            False,
            id="not once it has succeeded",
        ),
        pytest.param(
            {"token_written": None, "aws_enabled": False}, False, id="not when AWS was switched off meanwhile"
        ),
    ],
)
def test_when_a_token_is_renewed(changes: dict[str, Any], renewed: bool) -> None:
    decision = decide(on(**changes))
    assert (RenewToken() in decision.actions) is renewed
    assert not removals(decision)


@pytest.mark.parametrize(("age", "after"), [(0, 300.0), (250, 50.0), (300, 30.0)])
def test_a_run_that_waits_is_looked_at_when_its_token_is_due_and_soon_after_its_renewal(
    age: int, after: float
) -> None:
    assert decide(on(now=later(age))).requeue_after == after


def test_a_grace_that_ends_earlier_is_not_forgotten() -> None:
    pod = a_pod(fetch=ContainerView(waiting_reason="ImagePullBackOff"))
    assert decide(on(pods=(pod,), now=later(10))).requeue_after == 50.0


# --- the end -----------------------------------------------------------------------------------------------------


def removed(run: Run) -> RemoveToken:
    assert run.token_secret
    return RemoveToken(run.token_secret)


def removals(decision: Decision) -> list[RemoveToken]:
    """The removals of tokens, which all come before the status is written."""
    kinds = [type(action) for action in decision.actions]
    assert RemoveToken not in kinds[kinds.index(WriteStatus) :]
    return [action for action in decision.actions if isinstance(action, RemoveToken)]


def test_the_token_is_removed_before_the_end_is_told() -> None:
    run = an_aws_run()
    decision = decide(on(job=a_job(run, succeeded=True, completed=NOW), pods=(an_ended_pod(0),)))
    assert removals(decision) == [removed(run)]
    assert not the_run(decision).active


def test_it_is_removed_after_a_failure_and_after_a_cancelled_job() -> None:
    run = an_aws_run()
    failed = decide(on(job=a_job(run, failed_reason="BackoffLimitExceeded"), pods=(an_ended_pod(1),)))
    assert removals(failed) == [removed(run)]
    seen = replace(run, job_uid="job-uid")
    gone = decide(observe(a_resource(SPEC, run=seen), aws_enabled=True))
    assert the_run(gone).failure is Failure.CANCELLED
    assert removals(gone) == [removed(run)]


def test_it_stays_while_the_job_is_removed() -> None:
    pod = a_pod(fetch=ContainerView(waiting_reason="ImagePullBackOff"))
    decision = decide(on(pods=(pod,), now=later(61)))
    assert words(decision.actions) == [f"delete {an_aws_run().job_name} job-uid"]
    assert not removals(decision)


def test_a_finished_run_has_nothing_to_remove() -> None:
    run = an_aws_run()
    ended = on(job=a_job(run, succeeded=True, completed=NOW), pods=(an_ended_pod(0),))
    assert not removals(decide(again(ended, decide(ended))))


@pytest.mark.parametrize("changes", [{"secret": REFUSED}, {"aws_enabled": False}])
def test_an_intent_without_a_session_ends_so_that_the_reason_is_told(changes: dict[str, Any]) -> None:
    run = an_aws_run()
    observed = replace(observe(a_resource(SPEC, run=run), aws_enabled=True), **changes)
    decision = decide(observed)
    assert the_run(decision).failure is Failure.SUPERSEDED
    assert removals(decision) == [removed(run)]
    assert words(decision.actions) == [f"remove {run.token_secret}"]


@pytest.mark.parametrize(
    ("reported", "failure"),
    [
        (Failure.AUTHENTICATION, Failure.TOKEN_REFUSED),
        (Failure.CONNECTION_SETTINGS, Failure.TLS_FAILED),
        (Failure.DATABASE_UNREACHABLE, Failure.DATABASE_UNREACHABLE),
    ],
)
def test_a_rejected_token_is_retried_with_another_one(reported: Failure, failure: Failure) -> None:
    run = an_aws_run()
    ended = on(
        job=a_job(run, failed_reason="BackoffLimitExceeded"),
        pods=(an_ended_pod(1),),
        report=Report(failure=reported),
    )
    decision = decide(ended)
    assert the_run(decision).failure is failure
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, False)
    assert "Attempt 2 starts at" in message(decision.status)


def test_the_session_is_asked_for_only_when_it_decides() -> None:
    assert ReadSecret() in needs(observe(a_resource(SPEC), aws_enabled=True))
    assert ReadSecret() not in needs(observe(a_resource(SPEC)))
    assert ReadSecret() not in needs(on())


@pytest.mark.parametrize("text", [TOKEN, f"dial {TOKEN}: refused", f"'{TOKEN}'"])
def test_a_token_in_an_error_is_masked_whoever_renewed_it(text: str) -> None:
    assert "ab+cd" not in mask_error(text, "SELECT 1")
