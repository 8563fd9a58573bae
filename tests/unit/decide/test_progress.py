"""An active run: its Job is created, watched, or given up because it cannot start."""

from dataclasses import replace

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import RunResult
from dbupgrade.api.status import Status
from dbupgrade.decide.migration import not_created, refused
from dbupgrade.decide.needs import ReadProgress
from dbupgrade.decide.observed import JobView, Looked, Observed, PodView, Resource
from dbupgrade.pod.progress import Seen
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    FETCHED,
    IMAGE_1,
    IMAGE_2,
    NAME,
    NOW,
    RUNNING,
    UID,
    a_job,
    a_migrating_pod,
    a_pod,
    a_resource,
    a_spec,
    again,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    later,
    message,
    needs,
    observe,
    the_run,
    words,
)
from tests.unit.decide.test_start import NO_SECRET

ACTIVE = a_resource(run=an_intent())
STARTED = a_resource(run=an_intent(job_uid="job-uid"))
PENDING = ("False", "True", Reason.JOB_PENDING, False)
MIGRATING = ("False", "True", Reason.MIGRATION_IN_PROGRESS, False)
JOB = an_intent().job_name
CREATE = [f"create {JOB}"]


# --- no Job of the run is there ----------------------------------------------------------------------------------


def test_an_intent_without_a_job_creates_the_job_again() -> None:
    decision = decide(observe(ACTIVE))
    assert words(decision.actions) == CREATE
    assert decision.status == ACTIVE.status


def test_a_suspended_resource_still_finishes_what_it_began() -> None:
    observed = observe(replace(ACTIVE, spec=a_spec(suspend=True)))
    assert words(decide(observed).actions) == CREATE


def test_an_intent_waits_for_the_database_before_its_job_is_created() -> None:
    observed = observe(ACTIVE, busy="other is migrating it")
    decision = decide(observed)
    assert words(decision.actions) == []
    assert the_run(decision) == ACTIVE.status.run
    assert conditions(decision.status) == PENDING
    assert message(decision.status) == "run 1 is waiting for the database: other is migrating it"
    assert decision.requeue_after == 5
    assert words(decide(again(observed, decision, busy="")).actions) == CREATE


@pytest.mark.parametrize(
    "job", [pytest.param(a_job(), id="is there"), pytest.param(a_job(succeeded=True), id="has ended")]
)
def test_a_run_whose_job_exists_does_not_wait_for_the_database(job: JobView) -> None:
    free, busy = observe(ACTIVE, job=job), observe(ACTIVE, job=job, busy="other is migrating it")
    assert decide(busy) == decide(free)


def test_a_job_that_was_just_created_is_awaited() -> None:
    decision = decide(observe(ACTIVE, job_expected=True))
    assert words(decision.actions) == []
    assert decision.status == ACTIVE.status
    assert decision.requeue_after == 5


def test_a_job_that_could_not_be_created_is_told_once_and_the_run_goes_on() -> None:
    observed = observe(ACTIVE)
    run = the_run(decide(observed))
    status = not_created(observed, run, "500 failed calling webhook policy.example")
    assert conditions(status) == PENDING
    assert message(status) == (
        f"Job {JOB} could not be created and is retried: 500 failed calling webhook policy.example. If this lasts, check "
        "the API server and its admission webhooks."
    )
    told = observe(replace(ACTIVE, status=status))
    assert status.run
    assert not_created(told, status.run, "503 another port in the message") == status
    assert words(decide(told).actions) == CREATE


def test_a_job_that_was_created_at_last_is_told() -> None:
    observed = observe(ACTIVE)
    status = not_created(observed, the_run(decide(observed)), "500")
    assert status.run
    assert status.run.creation_problem == "500"
    decision = decide(observe(replace(ACTIVE, status=status), job=a_job()))
    assert message(decision.status) == f"Job {JOB} was created: its pod is starting"
    assert the_run(decision).creation_problem is None


