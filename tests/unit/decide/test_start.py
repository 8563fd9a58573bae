"""What holds a run back, in which order, and the intent that is written when nothing does."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.decide.decision import CreateJob
from dbupgrade.decide.needs import ReadSecret
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Observed, SecretView
from dbupgrade.pod.job import job
from tests.unit.decide.builders import (
    IMAGE_1,
    IMAGE_2,
    NAME,
    NAMESPACE,
    NOW,
    SECRET,
    SELF_HOSTED,
    SETTINGS,
    UID,
    a_migrating_pod,
    a_resource,
    a_spec,
    again,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    failed,
    later,
    message,
    needs,
    observe,
    succeeded,
    the_run,
    words,
)

METRIC = {
    "name": "lag",
    "metricName": "replication_lag",
    "source": "External",
    "target": {"type": "External", "external": {}},
    "threshold": {"operator": "<", "value": "5"},
}
POD_VERSION = {"selector": {"matchLabels": {"app": "web"}}, "minVersion": "2.0.0"}
AWS = {
    "roleArn": "arn:aws:iam::123456789012:role/migrate",
    "region": "eu-central-1",
    "host": "db.example",
    "dbName": "orders",
    "username": "migrator",
}
NO_SECRET = SecretView(problem=Reason.SECRET_NOT_FOUND, message="Secret orders-db not found")
BAD_URL = SecretView(problem=Reason.INVALID_SPEC, message="the database URL cannot be used")


def with_checks(**checks: Any) -> Observed:
    return observe(a_resource(a_spec(checks=checks)))


def with_database(**database: Any) -> Observed:
    return observe(a_resource(a_spec(database=database)))


HELD = [
    pytest.param(
        observe(replace(a_resource(), spec=None, spec_error="spec.database is required")),
        (Reason.INVALID_SPEC, True),
        "spec.database is required",
        id="a spec that cannot be read is InvalidSpec and says which field",
    ),
    pytest.param(
        observe(a_resource(a_spec(suspend=True))),
        (Reason.SUSPENDED, False),
        "spec.suspend is true",
        id="a suspended resource starts nothing and is not stalled",
    ),
    pytest.param(
        with_database(type="awsRds", aws=AWS),
        (Reason.AWS_NOT_SUPPORTED, True),
        "spec.database.aws",
        id="IAM authentication is off unless it is enabled",
    ),
    pytest.param(
        with_database(type="awsAurora", aws=AWS, connection=SELF_HOSTED["connection"]),
        (Reason.AWS_NOT_SUPPORTED, True),
        "spec.database.aws",
        id="aws wins over a connection beside it",
    ),
    pytest.param(
        with_checks(pre={"minPodVersions": [{**POD_VERSION, "selector": {"matchLabels": {"app": "a b"}}}]}),
        (Reason.INVALID_SPEC, True),
        "spec.checks.pre.minPodVersions[0].selector.matchLabels must contain valid label keys and values",
        id="a check that no evaluation could make sense of is InvalidSpec",
    ),
    pytest.param(
        with_database(type="selfHosted"),
        (Reason.INVALID_SPEC, True),
        "spec.database.connection is required with type selfHosted",
        id="selfHosted without a connection is InvalidSpec",
    ),
    pytest.param(
        with_database(type="awsRds"),
        (Reason.AWS_NOT_SUPPORTED, True),
        "spec.database.aws is required with type awsRds or awsAurora, unless connection is set",
        id="an AWS type with neither block is AWSNotSupported",
    ),
    pytest.param(
        observe(secret=NO_SECRET),
        (Reason.SECRET_NOT_FOUND, False),
        "Secret orders-db not found",
        id="a missing Secret is waited for",
    ),
    pytest.param(
        observe(secret=BAD_URL),
        (Reason.INVALID_SPEC, False),
        "cannot be used",
        id="a bad URL is waited for: the Secret may be corrected",
    ),
    pytest.param(
        observe(busy="other is migrating it"),
        (Reason.DATABASE_BUSY, False),
        "waiting for the database: other is migrating it (at 12:00:00 UTC)",
        id="a database that somebody works on is waited for",
    ),
    pytest.param(
        observe(pods=(a_migrating_pod(),)),
        (Reason.DATABASE_BUSY, False),
        "pod orders-1 of an earlier run has not ended",
        id="a pod of the resource's own that lives is waited for, though its run is forgotten",
    ),
]


@pytest.mark.parametrize(("observed", "reason", "text"), HELD)
def test_is_held(observed: Observed, reason: tuple[Reason, bool], text: str) -> None:
    decision = decide(observed)
    assert conditions(decision.status) == ("False", "False", *reason)
    assert text in message(decision.status)
    assert words(decision.actions) == []
    assert decision.status.run is None


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        pytest.param(
            observe(a_resource(a_spec(suspend=True, database={"type": "selfHosted"})), busy="x"),
            Reason.SUSPENDED,
            id="suspend before all else that the spec asks for",
        ),
        pytest.param(
            observe(a_resource(a_spec(checks={"pre": {"metrics": [METRIC]}})), secret=NO_SECRET, busy="x"),
            Reason.SECRET_NOT_FOUND,
            id="the Secret before the checks",
        ),
        pytest.param(
            observe(secret=NO_SECRET, busy="x"), Reason.SECRET_NOT_FOUND, id="the Secret before the database"
        ),
    ],
)
def test_the_first_gate_that_is_shut_gives_the_reason(observed: Observed, reason: Reason) -> None:
    assert conditions(decide(observed).status)[2] == reason


def test_a_problem_of_the_secret_is_tried_again_with_growing_delays() -> None:
    decision = decide(observe(secret=NO_SECRET))
    assert decision.backoff
    assert decision.requeue_after is None


def test_a_busy_database_is_looked_at_again_even_if_nobody_wakes_the_waiter() -> None:
    decision = decide(observe(busy="somebody"))
    assert decision.requeue_after == 30
    assert not decision.backoff


def test_a_pod_that_has_ended_holds_nothing() -> None:
    assert words(decide(observe(pods=(an_ended_pod(0),))).actions) == [f"create {an_intent().job_name}"]


@pytest.mark.parametrize(
    ("observed", "wanted"),
    [
        pytest.param(observe(), True, id="a resource that may start"),
        pytest.param(observe(a_resource(a_spec(suspend=True))), False, id="not a suspended one"),
        pytest.param(with_database(type="selfHosted"), False, id="not one without a connection"),
        pytest.param(with_database(type="awsRds", aws=AWS), False, id="not one with IAM authentication"),
        pytest.param(
            with_database(type="awsRds", connection=SELF_HOSTED["connection"]),
            True,
            id="RDS with a URL",
        ),
        pytest.param(observe(a_resource(deleting=True)), False, id="not one that is being deleted"),
        pytest.param(observe(a_resource(run=succeeded())), False, id="not one whose run has succeeded"),
    ],
)
def test_the_secret_is_read_only_when_it_decides(observed: Observed, wanted: bool) -> None:
    assert (ReadSecret() in needs(observed)) is wanted


def test_nothing_starts_before_the_secret_was_read() -> None:
    assert next_step(Observed(now=NOW, resource=a_resource())) == ReadSecret()


def test_the_first_run_is_an_intent_and_then_a_job_of_that_name() -> None:
    observed = observe(a_resource(retry="now", generation=7))
    decision = decide(observed)
    run, spec = the_run(decision), a_spec()
    assert run == Run(
        job_name=names.job_name(NAME, UID, 1),
        sequence=1,
        attempt=1,
        run_id=run_id(NAMESPACE, spec),
        runner_hash=runner_hash(spec),
        database=names.database_label(database_identity(NAMESPACE, spec.database)),
        image=IMAGE_1,
        generation=7,
        secret_version=SECRET.version,
        started_at=NOW,
    )
    assert words(decision.actions) == [f"create {run.job_name}"]
    assert conditions(decision.status) == ("False", "True", Reason.JOB_PENDING, False)
    assert decision.status.observed_generation == 7
    assert decision.status.last_handled_retry == "now"
    assert message(decision.status) == f"starting run 1 with {IMAGE_1}: Job {run.job_name}"


def test_the_job_carries_the_identity_of_the_intent() -> None:
    decision = decide(observe())
    create = decision.actions[1]
    assert isinstance(create, CreateJob)
    metadata = job(a_resource(), create.run, SETTINGS)["metadata"]
    assert metadata["annotations"][names.ANNOTATION_RUN_ID] == the_run(decision).run_id
    assert metadata["ownerReferences"][0]["uid"] == UID


def test_a_new_run_forgets_when_the_last_one_completed() -> None:
    status = Status(job_completed_at=NOW, current_version="1")
    resource = a_resource(a_spec(IMAGE_2), run=succeeded(), status=status)
    decision = decide(observe(resource))
    assert decision.status.job_completed_at is None
    assert decision.status.current_version == "1"


@pytest.mark.parametrize(
    ("last", "image", "numbers"),
    [
        pytest.param(succeeded(), IMAGE_2, (2, 1), id="a new image is the next run's first attempt"),
        pytest.param(
            failed(Failure.FETCH, an_intent(sequence=4, attempt=3)),
            IMAGE_1,
            (5, 4),
            id="a retry is the next attempt",
        ),
        pytest.param(
            failed(Failure.FETCH, an_intent(sequence=4, attempt=3)),
            IMAGE_2,
            (5, 1),
            id="a new image after failures begins anew",
        ),
    ],
)
def test_runs_and_attempts_are_counted(last: Run, image: str, numbers: tuple[int, int]) -> None:
    resource = a_resource(a_spec(image), run=last, retry="again")
    run = the_run(decide(observe(resource)))
    assert (run.sequence, run.attempt) == numbers
    assert run.job_name == names.job_name(NAME, UID, numbers[0])


# --- waiting for one's turn ----------------------------------------------------------------------------------------


def waiting_since(busy: str, **changes: Any) -> Observed:
    """A resource whose status says since NOW that it waits, some seconds later."""
    first = observe(a_resource(**changes), busy=busy)
    return again(first, decide(first), now=later(40))


def test_a_wait_is_written_once_and_reads_no_secret_whoever_goes_before() -> None:
    waiting = replace(waiting_since("one is migrating it"), busy="another is migrating it")
    assert needs(waiting) == []
    decision = decide(waiting)
    assert decision.status == waiting.resource.status
    assert message(decision.status) == "waiting for the database: one is migrating it (at 12:00:00 UTC)"
    assert decision.requeue_after == 30


def test_whose_turn_it_is_reads_its_secret_and_starts() -> None:
    waiting = replace(waiting_since("one is migrating it"), busy="")
    assert needs(waiting) == [ReadSecret()]
    assert the_run(decide(waiting)).active


def test_one_that_waits_is_told_as_suspended_when_it_is() -> None:
    waiting = waiting_since("one is migrating it")
    suspended = replace(waiting.resource, spec=a_spec(suspend=True))
    assert conditions(decide(replace(waiting, resource=suspended)).status)[2] == Reason.SUSPENDED


def test_a_changed_spec_is_looked_at_and_told_anew_while_it_waits() -> None:
    waiting = waiting_since("one is migrating it")
    changed = replace(
        waiting, resource=replace(waiting.resource, generation=2), busy="another is migrating it"
    )
    assert needs(changed) == [ReadSecret()]
    assert message(decide(changed).status) == (
        "waiting for the database: another is migrating it (at 12:00:40 UTC)"
    )


def test_a_retry_for_a_changed_secret_goes_on_waiting() -> None:
    refused = failed(Failure.AUTHENTICATION, secret_version="another")
    waiting = waiting_since("one is migrating it", run=refused)
    assert conditions(waiting.resource.status)[2] == Reason.DATABASE_BUSY
    assert decide(waiting).status == waiting.resource.status
