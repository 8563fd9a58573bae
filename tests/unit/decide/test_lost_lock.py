"""The sidecar that holds the lock of a command ends before it: the run ends as Interrupted, whatever the command says."""

from datetime import timedelta
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import RunResult
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.observed import Observed, PodView, pod_from
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    NOW,
    RUNNING,
    a_job,
    a_pod,
    a_resource,
    a_spec,
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

SPEC = a_spec(migrations={"engine": "Command", "command": ["migrate"]})
RUN = an_intent(SPEC, job_uid="job-uid", migrate_seen=True)
STARTED = a_resource(SPEC, run=RUN)
DELETE = f"delete {RUN.job_name} job-uid"


def ended(code: int, seconds: float) -> ContainerView:
    return ContainerView(started=True, exit_code=code, finished=later(seconds))


def cut_off(migrate: ContainerView = RUNNING, **changes: Any) -> PodView:
    return a_pod(migrate=migrate, cut_off=True, **changes)


def seen(pod: PodView, **job: Any) -> Observed:
    return observe(STARTED, job=a_job(RUN, **job), pods=(pod,), now=later(30))


def after(decision: Decision, **changes: Any) -> Observed:
    resource = a_resource(SPEC, status=decision.status)
    return observe(resource, **{"fresh": True, "now": later(31), **changes})


def test_the_job_of_a_command_that_has_lost_its_lock_is_removed() -> None:
    decision = decide(seen(cut_off()))
    assert words(decision.actions) == [DELETE]
    assert conditions(decision.status) == ("False", "True", Reason.MIGRATION_IN_PROGRESS, False)
    assert (
        message(decision.status) == f"Job {RUN.job_name} is being removed: its lock on the database was lost"
    )
    again = after(decision, job=a_job(RUN), pods=(cut_off(),))
    assert words(decide(again).actions) == [DELETE]
    removed = after(decision, job=a_job(RUN, deleting=True), pods=(a_pod(migrate=RUNNING, deleting=True),))
    assert words(decide(removed).actions) == []


def test_the_loss_is_read_again_before_the_job_is_removed() -> None:
    observed = seen(cut_off())
    assert [type(need).__name__ for need in needs(observed)] == ["ReadRun"]


def test_the_run_is_interrupted_when_job_and_pod_have_gone() -> None:
    decision = decide(after(decide(seen(cut_off()))))
    assert the_run(decision).failure is Failure.INTERRUPTED
    assert conditions(decision.status)[2:] == (Reason.JOB_FAILED, True)


@pytest.mark.parametrize("code", [0, 1, 75])
def test_a_command_that_ended_without_its_lock_is_interrupted_whatever_it_says(code: int) -> None:
    pod = cut_off(ended(code, 20), terminal=True, lock=ended(8, 10))
    decision = decide(seen(pod))
    assert (the_run(decision).result, the_run(decision).failure) == (RunResult.FAILED, Failure.INTERRUPTED)


def status(lock: dict[str, Any], migrate: dict[str, Any], **metadata: Any) -> PodView:
    return pod_from(
        {
            "metadata": {"name": "p", "uid": "u", **metadata},
            "status": {
                "initContainerStatuses": [{"name": "hold-lock", **lock}],
                "containerStatuses": [{"name": "migrate", "state": migrate}],
            },
        }
    )


def an_end(code: int, seconds: float) -> dict[str, Any]:
    at = (NOW + timedelta(seconds=seconds)).isoformat()
    return {"terminated": {"exitCode": code, "startedAt": NOW.isoformat(), "finishedAt": at}}


WORKS = {"running": {"startedAt": NOW.isoformat()}}
RESTARTED = {"state": WORKS, "lastState": an_end(1, 10), "restartCount": 1}


@pytest.mark.parametrize(
    ("lock", "migrate", "lost"),
    [
        ({"state": WORKS}, WORKS, False),
        ({"state": an_end(1, 10)}, WORKS, True),
        ({"state": an_end(0, 10)}, WORKS, True),
        (RESTARTED, WORKS, True),
        (RESTARTED, {"waiting": {"reason": "PodInitializing"}}, False),
        (RESTARTED, an_end(0, 11), True),
        ({"state": an_end(0, 12), "lastState": an_end(1, 10)}, an_end(0, 11), True),
        ({"state": an_end(0, 12)}, an_end(0, 11), False),
        ({"state": an_end(137, 41)}, an_end(0, 11), False),
        ({"state": an_end(0, 11)}, an_end(0, 11), False),
        ({"state": an_end(1, 11)}, an_end(0, 11), True),
        ({}, WORKS, False),
    ],
    ids=[
        "both are at work",
        "it failed",
        "it ended",
        "it was started again",
        "before the command",
        "the command succeeded after that",
        "it was started again and has ended with the pod",
        "it ended with the pod",
        "it was killed with the pod",
        "within one second",
        "it failed within the same second",
        "another engine",
    ],
)
def test_when_the_lock_counts_as_lost(lock: dict[str, Any], migrate: dict[str, Any], lost: bool) -> None:
    assert status(lock, migrate).cut_off is lost


def test_a_pod_that_was_told_to_end_has_not_lost_its_lock() -> None:
    assert not status(RESTARTED, WORKS, deletionTimestamp=NOW.isoformat()).cut_off