@pytest.mark.parametrize("change", [{"image": IMAGE_2}, {"runner": {"activeDeadlineSeconds": 60}}])
def test_an_intent_whose_spec_has_changed_is_replaced_by_the_next_run(change: dict[str, str]) -> None:
    observed = observe(replace(ACTIVE, spec=a_spec(**change)))
    decision = decide(observed)
    run = the_run(decision)
    assert run.sequence == 2
    assert words(decision.actions) == [f"create {names.job_name(NAME, UID, 2)}"]
    assert decision.status.history == ()


@pytest.mark.parametrize(
    ("observed", "reason", "stalled"),
    [
        pytest.param(
            observe(replace(ACTIVE, spec=None, spec_error="spec: bad")),
            Reason.INVALID_SPEC,
            True,
            id="the spec became unusable",
        ),
        pytest.param(
            observe(replace(ACTIVE, spec=a_spec(IMAGE_2, suspend=True))),
            Reason.SUSPENDED,
            False,
            id="the new spec is suspended",
        ),
        pytest.param(
            observe(replace(ACTIVE, spec=a_spec(IMAGE_2)), secret=NO_SECRET),
            Reason.SECRET_NOT_FOUND,
            False,
            id="the new spec finds no Secret",
        ),
        pytest.param(
            observe(replace(ACTIVE, spec=a_spec(IMAGE_2)), busy="somebody"),
            Reason.DATABASE_BUSY,
            False,
            id="the new spec finds its database busy",
        ),
    ],
)
def test_an_intent_that_is_not_wanted_ends_before_the_new_spec_is_held(
    observed: Observed, reason: Reason, stalled: bool
) -> None:
    decision = decide(observed)
    run = the_run(decision)
    assert words(decision.actions) == []
    assert (run.result, run.failure, run.finished_at) == (RunResult.FAILED, Failure.SUPERSEDED, NOW)
    assert decision.status.history == (run,)
    held = decide(again(observed, decision))
    assert conditions(held.status) == ("False", "False", reason, stalled)
    assert held.status.run == run


def test_an_intent_that_meets_a_foreign_job_ends_if_the_next_one_is_held() -> None:
    observed = observe(ACTIVE, job=a_job(owner_uid="somebody"), busy="somebody")
    decision = decide(observed)
    assert words(decision.actions) == []
    assert the_run(decision).failure is Failure.SUPERSEDED
    later_on = decide(again(observed, decision, busy="", now=later(12)))
    assert words(later_on.actions) == [f"create {names.job_name(NAME, UID, 2)}"]


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        pytest.param(ACTIVE, PENDING, id="of an intent whose Job was never seen"),
        pytest.param(STARTED, MIGRATING, id="of a run whose Job is gone"),
    ],
)
def test_a_living_pod_is_awaited_before_anything_else_happens(
    resource: Resource, reason: tuple[str, str, str, bool]
) -> None:
    observed = replace(observe(ACTIVE, pods=(a_migrating_pod(),)), resource=resource)
    decision = decide(observed)
    assert words(decision.actions) == []
    assert conditions(decision.status) == reason
    assert message(decision.status) == "waiting for pod orders-1 to end; its Job is gone"


def test_a_job_that_somebody_deleted_is_cancelled_and_stalled() -> None:
    decision = decide(observe(STARTED, pods=(an_ended_pod(143),)))
    run = the_run(decision)
    assert (run.result, run.failure) == (RunResult.FAILED, Failure.CANCELLED)
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, True)
    assert "the Job was deleted" in message(decision.status)
    assert words(decision.actions) == []


def test_a_job_seen_before_is_not_expected_even_if_it_was_just_created() -> None:
    decision = decide(observe(STARTED, job_expected=True))
    assert the_run(decision).failure is Failure.CANCELLED


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(a_job(owner_uid="somebody"), id="of another owner"),
        pytest.param(a_job(owner_uid=""), id="of nobody"),
        pytest.param(a_job(run_id="other"), id="of another run"),
    ],
)
@pytest.mark.parametrize("expected", [False, True])
def test_a_foreign_job_of_the_name_makes_the_next_number(foreign: JobView, expected: bool) -> None:
    decision = decide(observe(ACTIVE, job=foreign, job_expected=expected))
    assert words(decision.actions) == [f"create {names.job_name(NAME, UID, 2)}"]
    assert the_run(decision).sequence == 2


