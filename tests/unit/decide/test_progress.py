"""An active run: its Job is created, watched, or given up because it cannot start."""

from dataclasses import replace

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.status import Failure, RunResult
from dbupgrade.decide.observed import ContainerView, JobView, Observed, PodView, Resource
from dbupgrade.decide.progress import refused
from tests.unit.decide.builders import (
    FETCHED,
    IMAGE_2,
    NAME,
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
    observe,
    the_run,
    words,
)

ACTIVE = a_resource(run=an_intent())
STARTED = a_resource(run=an_intent(job_uid="job-uid"))
PENDING = ("False", "True", Reason.JOB_PENDING, False)
MIGRATING = ("False", "True", Reason.MIGRATION_IN_PROGRESS, False)
JOB = an_intent().job_name
CREATE, DELETE = [f"create {JOB}"], [f"delete {JOB} job-uid"]


# --- no Job of the run is there ----------------------------------------------------------------------------------


def test_an_intent_without_a_job_creates_the_job_again() -> None:
    decision = decide(observe(ACTIVE))
    assert words(decision.actions) == CREATE
    assert decision.status == ACTIVE.status


def test_a_suspended_resource_still_finishes_what_it_began() -> None:
    observed = observe(replace(ACTIVE, spec=a_spec(suspend=True)))
    assert words(decide(observed).actions) == CREATE


def test_a_job_that_was_just_created_is_awaited() -> None:
    decision = decide(observe(ACTIVE, job_expected=True))
    assert decision.actions == ()
    assert decision.status == ACTIVE.status
    assert decision.requeue_after == 5


@pytest.mark.parametrize("change", [{"image": IMAGE_2}, {"runner": {"activeDeadlineSeconds": 60}}])
def test_an_intent_whose_spec_has_changed_is_replaced_by_the_next_run(change: dict[str, str]) -> None:
    observed = observe(replace(ACTIVE, spec=a_spec(**change)))
    decision = decide(observed)
    run = the_run(decision)
    assert run.sequence == 2
    assert words(decision.actions) == [f"create {names.job_name(NAME, UID, 2)}"]
    assert decision.status.history == ()


def test_an_intent_whose_spec_became_unusable_ends_before_the_spec_is_held() -> None:
    observed = observe(replace(ACTIVE, spec=None, spec_error="spec: bad"))
    decision = decide(observed)
    assert decision.actions == ()
    assert the_run(decision).failure is Failure.SUPERSEDED
    assert not the_run(decision).active
    held = decide(again(observed, decision))
    assert conditions(held.status) == ("False", "False", Reason.INVALID_SPEC, True)


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
    assert decision.actions == ()
    assert conditions(decision.status) == reason
    assert message(decision.status) == "waiting for pod orders-1 to end, whose Job is gone"


def test_a_job_that_somebody_deleted_is_cancelled_and_stalled() -> None:
    decision = decide(observe(STARTED, pods=(an_ended_pod(143),)))
    run = the_run(decision)
    assert (run.result, run.failure) == (RunResult.FAILED, Failure.CANCELLED)
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, True)
    assert "somebody deleted the Job" in message(decision.status)
    assert decision.actions == ()


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
    assert decision.actions == ()


def test_a_pod_that_migrates_is_named() -> None:
    decision = decide(observe(STARTED, job=a_job(), pods=(a_migrating_pod(),)))
    assert conditions(decision.status) == MIGRATING
    assert "pod orders-1 is migrating" in message(decision.status)
    assert decision.requeue_after is None


def test_the_replacement_of_an_evicted_pod_counts() -> None:
    evicted = an_ended_pod(137, "orders-1")
    decision = decide(observe(STARTED, job=a_job(), pods=(evicted, a_migrating_pod("orders-2"))))
    assert "pod orders-2 is migrating" in message(decision.status)


def test_the_pod_of_an_earlier_job_does_not_count() -> None:
    earlier = a_migrating_pod(job_uid="earlier")
    assert conditions(decide(observe(STARTED, job=a_job(), pods=(earlier,))).status) == PENDING


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


def waiting(container: str, reason: str) -> PodView:
    view = ContainerView(waiting_reason=reason)
    return a_pod(fetch=view) if container == "fetch" else a_pod(migrate=view)


CANNOT_START = [
    *(
        pytest.param(waiting("fetch", reason), Failure.IMAGE_PULL, 60, id=f"crane's image: {reason}")
        for reason in (
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "ImageInspectError",
        )
    ),
    pytest.param(
        waiting("migrate", "ImagePullBackOff"), Failure.IMAGE_PULL, 60, id="atlas's image does not pull"
    ),
    *(
        pytest.param(waiting("migrate", reason), Failure.POD_SETTINGS, 60, id=f"settings: {reason}")
        for reason in (
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        )
    ),
    pytest.param(None, Failure.NO_POD, 30, id="there is no pod"),
    pytest.param(a_pod(unschedulable=True), Failure.UNSCHEDULABLE, 585, id="no node takes the pod"),
]


def cannot_start(pod: PodView | None, seconds: float) -> Observed:
    return observe(STARTED, job=a_job(), pods=(pod,) if pod else (), now=later(seconds))


@pytest.mark.parametrize(("pod", "failure", "grace"), CANNOT_START)
def test_a_run_that_cannot_start_has_a_grace(pod: PodView | None, failure: Failure, grace: int) -> None:
    decision = decide(cannot_start(pod, grace - 1))
    assert decision.actions == ()
    assert the_run(decision).failure is None
    assert conditions(decision.status) == PENDING
    assert decision.requeue_after == 1


