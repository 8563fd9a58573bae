"""What is read besides the caches: Job and pods when the caches must not decide alone, and an ended pod's output."""

from dataclasses import replace

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.decide.needs import ReadReport, ReadRun
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Observed
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    a_job,
    a_migrating_pod,
    a_pod,
    a_resource,
    an_ended_pod,
    an_intent,
    decide,
    later,
    needs,
    observe,
    succeeded,
    words,
)
from tests.unit.decide.test_endings import SUCCESS, ended, fetch_ended

INTENT = a_resource(run=an_intent())
STARTED = a_resource(run=an_intent(job_uid="job-uid"))
GIVEN_UP = a_resource(run=an_intent(job_uid="job-uid", failure=Failure.IMAGE_PULL))
MIGRATED = a_resource(run=an_intent(job_uid="job-uid", migrate_seen=True))
NO_IMAGE = a_pod(fetch=ContainerView(waiting_reason="ErrImagePull"))


DOUBTFUL = [
    pytest.param(observe(INTENT), id="an intent whose Job is absent"),
    pytest.param(observe(STARTED), id="a run whose Job is absent"),
    pytest.param(
        observe(STARTED, job_expected=True),
        id="a run whose Job is absent though it was seen, and just created",
    ),
    pytest.param(observe(GIVEN_UP, pods=(a_pod(),)), id="a run given up whose Job is absent"),
    pytest.param(observe(GIVEN_UP, job=a_job(), pods=(NO_IMAGE,)), id="a run given up"),
    pytest.param(observe(GIVEN_UP, job=a_job(deleting=True)), id="a run given up whose Job is being removed"),
    pytest.param(observe(STARTED, job=a_job(), now=later(30)), id="no pod when the grace is over"),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(NO_IMAGE,), now=later(60)), id="no image when the grace is over"
    ),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(a_pod(unschedulable=True),), now=later(585)),
        id="no node when the grace is over",
    ),
    pytest.param(observe(STARTED, job=a_job(succeeded=True)), id="a finished Job whose pod is absent"),
    pytest.param(
        observe(STARTED, job=a_job(failed_reason=""), pods=(a_migrating_pod(),)),
        id="a finished Job whose pod seems to go on",
    ),
    pytest.param(
        observe(STARTED, job=a_job(succeeded=True), pods=(an_ended_pod(0, job_uid="other"),)),
        id="a finished Job beside the pod of another",
    ),
    pytest.param(
        observe(STARTED, job=a_job(succeeded=True), pods=(an_ended_pod(137), a_migrating_pod("orders-2"))),
        id="a finished Job whose last pod seems to go on",
    ),
]


@pytest.mark.parametrize("observed", DOUBTFUL)
def test_is_read_anew(observed: Observed) -> None:
    assert next_step(observed) == ReadRun()
    deleting = replace(observed.resource, deleting=True)
    assert needs(replace(observed, resource=deleting)) == [], "nothing is decided about it any more"


CERTAIN = [
    pytest.param(observe(), id="a resource without a run"),
    pytest.param(
        observe(a_resource(run=succeeded())), id="a run whose end is recorded and whose Job has gone"
    ),
    pytest.param(
        observe(a_resource(run=succeeded()), job=a_job(succeeded=True)),
        id="a run whose end is recorded and whose Job is there",
    ),
    pytest.param(observe(INTENT, job_expected=True), id="an intent whose Job was just created"),
    pytest.param(observe(INTENT, job=a_job(owner_uid="x")), id="a Job of another owner"),
    pytest.param(observe(INTENT, job=a_job(run_id="x", succeeded=True)), id="a finished Job of another run"),
    pytest.param(observe(STARTED, job=a_job(), now=later(29)), id="no pod within the grace"),
    pytest.param(
        observe(STARTED, job=a_job(had_pod=True), now=later(9999)), id="no pod though the Job tells of one"
    ),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(NO_IMAGE,), now=later(59)), id="no image within the grace"
    ),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(a_pod(),), now=later(9999)),
        id="a pod that waits for nothing known",
    ),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(a_migrating_pod(),), now=later(9999)), id="a pod that migrates"
    ),
    pytest.param(observe(MIGRATED, job=a_job(), now=later(9999)), id="a pod that has gone after it migrated"),
    pytest.param(
        observe(STARTED, job=a_job(), pods=(NO_IMAGE,), migrate_seen=True, now=later(9999)),
        id="a replacement that does not pull, after a pod that migrated",
    ),
    pytest.param(
        observe(STARTED, job=a_job(succeeded=True), pods=(an_ended_pod(0),)),
        id="a finished Job and its ended pod",
    ),
]


@pytest.mark.parametrize("observed", CERTAIN)
def test_is_decided_from_the_caches(observed: Observed) -> None:
    assert ReadRun() not in needs(observed)


@pytest.mark.parametrize("observed", CERTAIN)
def test_what_the_caches_decide_takes_no_job_for_gone_and_gives_none_up(observed: Observed) -> None:
    decision = decide(observed)
    assert not [word for word in words(decision.actions) if word.startswith("delete ")]
    assert decision.status.run is None or decision.status.run.failure is None


@pytest.mark.parametrize(
    ("observed", "name"),
    [
        pytest.param(SUCCESS, "orders-1", id="the pod that ended"),
        pytest.param(
            ended(a_migrating_pod(), succeeded=True), None, id="not one whose container's end is unknown"
        ),
        pytest.param(
            ended(fetch_ended("error=x"), failed_reason="x"), None, id="not one that never migrated"
        ),
        pytest.param(
            ended(an_ended_pod(0)), "orders-1", id="the one whose container has ended before its Job"
        ),
        pytest.param(ended(an_ended_pod(0), deleting=True), None, id="not while the Job is being deleted"),
        pytest.param(
            ended(an_ended_pod(0), succeeded=True, owner_uid="x"), None, id="not the one of a foreign Job"
        ),
        pytest.param(
            ended(an_ended_pod(0), an_ended_pod(1, "orders-2"), failed_reason="x"),
            "orders-2",
            id="the last of two",
        ),
        pytest.param(observe(a_resource()), None, id="not without a run"),
        pytest.param(
            observe(a_resource(run=succeeded()), job=a_job(succeeded=True), pods=(an_ended_pod(0),)),
            None,
            id="not once the end is recorded",
        ),
    ],
)
def test_whose_output_is_read(observed: Observed, name: str | None) -> None:
    assert read_of(observed, "Command") == ([name] if name else [])
    assert read_of(observed, "Atlas") == []  # the runner leaves its report in the pod's status


def read_of(observed: Observed, engine: str) -> list[str]:
    """Names of the pods whose output is needed."""
    status = observed.resource.status
    run = replace(status.run, engine=engine) if status.run else None
    resource = replace(observed.resource, status=replace(status, run=run))
    found = needs(replace(observed, resource=resource, report=None))
    return [need.pod.name for need in found if isinstance(need, ReadReport)]