def test_a_foreign_job_is_never_deleted_and_never_expires() -> None:
    foreign = a_job(owner_uid="somebody", succeeded=True)
    decision = decide(observe(a_resource(run=an_intent(job_uid="job-uid")), job=foreign))
    assert not [word for word in words(decision.actions) if not word.startswith("create ")]


# --- the Job is there --------------------------------------------------------------------------------------------


def test_an_adopted_job_is_noted_and_pending() -> None:
    decision = decide(observe(ACTIVE, job=a_job()))
    assert the_run(decision).job_uid == "job-uid"
    assert conditions(decision.status) == PENDING
    assert words(decision.actions) == []


def test_a_job_that_migrates_is_named_and_that_it_does_is_stored() -> None:
    decision = decide(observe(STARTED, job=a_job(), pods=(a_migrating_pod(),)))
    assert conditions(decision.status) == MIGRATING
    assert message(decision.status) == f"Job {JOB} is applying the migrations of {IMAGE_1}"
    assert the_run(decision).migrate_seen
    assert decision.requeue_after == 450  # when it becomes slow


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param((), id="the pod has gone"),
        pytest.param((a_pod("orders-2"),), id="its replacement starts"),
        pytest.param((a_pod("orders-2", fetch=RUNNING),), id="its replacement fetches"),
        pytest.param((an_ended_pod(137), a_migrating_pod("orders-2")), id="its replacement migrates"),
    ],
)
def test_a_run_that_has_migrated_says_the_same_when_its_pod_is_replaced(pods: tuple[PodView, ...]) -> None:
    migrating = decide(observe(STARTED, job=a_job(), pods=(a_migrating_pod(),)))
    observed = again(observe(STARTED, job=a_job(), pods=pods, now=later(400)), migrating)
    assert decide(observed).status == migrating.status
    assert words(decide(observed).actions) == []


LONG = (a_pod(fetch=FETCHED, migrate=ContainerView(started=True, running_since=NOW)),)
BLOCKED = Seen("2_b.sql", 2, 3, "2_b.sql (2 of 3): waiting 40 s for a lock", is_blocked=True, statement=4)


def test_what_a_run_does_is_looked_at_when_it_takes_long() -> None:
    for seconds, expected in (
        (0, []),
        (14, []),
        (15, [ReadProgress(LONG[0])]),
        (600, [ReadProgress(LONG[0])]),
    ):
        assert needs(observe(STARTED, job=a_job(), pods=LONG, now=later(seconds))) == expected
    first = decide(observe(STARTED, job=a_job(), pods=LONG, now=later(5)))
    assert first.requeue_after == 10


@pytest.mark.parametrize(
    ("seen", "reason", "text"),
    [
        (None, Reason.MIGRATION_IN_PROGRESS, f"Job {JOB} is applying the migrations of {IMAGE_1}"),
        (BLOCKED, Reason.WAITING_FOR_LOCK, BLOCKED.message),
        (replace(BLOCKED, is_blocked=False), Reason.MIGRATION_IN_PROGRESS, BLOCKED.message),
    ],
)
def test_what_was_seen_is_told_until_the_next_look(seen: Seen | None, reason: Reason, text: str) -> None:
    looked = Looked("job-uid", later(60), seen)
    observed = observe(STARTED, job=a_job(), pods=LONG, now=later(65), progress=looked)
    decision = decide(observed)
    assert needs(observed) == []
    assert (conditions(decision.status)[2], message(decision.status)) == (reason, text)
    assert decision.requeue_after == 10
    progress = the_run(decision).progress
    assert (progress and progress.message) == (seen and seen.message)


