"""The steps of an engine that is not the runner: the lock, and the wait for it."""

from typing import Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.job import job
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


def before(**changes: Any) -> dict[str, Object]:
    spec = pod(migrations=COMMAND, **{"database": IN_PARTS, **changes})["spec"]
    return {container["name"]: container for container in spec["initContainers"]}


@pytest.mark.parametrize(
    ("migrations", "names"),
    [
        ({}, ["fetch-migrations"]),
        (COMMAND, ["hold-lock", "wait-for-database"]),
        ({"engine": "Psql"}, ["fetch-migrations"]),
    ],
    ids=["Atlas", "Command", "Psql"],
)
def test_only_what_does_not_hold_the_lock_itself_has_containers_for_that(
    migrations: Object, names: list[str]
) -> None:
    spec = pod(migrations=migrations)["spec"]
    assert [container["name"] for container in spec["initContainers"]] == names


def test_the_lock_is_held_by_the_runner_beside_the_migration() -> None:
    lock = before(runner={"waitForDatabaseSeconds": 30})["hold-lock"]
    assert (lock["image"], lock["restartPolicy"]) == (SETTINGS.runner_image, "Always")
    assert lock["args"] == ["migrate", "hold", "--report", "/lock/report"]
    given = environment(lock)
    assert (given["DB_HOST"], given["MIGRATE_WAIT_TIMEOUT"]) == ("db", "30s")
    assert given["MIGRATE_DEADLINE"] == "2026-01-02T12:10:00Z"


def test_the_migration_starts_behind_a_container_that_waits_for_the_lock_and_has_no_access() -> None:
    wait = before()["wait-for-database"]
    assert wait["image"] == SETTINGS.runner_image
    assert "env" not in wait
    assert wait["volumeMounts"] == [{"name": "lock", "mountPath": "/lock", "readOnly": True}]


@pytest.mark.parametrize(("mode", "wanted"), [(None, "prefer"), ("verify-full", "verify-full")])
def test_the_lock_is_held_on_a_server_without_tls_unless_a_mode_is_set(mode: str | None, wanted: str) -> None:
    connection = {name: value for name, value in {**PARTS, "sslMode": mode}.items() if value}
    lock = before(database={"type": "selfHosted", "connection": connection})["hold-lock"]
    assert environment(lock)["DB_SSLMODE"] == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"limits": {"nvidia.com/gpu": 1}}, {}),
        (
            {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
            {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "8Gi"}},
        ),
        (
            {"limits": {"cpu": "5m", "memory": "1G", "ephemeral-storage": "1Mi"}},
            {
                "requests": {"cpu": "5m", "memory": "64Mi", "ephemeral-storage": "1Mi"},
                "limits": {"cpu": "5m", "memory": "1G", "ephemeral-storage": "1Mi"},
            },
        ),
    ],
    ids=["nothing", "another resource", "much", "little"],
)
def test_the_sidecar_requests_little_of_what_the_migration_has(given: Object, wanted: Object) -> None:
    assert before(runner={"resources": given})["hold-lock"]["resources"] == wanted


def test_how_the_sidecar_ends_says_nothing_to_the_job() -> None:
    spec = a_spec(migrations=COMMAND, runner={"backoffLimit": 1})
    rules = job(a_resource(spec), an_intent(spec), SETTINGS)["spec"]["podFailurePolicy"]["rules"]
    named = [rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule]
    assert named == ["wait-for-database", "migrate"]


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
        failure=Failure.DATABASE_UNREACHABLE, error="no connection within 30 s: no answer in time"
    )
    decision = waited(report, failed_reason=reason)
    assert the_run(decision).failure is Failure.DATABASE_UNREACHABLE
    assert "db:5432: no connection within 30 s: no answer in time" in message(decision.status)
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


def test_a_lock_that_somebody_else_has_means_busy_and_is_tried_again() -> None:
    decision = waited(Report(failure=Failure.DATABASE_LOCKED))
    assert conditions(decision.status)[2:] == ("DatabaseBusy", False)


def test_the_wait_is_told_while_it_lasts() -> None:
    spec = a_spec(migrations=COMMAND, database=IN_PARTS, runner={"waitForDatabaseSeconds": 30})
    run = an_intent(spec, job_uid="job-uid")
    waiting = a_pod(fetch=DONE, wait=RUNNING)
    decision = decide(observe(a_resource(spec, run=run), job=a_job(run), pods=(waiting,)))
    assert "waits for the database and for its lock" in message(decision.status)


def test_what_a_secret_holds_is_not_in_the_words_for_a_database() -> None:
    assert described(a_spec().database) == "the server of the database URL in Secret orders-db"
