"""A run ends with its main container, seconds before the Job controller reports it, unless another pod may take its place."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run, RunResult
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.observed import Observed, PodView
from dbupgrade.pod.report import Report
from tests.unit.decide.builders import (
    IMAGE_2,
    NOW,
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
    failed,
    later,
    message,
    needs,
    observe,
    succeeded,
    the_run,
    words,
)

STARTED = a_resource(run=an_intent(job_uid="job-uid"))
MIGRATING = ("False", "True", Reason.MIGRATION_IN_PROGRESS, False)
EXPIRE = f"expire {an_intent().job_name} in 3600"
DELETE = f"delete {an_intent().job_name} job-uid"
FAILED = Report(failure=Failure.SQL)


def seen(*pods: PodView, report: Report | None = None, **job: Any) -> Observed:
    return observe(STARTED, job=a_job(**job), pods=pods, report=report, now=later(30))


@pytest.mark.parametrize("terminal", [True, False], ids=["its pod has ended", "a sidecar of its pod goes on"])
def test_a_container_that_succeeded_ends_the_run_before_its_job(terminal: bool) -> None:
    pod = an_ended_pod(0, terminal=terminal)
    pod = replace(pod, migrate=replace(pod.migrate, finished=later(27)))
    assert needs(seen(pod)) == []
    decision = decide(seen(pod))
    assert the_run(decision).result is RunResult.SUCCEEDED
    assert decision.status.job_completed_at == later(27)
    assert words(decision.actions) == [EXPIRE]
    assert conditions(decision.status)[0] == "True"


def test_a_container_that_failed_ends_the_run_before_its_job() -> None:
    decision = decide(seen(an_ended_pod(1), report=FAILED))
    assert the_run(decision).failure is Failure.SQL
    assert words(decision.actions) == [EXPIRE]


def test_a_success_without_a_time_is_complete_when_its_job_is_or_else_now() -> None:
    assert decide(seen(an_ended_pod(0))).status.job_completed_at == later(30)
    told = seen(an_ended_pod(0), succeeded=True, completed=later(29))
    assert decide(told).status.job_completed_at == later(29)


MAY_BE_REPLACED = {
    "it was evicted after it had succeeded": (an_ended_pod(0, disrupted=True), {}),
    "it was evicted": (an_ended_pod(1, disrupted=True), {}),
    "it is being deleted": (an_ended_pod(0, deleting=True), {}),
    "its Job is being deleted": (an_ended_pod(0), {"deleting": True}),
    "it was killed": (an_ended_pod(137), {}),
    "it had no connection and the Job tries again": (an_ended_pod(75), {"backoff_limit": 1}),
}


@pytest.mark.parametrize(("pod", "job"), MAY_BE_REPLACED.values(), ids=MAY_BE_REPLACED)
def test_what_may_be_replaced_is_left_to_the_job_controller(pod: PodView, job: dict[str, Any]) -> None:
    decision = decide(seen(pod, **job))
    assert the_run(decision).active
    assert words(decision.actions) == []
    assert conditions(decision.status) == MIGRATING


def test_a_container_without_a_connection_ends_the_run_of_a_job_that_does_not_try_again() -> None:
    assert not the_run(decide(seen(an_ended_pod(75)))).active


def test_a_pod_that_was_replaced_says_nothing_of_the_end() -> None:
    assert the_run(decide(seen(an_ended_pod(1), a_migrating_pod("orders-2")))).active


def test_a_success_wins_over_a_deadline_that_the_job_reports_later() -> None:
    decision = decide(seen(an_ended_pod(0), failed_reason="DeadlineExceeded"))
    assert the_run(decision).result is RunResult.SUCCEEDED


def after(run: Run, *pods: PodView, seconds: float, image: str = IMAGE_2, **job: Any) -> Decision:
    """The decision some seconds after the end of `run` was recorded, while its Job has not ended."""
    resource = a_resource(a_spec(image), run=run, generation=2)
    job_view = a_job(run, **job)
    own: dict[str, Any] = {"job": job_view, "own_jobs": (job_view,)}
    return decide(observe(resource, pods=pods, now=later(seconds), **own))


RECORDED = [succeeded(), failed(Failure.SQL)]


@pytest.mark.parametrize("run", RECORDED)
@pytest.mark.parametrize("pod", [an_ended_pod(0), an_ended_pod(0, terminal=False)])
def test_the_next_run_waits_for_the_job_and_says_nothing_for_some_seconds(run: Run, pod: PodView) -> None:
    decision = after(run, pod, seconds=2)
    assert the_run(decision) == run
    assert decision.status.conditions == ()
    assert decision.requeue_after == 8
    assert [word for word in words(decision.actions) if word != EXPIRE] == []


@pytest.mark.parametrize("run", RECORDED)
def test_a_job_that_does_not_end_is_waited_for_in_words(run: Run) -> None:
    decision = after(run, an_ended_pod(0), seconds=10)
    assert the_run(decision) == run
    assert conditions(decision.status) == ("False", "False", Reason.DATABASE_BUSY, False)
    assert message(decision.status) == (
        f"waiting for the database: Job {run.job_name} of the last run has not ended yet (at 12:00:10 UTC)"
    )


def test_a_clock_that_was_set_back_does_not_silence_the_wait() -> None:
    run = succeeded(finished_at=NOW + timedelta(hours=1))
    assert conditions(after(run, an_ended_pod(0), seconds=0).status)[2] == Reason.DATABASE_BUSY


def test_the_next_run_starts_when_job_and_pod_are_over() -> None:
    decision = after(succeeded(), an_ended_pod(0), seconds=2, succeeded=True)
    assert the_run(decision).sequence == 2
    waits_for_its_pod = after(succeeded(), an_ended_pod(0, terminal=False), seconds=2, succeeded=True)
    assert the_run(waits_for_its_pod).sequence == 1


def test_an_end_whose_status_was_not_written_is_found_again_and_one_that_was_stands() -> None:
    first = decide(seen(an_ended_pod(0)))
    assert decide(seen(an_ended_pod(0))).status == first.status
    assert decide(again(seen(an_ended_pod(0)), first)).status == first.status


REPLACEMENTS = {
    "a replacement that is pending": (a_pod("orders-2"), True),
    "a replacement that has begun to migrate": (a_migrating_pod("orders-2"), False),
    "a pod that goes on with a sidecar": (an_ended_pod(0, "orders-2", terminal=False), False),
    "a pod that never started and has ended": (a_pod("orders-2", terminal=True), False),
    "a pod of another Job": (a_pod("orders-2", job_uid="x"), False),
}


@pytest.mark.parametrize("image", [an_intent().image, IMAGE_2], ids=["at rest", "before the next run"])
@pytest.mark.parametrize("run", RECORDED)
@pytest.mark.parametrize(("pod", "removed"), REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_a_pod_that_would_repeat_a_recorded_run_is_removed_before_it_starts(
    run: Run, pod: PodView, removed: bool, image: str
) -> None:
    decision = after(run, an_ended_pod(0, disrupted=True), pod, seconds=20, image=image)
    assert (DELETE in words(decision.actions)) is removed
    assert the_run(decision) == run


@pytest.mark.parametrize(
    "job", [{"deleting": True}, {"succeeded": True}, {"owner_uid": "x"}, {"run_id": "x"}]
)
def test_the_job_is_not_removed_twice_nor_if_it_is_over_or_another(job: dict[str, Any]) -> None:
    decision = after(succeeded(), a_pod("orders-2"), seconds=20, image=an_intent().image, **job)
    assert DELETE not in words(decision.actions)
