"""A Job that was there before us counts as ours only when it was found to run what ours would."""

from dataclasses import replace

from dbupgrade.api.failure import Failure
from dbupgrade.decide.migration import VERIFIED_AFTER_SECONDS
from tests.unit.decide.builders import (
    IMAGE_2,
    a_job,
    a_resource,
    a_spec,
    an_ended_pod,
    an_intent,
    decide,
    observe,
    the_run,
    words,
)

INTENT = an_intent()
COMPARE = [f"compare {INTENT.job_name}"]


def test_a_job_that_was_not_compared_is_compared_and_never_created_again() -> None:
    """Even if it says that it succeeded."""
    job = a_job(ours=None, succeeded=True)
    decision = decide(observe(a_resource(run=INTENT), job=job, own_jobs=(job,), pods=(an_ended_pod(0),)))
    assert words(decision.actions) == COMPARE
    assert the_run(decision) == INTENT
    assert decision.requeue_after == VERIFIED_AFTER_SECONDS


def test_a_job_that_runs_something_else_is_not_the_runs_and_another_number_is_taken() -> None:
    job = a_job(ours=False, succeeded=True)
    observed = observe(a_resource(run=INTENT), job=job, own_jobs=(job,), pods=(an_ended_pod(0),))
    decision = decide(observed)
    assert the_run(decision).sequence == INTENT.sequence + 1
    assert the_run(decision).active


def test_a_job_that_runs_something_else_is_waited_for_while_it_does() -> None:
    job = a_job(ours=False)
    decision = decide(observe(a_resource(run=INTENT), job=job, own_jobs=(job,)))
    assert the_run(decision).failure is Failure.SUPERSEDED
    assert words(decision.actions) == []


def test_a_job_that_took_the_place_of_the_runs_own_is_no_end_of_it() -> None:
    run = replace(INTENT, job_uid="gone")
    job = a_job(ours=False, succeeded=True)
    decision = decide(observe(a_resource(run=run), job=job, own_jobs=(job,), pods=(an_ended_pod(0),)))
    assert the_run(decision).failure is Failure.CANCELLED


def test_the_job_of_a_run_that_is_not_wanted_any_more_cannot_be_compared() -> None:
    job = a_job(ours=None, succeeded=True)
    resource = a_resource(a_spec(IMAGE_2), run=INTENT)
    decision = decide(observe(resource, job=job, own_jobs=(job,), pods=(an_ended_pod(0),)))
    assert not the_run(decision).active
