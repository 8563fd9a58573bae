"""The step that waits for the database."""

from typing import Any

import pytest

from dbupgrade.api.status import Failure
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.steps import wait as wait_for
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
from tests.unit.pod.test_engines import IN_PARTS, environment, pod


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