def test_what_another_job_did_is_not_told() -> None:
    looked = Looked("another", later(60), BLOCKED)
    observed = observe(STARTED, job=a_job(), pods=LONG, now=later(5), progress=looked)
    assert the_run(decide(observed)).progress is None


def test_a_run_that_ends_has_no_progress_any_more() -> None:
    looked = Looked("job-uid", later(60), BLOCKED)
    on = decide(observe(STARTED, job=a_job(), pods=LONG, now=later(65), progress=looked))
    assert the_run(on).progress
    ended = observe(
        STARTED, job=a_job(succeeded=True), pods=(an_ended_pod(0),), now=later(70), progress=looked
    )
    assert the_run(decide(again(ended, on))).progress is None


def test_what_a_command_prints_is_no_progress() -> None:
    run = an_intent(job_uid="job-uid", engine="Command")
    assert needs(observe(a_resource(run=run), job=a_job(run), pods=LONG, now=later(60))) == []


def test_what_the_process_remembers_of_the_migration_is_stored() -> None:
    decision = decide(observe(STARTED, job=a_job(), migrate_seen=True))
    assert the_run(decision).migrate_seen
    assert conditions(decision.status) == MIGRATING


def test_a_pod_that_only_fetches_does_not_migrate() -> None:
    decision = decide(observe(STARTED, job=a_job(), pods=(a_pod(fetch=RUNNING),)))
    assert not the_run(decision).migrate_seen
    assert conditions(decision.status) == PENDING


@pytest.mark.parametrize(
    ("job", "pods"),
    [
        pytest.param(a_job(), (), id="its pod is awaited"),
        pytest.param(a_job(), (a_migrating_pod(),), id="it migrates"),
        pytest.param(a_job(), (a_pod(unschedulable=True),), id="it cannot start"),
        pytest.param(None, (a_migrating_pod(),), id="its Job is gone and its pod lives"),
    ],
)
@pytest.mark.parametrize(("observed_before", "told"), [(-1, 1), (1, 1), (2, 2)])
def test_a_run_that_is_on_speaks_for_its_own_generation_and_never_goes_back(
    job: JobView | None, pods: tuple[PodView, ...], observed_before: int, told: int
) -> None:
    status = Status(observed_generation=observed_before)
    run = an_intent(job_uid="job-uid")
    resource = a_resource(a_spec(IMAGE_2), run=run, status=status, generation=3)
    decided = decide(observe(resource, job=job, pods=pods)).status
    assert decided.observed_generation == told
    assert {condition.observed_generation for condition in decided.conditions} == {told}


def test_a_run_of_the_spec_as_it_is_speaks_for_the_newest_generation() -> None:
    resource = replace(STARTED, generation=3)  # an edit that starts no run, of the checks for example
    assert decide(observe(resource, job=a_job())).status.observed_generation == 3


def test_the_pod_of_an_earlier_job_does_not_count() -> None:
    earlier = a_migrating_pod(job_uid="earlier")
    decision = decide(observe(STARTED, job=a_job(), pods=(earlier,)))
    assert conditions(decision.status) == PENDING
    assert not the_run(decision).migrate_seen


def test_nothing_is_written_while_a_pod_starts_as_it_should() -> None:
    first = observe(STARTED, job=a_job())
    written = again(first, decide(first))
    for pod in (
        a_pod(),
        a_pod(fetch=ContainerView(waiting_reason="PodInitializing")),
        a_pod(fetch=RUNNING),
        a_pod(fetch=FETCHED),
    ):
        assert decide(replace(written, pods=(pod,))).status == written.resource.status


def test_a_job_that_the_api_server_refuses_ends_the_run_with_its_words() -> None:
    run = an_intent()
    decision = refused(observe(ACTIVE), run, "exceeded quota: pods")
    ended = the_run(decision)
    assert (ended.result, ended.failure, ended.error) == (
        RunResult.FAILED,
        Failure.JOB_REFUSED,
        "exceeded quota: pods",
    )
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, False)
    assert words(decision.actions) == []
    assert "exceeded quota: pods" in message(decision.status)
