"""The step that waits for the database."""

from typing import Any

import pytest

from dbupgrade.api.status import Failure
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.message import text
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import FETCHED as DONE
from tests.unit.decide.builders import (
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
from tests.unit.pod.test_engines import COMMAND, IN_PARTS, PARTS, Object, environment, pod


@pytest.mark.parametrize(
    ("migrations", "names"),
    [
        ({}, ["fetch-migrations"]),
        (COMMAND, ["wait-for-database"]),
        ({"engine": "Psql"}, ["fetch-migrations"]),
    ],
    ids=["Atlas", "Command", "Psql"],
)
def test_only_what_does_not_wait_itself_has_a_container_before_it(
    migrations: Object, names: list[str]
) -> None:
    spec = pod(migrations=migrations, runner={"waitForDatabaseSeconds": 30})["spec"]
    assert [container["name"] for container in spec["initContainers"]] == names


def test_the_wait_is_the_runner() -> None:
    spec = pod(migrations=COMMAND, database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})["spec"]
    (wait,) = spec["initContainers"]
    assert wait["image"] == SETTINGS.runner_image
    assert wait["args"] == ["migrate", "wait", "--report", "/dev/termination-log"]
    assert environment(wait)["DB_HOST"] == "db"
    assert environment(wait)["MIGRATE_WAIT_TIMEOUT"] == "30s"


@pytest.mark.parametrize(("mode", "wanted"), [(None, "prefer"), ("verify-full", "verify-full")])
def test_the_wait_takes_a_server_without_tls_unless_a_mode_is_set(mode: str | None, wanted: str) -> None:
    connection = {**PARTS, "sslMode": mode}
    database = {
        "type": "selfHosted",
        "connection": {name: value for name, value in connection.items() if value},
    }
    spec = pod(migrations=COMMAND, database=database, runner={"waitForDatabaseSeconds": 30})["spec"]
    assert environment(spec["initContainers"][0])["DB_SSLMODE"] == wanted


def waited(report: Report, **job_changes: Any) -> Any:
    spec = a_spec(migrations=COMMAND, database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})
    wait = ContainerView(started=True, exit_code=75, end_reason="Error", message=text(report))
    run = an_intent(spec, job_uid="job-uid")
    ended = a_pod(terminal=True, fetch=DONE, wait=wait)
    changes = {"failed_reason": "BackoffLimitExceeded", **job_changes}
    return decide(observe(a_resource(spec, run=run), job=a_job(run, **changes), pods=(ended,)))


@pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "DeadlineExceeded"])
def test_a_database_that_never_came_is_named_and_tried_again(reason: str) -> None:
    report = Report(
        failure=Failure.DATABASE_UNREACHABLE, error="it did not answer within 30 s (TimeoutError)"
    )
    decision = waited(report, failed_reason=reason)
    assert the_run(decision).failure is Failure.DATABASE_UNREACHABLE
    assert "db:5432: it did not answer within 30 s (TimeoutError)" in message(decision.status)
    assert conditions(decision.status)[3] is False


@pytest.mark.parametrize("engine", ["Atlas", "Psql"])
def test_a_server_that_the_runner_did_not_reach_is_named(engine: str) -> None:
    spec = a_spec(migrations={"engine": engine}, database=IN_PARTS)
    report = Report(failure=Failure.DATABASE_UNREACHABLE, error="it did not answer")
    migrate = ContainerView(started=True, exit_code=75, end_reason="Error", message=text(report))
    run = an_intent(spec, job_uid="job-uid")
    pods = (a_pod(terminal=True, fetch=DONE, migrate=migrate),)
    job = a_job(run, failed_reason="BackoffLimitExceeded")
    assert "db:5432: it did not answer" in message(
        decide(observe(a_resource(spec, run=run), job=job, pods=pods)).status
    )


def test_a_login_that_is_refused_while_waiting_is_told_as_that() -> None:
    decision = waited(Report(failure=Failure.AUTHENTICATION))
    assert the_run(decision).failure is Failure.AUTHENTICATION


def test_the_wait_is_told_while_it_lasts() -> None:
    spec = a_spec(migrations=COMMAND, database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})
    run = an_intent(spec, job_uid="job-uid")
    waiting = a_pod(fetch=DONE, wait=RUNNING)
    decision = decide(observe(a_resource(spec, run=run), job=a_job(run), pods=(waiting,)))
    assert "waits until the database accepts connections" in message(decision.status)


def test_what_a_secret_holds_is_not_in_the_words_for_a_database() -> None:
    assert described(a_spec().database) == "the server of the database URL in Secret orders-db"