@pytest.mark.parametrize(("pod", "failure", "grace"), CANNOT_START)
def test_a_run_that_cannot_start_is_given_up_after_its_grace(
    pod: PodView | None, failure: Failure, grace: int
) -> None:
    decision = decide(cannot_start(pod, grace))
    assert words(decision.actions) == DELETE
    run = the_run(decision)
    assert run.failure is failure
    assert run.active, "the run ends when its Job and its pod have gone"
    assert conditions(decision.status) == PENDING


def test_the_message_tells_what_keeps_the_pod_from_starting() -> None:
    decision = decide(cannot_start(waiting("fetch", "ErrImagePull"), 1))
    assert message(decision.status) == f"Job {JOB}: pod orders-1 cannot start (ImagePull)"
    decision = decide(cannot_start(a_pod(unschedulable=True), 1))
    assert message(decision.status) == f"Job {JOB}: no node takes pod orders-1"


def test_the_grace_of_an_image_begins_when_the_pod_has_a_node() -> None:
    pod = replace(waiting("fetch", "ErrImagePull"), scheduled=later(100))
    assert decide(cannot_start(pod, 159)).actions == ()
    assert words(decide(cannot_start(pod, 160)).actions) == DELETE


def test_a_run_whose_pod_has_gone_after_it_migrated_is_left_to_its_job() -> None:
    migrating = decide(observe(STARTED, job=a_job(), pods=(a_migrating_pod(),), now=later(500)))
    observed = again(observe(STARTED, job=a_job(), now=later(600)), migrating)
    decision = decide(observed)
    assert decision.actions == ()
    assert the_run(decision).failure is None
    assert conditions(decision.status) == conditions(migrating.status)


def test_a_job_that_tells_of_a_pod_which_is_not_seen_is_not_given_up_for_want_of_one() -> None:
    decision = decide(observe(STARTED, job=a_job(had_pod=True), now=later(600)))
    assert decision.actions == ()
    assert conditions(decision.status) == PENDING


def test_without_times_nothing_is_given_up() -> None:
    observed = observe(STARTED, job=a_job(created=None), now=later(9999))
    assert decide(observed).actions == ()
    pod = replace(waiting("fetch", "ErrImagePull"), created=None, scheduled=None)
    assert decide(cannot_start(pod, 9999)).actions == ()


@pytest.mark.parametrize(
    ("deadline", "grace"),
    [
        pytest.param(3600, 600, id="a long deadline leaves ten minutes"),
        pytest.param(600, 585, id="the run is given up before the deadline of its Job"),
        pytest.param(60, 45, id="so with a deadline of a minute"),
        pytest.param(20, 10, id="a short deadline leaves half of it"),
        pytest.param(1, 0.5, id="even the shortest one leaves time to start"),
    ],
)
def test_the_grace_fits_the_deadline(deadline: int, grace: float) -> None:
    spec = a_spec(runner={"activeDeadlineSeconds": deadline})
    resource = a_resource(spec, run=an_intent(spec, job_uid="job-uid"))
    observed = observe(resource, job=a_job(), pods=(a_pod(unschedulable=True),))
    assert decide(observed).requeue_after == grace
    assert decide(observed).actions == ()
    assert words(decide(replace(observed, now=later(grace))).actions) == DELETE


def test_an_unusable_spec_does_not_shorten_the_grace() -> None:
    observed = observe(replace(STARTED, spec=None), job=a_job(), pods=(a_pod(unschedulable=True),))
    assert decide(observed).requeue_after == 585


# --- given up ----------------------------------------------------------------------------------------------------

GIVEN_UP = a_resource(run=an_intent(job_uid="job-uid", failure=Failure.IMAGE_PULL))


def test_the_removal_is_asked_for_again_until_it_is_under_way() -> None:
    assert words(decide(observe(GIVEN_UP, job=a_job(), pods=(a_pod(),))).actions) == DELETE
    assert decide(observe(GIVEN_UP, job=a_job(deleting=True), pods=(a_pod(),))).actions == ()


def test_the_pod_of_a_removed_job_is_awaited() -> None:
    decision = decide(observe(GIVEN_UP, pods=(a_pod(),)))
    assert the_run(decision).active
    assert conditions(decision.status) == MIGRATING


def test_when_job_and_pod_have_gone_the_run_has_failed_and_is_tried_again() -> None:
    decision = decide(observe(GIVEN_UP))
    run = the_run(decision)
    assert (run.result, run.failure) == (RunResult.FAILED, Failure.IMAGE_PULL)
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, False)
    assert "Tried again at 12:00:1" in message(decision.status)


def test_a_migration_that_started_after_all_goes_on() -> None:
    decision = decide(observe(GIVEN_UP, job=a_job(deleting=True), pods=(a_migrating_pod(),)))
    assert the_run(decision).failure is None
    assert conditions(decision.status) == MIGRATING
    assert decision.actions == ()


def test_a_migration_that_ended_after_all_is_told_as_it_ended() -> None:
    observed = observe(GIVEN_UP, job=a_job(succeeded=True), pods=(an_ended_pod(0),))
    assert the_run(decide(observed)).result is RunResult.SUCCEEDED


def test_a_migration_that_started_and_vanished_with_the_removed_job_is_interrupted() -> None:
    decision = decide(observe(GIVEN_UP, pods=(an_ended_pod(143),)))
    assert the_run(decision).failure is Failure.INTERRUPTED
    assert conditions(decision.status)[3], "nobody knows how far it came: a person must look"


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
    assert decision.actions == ()
    assert "exceeded quota: pods" in message(decision.status)
