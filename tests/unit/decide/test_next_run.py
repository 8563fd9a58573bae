"""After a run: what starts the next one, what does not, and what is told meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.decide.decision import CheckInputs
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.needs import ReadSecret
from dbupgrade.decide.observed import JobView, Observed, SecretView
from dbupgrade.decide.retries import retry_delay
from tests.unit.decide.builders import (
    IMAGE_1,
    IMAGE_2,
    NAME,
    UID,
    a_job,
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
from tests.unit.decide.test_start import METRIC, NO_SECRET, POD_VERSION

CHECKSUM = failed(Failure.CHECKSUM)
FETCH = failed(Failure.FETCH)
AUTHENTICATION = failed(Failure.AUTHENTICATION, an_intent(secret_version="secret-uid/1"))
COMPLETE = ("True", "False", Reason.MIGRATION_COMPLETE, False)
POST_CHECK = ("False", "False", Reason.POST_CHECK_FAILED, True)
CHANGED_SECRET = SecretView(version="secret-uid/2")
RETRIED = [failure for failure, kind in KINDS.items() if kind.retry is Retry.BACKOFF]
SECRET_FAILURES = [failure for failure, kind in KINDS.items() if kind.retry is Retry.SECRET_CHANGE]
PLANNED = [failure for failure, kind in KINDS.items() if kind.retry is Retry.APPROVAL]
TERMINAL = [failure for failure, kind in KINDS.items() if kind.retry is Retry.NEVER]


_OBSERVED = ("now", "secret", "job", "own_jobs", "pods", "busy")


def after(run: Run, *, image: str = IMAGE_1, handled: str | None = None, **changes: Any) -> Observed:
    """The resource after `run`; `changes` is about the spec, but for `retry`, and for what is observed."""
    observed = {key: changes.pop(key) for key in _OBSERVED if key in changes}
    retry = changes.pop("retry", "")
    status = Status(last_handled_retry=handled)
    return observe(a_resource(a_spec(image, **changes), run=run, retry=retry, status=status), **observed)


STARTS = [
    pytest.param(after(succeeded(), image=IMAGE_2), id="a new image after a success starts a second run"),
    pytest.param(
        after(succeeded(an_intent(a_spec(IMAGE_2)), image=IMAGE_2)),
        id="going back to an old image runs again",
    ),
    pytest.param(after(succeeded(), migrations={"dir": "/sql"}), id="another folder"),
    pytest.param(after(succeeded(), migrations={"baseline": "20240101000000"}), id="another baseline"),
    pytest.param(
        after(
            succeeded(),
            database={
                "type": "selfHosted",
                "connection": {"urlSecretRef": {"name": "orders-db", "key": "uri"}},
            },
        ),
        id="another key of the Secret",
    ),
    pytest.param(after(CHECKSUM, image=IMAGE_2), id="a new image after a terminal failure"),
    pytest.param(
        after(failed(Failure.NOT_CLEAN), migrations={"baseline": "1"}), id="a baseline after NotClean"
    ),
    pytest.param(after(FETCH, image=IMAGE_2), id="a corrected image at once, not after the delay"),
    pytest.param(
        after(CHECKSUM, migrations={"delivery": "ImageVolume"}), id="a change of delivery after a failure"
    ),
    pytest.param(
        after(CHECKSUM, runner={"activeDeadlineSeconds": 900}), id="a change of the runner after a failure"
    ),
    pytest.param(
        after(CHECKSUM, migrations={"imagePullSecrets": [{"name": "registry"}]}),
        id="a pull secret after a failure",
    ),
    pytest.param(after(CHECKSUM, retry="1"), id="a retry annotation after a terminal failure"),
    pytest.param(after(CHECKSUM, retry="2", handled="1"), id="a new value of the retry annotation"),
    pytest.param(after(FETCH, retry="1"), id="a retry annotation does not wait for the delay"),
    pytest.param(after(FETCH, now=later(12)), id="a passing failure when its delay is over"),
    pytest.param(
        after(AUTHENTICATION, secret=CHANGED_SECRET),
        id="the same authentication failure is tried again when the Secret's version changes",
    ),
    pytest.param(after(AUTHENTICATION, image=IMAGE_2), id="a new image after an authentication failure"),
]


@pytest.mark.parametrize("observed", STARTS)
def test_starts_the_next_run(observed: Observed) -> None:
    before = observed.resource.status
    decision = decide(observed)
    run = the_run(decision)
    assert before.run
    assert run.sequence == before.run.sequence + 1
    assert words(decision.actions) == [f"create {run.job_name}"]
    assert run.active
    assert conditions(decision.status) == ("False", "True", Reason.JOB_PENDING, False)
    assert decision.status.history == before.history


STAYS = [
    pytest.param(after(succeeded()), COMPLETE, id="nothing has changed"),
    pytest.param(
        after(succeeded(), migrations={"delivery": "ImageVolume"}),
        COMPLETE,
        id="a change of delivery after a success",
    ),
    pytest.param(
        after(succeeded(), runner={"activeDeadlineSeconds": 900}),
        COMPLETE,
        id="a change of the runner after a success",
    ),
    pytest.param(
        after(succeeded(), migrations={"dir": "/migrations/"}),
        COMPLETE,
        id="a slash at the end of the folder",
    ),
    pytest.param(after(succeeded(), suspend=True), COMPLETE, id="suspend after a success"),
    pytest.param(
        after(succeeded(), checks={"pre": {"metrics": [METRIC]}}),
        COMPLETE,
        id="pre-checks are not looked at after a run",
    ),
    pytest.param(
        after(succeeded(), retry="1"), COMPLETE, id="a retry annotation after a success does nothing"
    ),
    pytest.param(after(succeeded(), now=later(1e6)), COMPLETE, id="a success never grows old"),
    pytest.param(
        after(succeeded(), secret=NO_SECRET), COMPLETE, id="the Secret of a run that succeeded may go"
    ),
    pytest.param(
        after(succeeded(), busy="somebody"), COMPLETE, id="others on the database do not concern a success"
    ),
    pytest.param(
        after(CHECKSUM, now=later(1e6)),
        ("False", "False", Reason.JOB_FAILED, True),
        id="a terminal failure stays",
    ),
    pytest.param(
        after(CHECKSUM, retry="1", handled="1"),
        ("False", "False", Reason.JOB_FAILED, True),
        id="a retry that was handled does nothing again",
    ),
    pytest.param(
        after(CHECKSUM, suspend=True),
        ("False", "False", Reason.JOB_FAILED, True),
        id="suspend does not hide a failure",
    ),
    pytest.param(
        after(FETCH, now=later(9)),
        ("False", "False", Reason.JOB_FAILED, False),
        id="a passing failure waits its delay",
    ),
    pytest.param(
        after(failed(Failure.DATABASE_LOCKED), now=later(9)),
        ("False", "False", Reason.DATABASE_BUSY, False),
        id="Atlas's lock held elsewhere is a busy database",
    ),
    pytest.param(
        after(AUTHENTICATION, now=later(1e6)),
        ("False", "False", Reason.JOB_FAILED, True),
        id="an authentication failure stays while the Secret is the same",
    ),
    pytest.param(
        after(AUTHENTICATION, secret=NO_SECRET),
        ("False", "False", Reason.JOB_FAILED, True),
        id="an authentication failure stays while the Secret is gone",
    ),
]


@pytest.mark.parametrize(("observed", "told"), STAYS)
def test_starts_nothing(observed: Observed, told: tuple[str, str, str, bool]) -> None:
    decision = decide(observed)
    assert words(decision.actions) == []
    assert decision.status.run == observed.resource.status.run
    assert conditions(decision.status) == told


def test_a_retry_annotation_after_a_success_is_remembered() -> None:
    observed = after(succeeded(), retry="1")
    decision = decide(observed)
    assert decision.status.last_handled_retry == "1"
    failed_later = replace(observed.resource, status=replace(decision.status, run=failed(Failure.CHECKSUM)))
    assert words(decide(observe(failed_later)).actions) == []


def test_a_retry_annotation_that_was_taken_away_is_still_remembered() -> None:
    assert decide(after(succeeded(), handled="1")).status.last_handled_retry == "1"


def test_a_retry_during_a_run_waits_for_its_end() -> None:
    resource = a_resource(run=an_intent(job_uid="job-uid"), retry="1")
    running = decide(observe(resource, job=a_job(), pods=(a_migrating_pod(),)))
    assert running.status.last_handled_retry is None
    ended = observe(resource, job=a_job(failed_reason="DeadlineExceeded"), migrate_seen=True)
    first = decide(ended)
    assert the_run(first).failure is Failure.DEADLINE
    second = decide(replace(again(ended, first), secret=SecretView(version="1"), job=None))
    assert the_run(second).sequence == 2
    assert second.status.last_handled_retry == "1"


@pytest.mark.parametrize("failure", RETRIED)
def test_a_passing_failure_is_looked_at_again_when_its_delay_is_over(failure: Failure) -> None:
    delay = retry_delay(failure, 1, UID)
    assert delay
    decision = decide(after(failed(failure), now=later(0.5)))
    assert decision.requeue_after == pytest.approx(delay.total_seconds() - 0.5)
    due = after(failed(failure), now=later(delay.total_seconds()))
    assert len(words(decide(due).actions)) == 1


@pytest.mark.parametrize("failure", SECRET_FAILURES)
def test_a_failure_of_the_secret_is_looked_at_every_half_minute(failure: Failure) -> None:
    run = failed(failure, an_intent(secret_version="secret-uid/1"))
    assert decide(after(run)).requeue_after == 30
    assert needs(after(run)) == [ReadSecret()]
    assert len(words(decide(after(run, secret=CHANGED_SECRET)).actions)) == 1


@pytest.mark.parametrize("failure", SECRET_FAILURES)
def test_a_failure_of_a_secret_that_is_not_read_is_repeated_after_an_hour(failure: Failure) -> None:
    run = failed(failure, an_intent(secret_version=None))
    early = after(run, now=later(3599))
    assert needs(early) == []
    assert words(decide(early).actions) == []
    assert decide(early).requeue_after == pytest.approx(1, abs=721)
    assert len(words(decide(after(run, now=later(4320))).actions)) == 1


@pytest.mark.parametrize("failure", TERMINAL)
def test_a_terminal_failure_is_not_looked_at_again(failure: Failure) -> None:
    observed = after(failed(failure), secret=CHANGED_SECRET, now=later(1e6))
    assert decide(observed).requeue_after is None
    assert words(decide(observed).actions) == []
    assert needs(replace(observed, secret=None)) == []


def test_every_failure_is_of_one_of_the_four_kinds() -> None:
    assert sorted(RETRIED + SECRET_FAILURES + PLANNED + TERMINAL) == sorted(Failure)


def test_a_run_that_wants_to_start_and_is_held_is_told_as_held() -> None:
    decision = decide(after(succeeded(), image=IMAGE_2, suspend=True))
    assert conditions(decision.status) == ("False", "False", Reason.SUSPENDED, False)
    assert the_run(decision).image == IMAGE_1


def test_a_spec_that_became_unusable_after_a_success_is_told() -> None:
    resource = replace(a_resource(run=succeeded()), spec=None, spec_error="spec.database: bad")
    decision = decide(observe(resource))
    assert conditions(decision.status) == ("False", "False", Reason.INVALID_SPEC, True)
    assert words(decision.actions) == []


def test_a_resource_that_is_being_deleted_is_left_alone() -> None:
    for run in (None, an_intent(), succeeded(), CHECKSUM):
        resource = a_resource(a_spec(IMAGE_2), run=run, deleting=True)
        decision = decide(observe(resource, pods=(a_migrating_pod(),)))
        assert decision.status == resource.status
        assert words(decision.actions) == []
        assert decision.requeue_after is None


LEFT = [
    pytest.param(a_job(succeeded=True), True, id="a finished Job without one is given a time to live"),
    pytest.param(a_job(failed_reason=""), True, id="so is one that failed"),
    pytest.param(a_job(succeeded=True, has_ttl=True), False, id="one that has it is left alone"),
    pytest.param(a_job(), True, id="so is the one of the run that has not ended yet"),
    pytest.param(a_job(uid="x"), False, id="another that is not finished is left alone"),
    pytest.param(a_job(succeeded=True, owner_uid="x"), False, id="a foreign Job is left alone"),
    pytest.param(
        a_job(succeeded=True, run_id="x"), True, id="the Job of an earlier run is given a time to live too"
    ),
    pytest.param(None, False, id="a Job that has gone needs none, and nothing runs again"),
]


@pytest.mark.parametrize("run", [succeeded(), CHECKSUM])
@pytest.mark.parametrize(("job", "expires"), LEFT)
def test_the_job_of_a_finished_run(job: JobView | None, expires: bool, run: Run) -> None:
    own_jobs = (job,) if job else ()
    decision = decide(after(run, job=job, own_jobs=own_jobs, pods=(an_ended_pod(0),)))
    assert words(decision.actions) == ([f"expire {an_intent().job_name} in 3600"] if expires else [])
    assert decision.status.run == run


@pytest.mark.parametrize(
    "run", [succeeded(an_intent(sequence=3)), failed(Failure.SQL, an_intent(sequence=3))]
)
def test_every_finished_job_of_the_resource_is_given_a_time_to_live(run: Run) -> None:
    own_jobs = (
        a_job(an_intent(sequence=1), failed_reason="BackoffLimitExceeded"),
        a_job(an_intent(sequence=2), failed_reason="DeadlineExceeded", has_ttl=True),
        a_job(an_intent(sequence=3), succeeded=True),
        a_job(an_intent(sequence=4), uid="x"),
    )
    assert words(decide(after(run, own_jobs=own_jobs)).actions) == [
        f"expire {own_jobs[number].name} in 3600" for number in (0, 2)
    ]


LOST = [
    pytest.param((), 1, id="no Job is left: the first number"),
    pytest.param((a_job(succeeded=True),), 2, id="the Job of the first run is left: the second number"),
    pytest.param(
        (a_job(an_intent(sequence=12), succeeded=True), a_job(an_intent(sequence=9), failed_reason="x")),
        13,
        id="two Jobs are left: the number after the highest",
    ),
    pytest.param((a_job(sequence=0, succeeded=True),), 1, id="a Job without a number"),
    pytest.param((a_job(sequence=12, owner_uid="x"),), 1, id="the Job of another owner has no say"),
]


@pytest.mark.parametrize(("own_jobs", "sequence"), LOST)
def test_status_that_was_lost_runs_again_under_a_number_that_no_job_has(
    own_jobs: tuple[JobView, ...], sequence: int
) -> None:
    decision = decide(observe(a_resource(status=Status()), own_jobs=own_jobs))
    run = the_run(decision)
    assert (run.sequence, run.attempt) == (sequence, 1)
    assert run.job_name == names.job_name(NAME, UID, sequence)
    assert words(decision.actions) == [f"create {run.job_name}"]


@pytest.mark.parametrize(
    "status",
    [Status(), after(succeeded(an_intent(a_spec(IMAGE_2)))).resource.status],
    ids=["all", "the last"],
)
def test_a_job_that_the_status_knows_nothing_of_is_waited_for_and_said_to_be_the_resources_own(
    status: Status,
) -> None:
    """The status was lost in a run, or an older one came back from a backup."""
    own_jobs = (a_job(uid="x"),)
    decision = decide(observe(a_resource(status=status), own_jobs=own_jobs, busy="Job x is at work"))
    assert words(decision.actions) == []
    assert decision.status.run == status.run
    assert conditions(decision.status) == ("False", "False", Reason.DATABASE_BUSY, False)
    assert message(decision.status) == (
        f"waiting for the database: Job {a_job().name} of this resource is still running, and the status that recorded it "
        "was lost. When the Job has ended, the run is repeated and applies only what is left (at 12:00:00 UTC)"
    )


@pytest.mark.parametrize(("number", "sequence"), [(1, 5), (4, 5), (7, 8)])
def test_the_number_after_a_run_is_after_its_own_and_after_those_of_the_jobs(
    number: int, sequence: int
) -> None:
    run = succeeded(an_intent(sequence=4))
    observed = after(run, image=IMAGE_2, own_jobs=(a_job(an_intent(sequence=number), succeeded=True),))
    assert the_run(decide(observed)).sequence == sequence


@pytest.mark.parametrize("checks", [{"metrics": [METRIC]}, {"minPodVersions": [POD_VERSION]}])
def test_after_a_success_the_checks_before_it_are_not_looked_at(checks: dict[str, Any]) -> None:
    observed = after(succeeded(), checks={"pre": checks})
    assert conditions(decide(observed).status) == COMPLETE
    assert decide(observed).inputs == CheckInputs()


def test_going_back_to_an_old_image_says_that_the_database_is_ahead() -> None:
    run = succeeded(to_version="20240203000000", image_version="20240102000000", applied_count=0)
    assert "ahead of" in message(decide(after(run)).status)
