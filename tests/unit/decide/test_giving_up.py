"""A run that cannot start is given up after its grace, unless its migration was ever seen started."""

from dataclasses import replace

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import RunResult
from dbupgrade.decide import pulls
from dbupgrade.decide.needs import ReadRun
from dbupgrade.decide.observed import JobView, Observed, PodView, Resource
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    IMAGE_1,
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

STARTED = a_resource(run=an_intent(job_uid="job-uid"))
PENDING = ("False", "True", Reason.JOB_PENDING, False)
MIGRATING = ("False", "True", Reason.MIGRATION_IN_PROGRESS, False)
JOB = an_intent().job_name
STALLED = ("False", "False", Reason.JOB_FAILED, True)
DELETE = [f"delete {JOB} job-uid"]


def waiting(container: str, reason: str, said: str = "") -> PodView:
    view = ContainerView(
        name=container, image="registry.test/x:9", waiting_reason=reason, waiting_message=said
    )
    return a_pod(fetch=view) if container == "fetch" else a_pod(migrate=view)


CANNOT_START = [
    *(
        pytest.param(waiting("fetch", reason), Failure.IMAGE_PULL, 60, id=f"crane's image: {reason}")
        for reason in (
            "ErrImagePull",
            "ImagePullBackOff",
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
    assert words(decision.actions) == []
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


NOT_FOUND = 'failed to resolve reference "registry.test/crane:9": registry.test/crane:9: not found'


@pytest.mark.parametrize("container", ["fetch", "migrate"])
@pytest.mark.parametrize(("reason", "said"), [("InvalidImageName", ""), ("ErrImagePull", NOT_FOUND)])
def test_an_image_that_the_registry_does_not_have_is_not_waited_for(
    container: str, reason: str, said: str
) -> None:
    pod = replace(waiting(container, reason, said), scheduled=later(30))
    observed = cannot_start(pod, 0)
    assert needs(observed) == [ReadRun()], "what the cache shows may be over"
    decision = decide(observed)
    assert words(decision.actions) == DELETE
    assert the_run(decision).failure is Failure.IMAGE_PULL


def test_an_image_that_was_pulled_meanwhile_is_no_reason_to_give_up() -> None:
    decision = decide(replace(cannot_start(a_migrating_pod(), 0), fresh=True))
    assert words(decision.actions) == []
    assert conditions(decision.status) == MIGRATING


def test_the_message_tells_what_keeps_the_pod_from_starting() -> None:
    said = "0/3 nodes are available: 3 Insufficient memory."
    for pod, words_of_it in (
        (
            waiting("fetch", "ErrImagePull"),
            "pod orders-1 cannot start: image registry.test/x:9 of container fetch cannot be pulled",
        ),
        (
            waiting("migrate", "CreateContainerConfigError", 'secret "orders-db" not found'),
            'pod orders-1 cannot start: container migrate: CreateContainerConfigError: secret "orders-db" not found',
        ),
        (a_pod(unschedulable=True, scheduler_said=said), f"pod orders-1 cannot be scheduled: {said}"),
        (a_pod(unschedulable=True), "pod orders-1 cannot be scheduled"),
    ):
        assert message(decide(cannot_start(pod, 1)).status) == f"Job {JOB}: {words_of_it}"


@pytest.mark.parametrize(
    ("reason", "said", "told"),
    [
        ("ErrImagePull", NOT_FOUND, "cannot be pulled: the registry does not have this image"),
        (
            "ErrImagePull",
            "403 Forbidden",
            "cannot be pulled: the registry denied access: the repository may not exist, or the pull secrets do not grant access to it",
        ),
        (
            "ImagePullBackOff",
            "pull QPS: 429 Too Many Requests",
            "cannot be pulled: the registry's rate limit is exceeded",
        ),
        (
            "ErrImagePull",
            "dial tcp 10.0.0.1:443: i/o timeout",
            "cannot be pulled: the registry does not respond",
        ),
        ("InvalidImageName", "", "cannot be pulled: the image name is not valid"),
        ("ImagePullBackOff", "Back-off pulling image", "cannot be pulled"),
        (
            "ErrImagePull",
            "rpc error: code = NotFound desc = get image config descriptor: no match for platform in manifest sha256:ab: not found",
            "cannot be pulled: the image is not available for the node's architecture",
        ),
    ],
)
def test_an_image_that_cannot_be_pulled_is_told_with_what_the_registry_said(
    reason: str, said: str, told: str
) -> None:
    (view,) = pulls.failing([waiting("migrate", reason, said).migrate])
    assert pulls.words(view) == f"image registry.test/x:9 of container migrate {told}"


def test_a_volume_that_is_an_image_is_told_by_its_name() -> None:
    view = waiting("migrate", "ErrImagePull", f"failed to pull image {IMAGE_1}: manifest unknown").migrate
    assert pulls.words(view, IMAGE_1).startswith(f"image {IMAGE_1} of container migrate cannot be pulled")
    unnamed = waiting("migrate", "ErrImagePull", "no match for platform in manifest sha256:ab").migrate
    assert pulls.words(unnamed, IMAGE_1).startswith(f"image {IMAGE_1} or registry.test/x:9 of container")
    runners = waiting("migrate", "ErrImagePull", "failed to pull image registry.test/x:9: denied: no").migrate
    assert pulls.words(runners, IMAGE_1).startswith("image registry.test/x:9 of container migrate cannot")


def test_why_it_could_not_start_is_told_when_its_job_is_gone() -> None:
    given_up = decide(replace(cannot_start(waiting("migrate", "ErrImagePull", NOT_FOUND), 1), fresh=True))
    assert the_run(given_up).failure is Failure.IMAGE_PULL
    gone = replace(again(cannot_start(a_pod(), 1), given_up), job=None, pods=(), fresh=True)
    run = the_run(decide(gone))
    assert run.finished_at is not None
    assert (
        run.error
        == "image registry.test/x:9 of container migrate cannot be pulled: the registry does not have this image"
    )


def test_the_grace_of_an_image_begins_when_the_pod_has_a_node() -> None:
    pod = replace(waiting("fetch", "ErrImagePull"), scheduled=later(100))
    assert words(decide(cannot_start(pod, 159)).actions) == []
    assert words(decide(cannot_start(pod, 160)).actions) == DELETE


def test_a_run_whose_pod_has_gone_after_it_migrated_is_left_to_its_job() -> None:
    migrating = decide(observe(STARTED, job=a_job(), pods=(a_migrating_pod(),), now=later(500)))
    observed = again(observe(STARTED, job=a_job(), now=later(600)), migrating)
    decision = decide(observed)
    assert words(decision.actions) == []
    assert the_run(decision).failure is None
    assert conditions(decision.status) == conditions(migrating.status)


def test_a_job_that_tells_of_a_pod_which_is_not_seen_is_not_given_up_for_want_of_one() -> None:
    decision = decide(observe(STARTED, job=a_job(had_pod=True), now=later(600)))
    assert words(decision.actions) == []
    assert conditions(decision.status) == PENDING


AHEAD = a_resource(run=an_intent(job_uid="job-uid", started_at=later(300)))
LATE = later(100)
BEGINS = [
    pytest.param(STARTED, a_job(created=LATE), None, 130, id="no pod: when the Job was created"),
    pytest.param(STARTED, a_job(created=None), None, 30, id="no pod, no time: when the run began"),
    pytest.param(
        STARTED,
        a_job(),
        replace(waiting("fetch", "ErrImagePull"), created=None, scheduled=None),
        60,
        id="a pod without times: when the run began",
    ),
    pytest.param(
        STARTED,
        a_job(),
        replace(waiting("fetch", "ErrImagePull"), created=LATE, scheduled=None),
        160,
        id="a pod without a node: when the pod was created",
    ),
    pytest.param(
        STARTED, a_job(), a_pod(unschedulable=True, created=LATE), 685, id="no node: when the pod was created"
    ),
    pytest.param(AHEAD, a_job(), None, 330, id="no pod, our clock is ahead: when the run began"),
    pytest.param(
        AHEAD,
        a_job(),
        waiting("fetch", "ErrImagePull"),
        360,
        id="no image, our clock is ahead: when the run began",
    ),
    pytest.param(
        AHEAD,
        a_job(),
        waiting("migrate", "CreateContainerError"),
        360,
        id="bad settings, our clock is ahead: when the run began",
    ),
    pytest.param(
        AHEAD, a_job(), a_pod(unschedulable=True), 885, id="no node, our clock is ahead: when the run began"
    ),
]


@pytest.mark.parametrize(("resource", "job", "pod", "limit"), BEGINS)
def test_when_a_grace_begins(resource: Resource, job: JobView, pod: PodView | None, limit: int) -> None:
    observed = observe(resource, job=job, pods=(pod,) if pod else (), now=later(limit - 1))
    assert words(decide(observed).actions) == []
    assert decide(observed).requeue_after == 1
    assert words(decide(replace(observed, now=later(limit))).actions) == DELETE


@pytest.mark.parametrize(("pod", "failure", "grace"), CANNOT_START)
@pytest.mark.parametrize(
    ("stored", "remembered", "earlier"),
    [
        pytest.param(True, False, (), id="the status has it"),
        pytest.param(False, True, (), id="the process remembers it"),
        pytest.param(False, False, (an_ended_pod(137, "orders-0"),), id="the pod before it shows it"),
    ],
)
def test_a_run_that_was_seen_migrating_is_never_given_up_whatever_its_next_pod_does(
    pod: PodView | None,
    failure: Failure,
    grace: int,
    stored: bool,
    remembered: bool,
    earlier: tuple[PodView, ...],
) -> None:
    resource = a_resource(run=an_intent(job_uid="job-uid", migrate_seen=stored))
    pods = (*earlier, pod) if pod else earlier
    observed = observe(resource, job=a_job(), pods=pods, migrate_seen=remembered, now=later(grace + 9999))
    decision = decide(observed)
    assert words(decision.actions) == []
    assert the_run(decision).failure is None
    assert the_run(decision).migrate_seen
    assert conditions(decision.status) == MIGRATING


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
    assert words(decide(observed).actions) == []
    assert words(decide(replace(observed, now=later(grace))).actions) == DELETE


def test_an_unusable_spec_does_not_shorten_the_grace() -> None:
    observed = observe(replace(STARTED, spec=None), job=a_job(), pods=(a_pod(unschedulable=True),))
    assert decide(observed).requeue_after == 585


# --- given up ----------------------------------------------------------------------------------------------------

GIVEN_UP = a_resource(run=an_intent(job_uid="job-uid", failure=Failure.IMAGE_PULL))


def test_the_removal_is_asked_for_again_until_it_is_under_way() -> None:
    assert words(decide(observe(GIVEN_UP, job=a_job(), pods=(a_pod(),))).actions) == DELETE
    under_way = decide(observe(GIVEN_UP, job=a_job(deleting=True), pods=(a_pod(),)))
    assert words(under_way.actions) == []
    assert under_way.requeue_after == 5, "a watch that hangs would not tell that the Job has gone"


def test_the_pod_of_a_removed_job_is_awaited() -> None:
    decision = decide(observe(GIVEN_UP, pods=(a_pod(),)))
    assert the_run(decision).active
    assert conditions(decision.status) == MIGRATING
    assert decision.requeue_after == 5


def test_when_job_and_pod_have_gone_the_run_has_failed_and_is_tried_again() -> None:
    decision = decide(observe(GIVEN_UP))
    run = the_run(decision)
    assert (run.result, run.failure) == (RunResult.FAILED, Failure.IMAGE_PULL)
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, False)
    assert "Attempt 2 starts at 12:00:1" in message(decision.status)


def test_a_migration_that_started_before_its_job_was_removed_goes_on() -> None:
    decision = decide(observe(GIVEN_UP, job=a_job(), pods=(a_migrating_pod(),)))
    assert the_run(decision).failure is None
    assert the_run(decision).migrate_seen
    assert conditions(decision.status) == MIGRATING
    assert words(decision.actions) == []


def test_a_job_that_failed_before_it_was_removed_is_told_as_it_failed_if_it_migrated() -> None:
    observed = observe(GIVEN_UP, job=a_job(failed_reason="BackoffLimitExceeded"), pods=(an_ended_pod(1),))
    told = decide(replace(observed, report=Report(failure=Failure.CHECKSUM)))
    assert the_run(told).failure is Failure.CHECKSUM
    assert not the_run(told).active


def test_a_job_that_failed_before_it_was_removed_is_removed_if_it_never_migrated() -> None:
    fetch = ContainerView(started=True, exit_code=1, message="error=MissingFolder")
    pods = (a_pod(terminal=True, fetch=fetch),)
    observed = observe(GIVEN_UP, job=a_job(failed_reason="BackoffLimitExceeded"), pods=pods)
    assert words(decide(observed).actions) == DELETE


def test_a_migration_that_ended_after_all_is_told_as_it_ended() -> None:
    observed = observe(GIVEN_UP, job=a_job(succeeded=True), pods=(an_ended_pod(0),))
    assert the_run(decide(observed)).result is RunResult.SUCCEEDED


def test_a_migration_that_starts_while_its_job_is_removed_is_remembered_until_it_has_gone() -> None:
    observed = observe(GIVEN_UP, job=a_job(deleting=True), pods=(a_migrating_pod(),))
    decision = decide(observed)
    assert words(decision.actions) == []
    assert (the_run(decision).failure, the_run(decision).migrate_seen) == (Failure.IMAGE_PULL, True)
    gone = decide(again(observed, decision, job=None, pods=()))
    assert the_run(gone).failure is Failure.INTERRUPTED
    assert conditions(gone.status) == STALLED
    for seconds in (60, 9999):
        assert words(decide(again(observed, gone, job=None, pods=(), now=later(seconds))).actions) == []


@pytest.mark.parametrize(
    ("stored", "remembered", "pods"),
    [
        pytest.param(True, False, (), id="the status has it"),
        pytest.param(False, True, (), id="the process remembers it"),
        pytest.param(False, False, (an_ended_pod(143),), id="its ended pod shows it"),
    ],
)
def test_a_migration_that_started_and_vanished_with_the_removed_job_is_interrupted(
    stored: bool, remembered: bool, pods: tuple[PodView, ...]
) -> None:
    run = an_intent(job_uid="job-uid", failure=Failure.IMAGE_PULL, migrate_seen=stored)
    decision = decide(observe(a_resource(run=run), pods=pods, migrate_seen=remembered))
    assert the_run(decision).failure is Failure.INTERRUPTED
    assert conditions(decision.status) == STALLED, "nobody knows how far it came: a person must look"


def test_the_pod_of_an_earlier_job_says_nothing_of_the_removed_one() -> None:
    decision = decide(observe(GIVEN_UP, pods=(an_ended_pod(143, job_uid="earlier"),)))
    assert the_run(decision).failure is Failure.IMAGE_PULL
