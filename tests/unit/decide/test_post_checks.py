"""Checks after a run: bake time from the Job's end, what is told, and that they never run anything. Contract, 3.7."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.check_status import CheckPhase, Verdict
from dbupgrade.api.conditions import Reason
from dbupgrade.api.status import Status
from dbupgrade.decide import windows
from dbupgrade.decide.decision import CheckInputs, Decision
from dbupgrade.decide.metric_values import Sample
from tests.unit.decide.builders import (
    IMAGE_2,
    NOW,
    SECRET,
    a_job,
    a_resource,
    a_spec,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    later,
    message,
    observe,
    succeeded,
    the_run,
    words,
)
from tests.unit.decide.test_start import METRIC

BAKED = {**METRIC, "name": "baked", "bakeSeconds": 60}
WAITING = ("False", "True", Reason.POST_CHECK_BAKE_TIME_WAITING, False)
FAILED = ("False", "False", Reason.POST_CHECK_FAILED, False)
COMPLETE = ("True", "False", Reason.MIGRATION_COMPLETE, False)
DONE = "applied 2 files of registry.test/orders:1.0: the database is at 20240102000000"


class Play:
    """A resource after its successful run, whose Job completed at NOW."""

    def __init__(self, *metrics: dict[str, Any]) -> None:
        self.observed = observe(a_resource(run=succeeded(), status=Status(job_completed_at=NOW)))
        self.edit(*metrics)

    def edit(self, *metrics: dict[str, Any]) -> None:
        spec = a_spec(checks={"post": {"metrics": list(metrics)}})
        self.observed = replace(self.observed, resource=replace(self.observed.resource, spec=spec))

    def sees(self, seconds: float, **values: str) -> Decision:
        """What is decided at that time, when the checks of these names have just been answered."""
        spec = self.observed.resource.spec
        assert spec
        samples = {
            windows.definition(CheckPhase.POST, check): Sample(later(seconds), (("x", values[check.name]),))
            for check in spec.checks.post.metrics
            if check.name in values
        }
        seen = replace(self.observed, now=later(seconds), samples={**self.observed.samples, **samples})
        decision = decide(seen)
        resource = replace(seen.resource, status=decision.status)
        self.observed = replace(seen, resource=resource, checks=decision.status.checks)
        return decision

    @property
    def asks(self) -> CheckInputs:
        return decide(self.observed).inputs


def test_a_job_that_succeeds_begins_the_bake_time_and_frees_the_spec() -> None:
    run, spec = an_intent(), a_spec(checks={"post": {"metrics": [METRIC, BAKED]}})
    job = a_job(run, succeeded=True, completed=later(-3))
    observed = observe(a_resource(spec, run=run), job=job, own_jobs=(job,), pods=(an_ended_pod(0),))
    decision = decide(observed)
    assert conditions(decision.status) == WAITING
    assert not the_run(decision).active
    assert words(decision.actions) == [f"expire {run.job_name} in 3600"]
    lag, baked = decision.status.checks
    assert lag.message == "external metric replication_lag is evaluated from 11:59:57 UTC"
    assert baked.message == "external metric replication_lag is evaluated from 12:00:57 UTC"
    assert baked.since == later(-3)


def test_a_check_is_asked_for_when_its_bake_time_is_over() -> None:
    play = Play(METRIC, BAKED)
    decision = play.sees(0)
    assert len(play.asks.ask) == 1
    assert decision.requeue_after == 15
    decision = play.sees(5, lag="4")
    assert conditions(decision.status) == WAITING
    assert play.asks == CheckInputs()
    assert decision.requeue_after == 55
    play.sees(60)
    assert len(play.asks.ask) == 1
    decision = play.sees(61, baked="4")
    assert conditions(decision.status) == COMPLETE
    assert message(decision.status).startswith("applied 2 files")
    assert [check.verdict for check in decision.status.checks] == [Verdict.HOLDS, Verdict.HOLDS]
    assert decision.requeue_after is None
    assert play.asks == CheckInputs()


def test_a_check_that_fails_is_told_and_looked_at_until_it_holds() -> None:
    play = Play(METRIC)
    decision = play.sees(0, lag="7")
    assert conditions(decision.status) == FAILED
    assert "but lag: external metric replication_lag is 7, wanted < 5" in message(decision.status)
    assert words(decision.actions) == []
    assert decision.requeue_after == 15
    play.sees(15)
    assert len(play.asks.ask) == 1
    assert conditions(play.sees(15, lag="4").status) == COMPLETE


def test_one_that_fails_is_told_while_another_one_still_bakes() -> None:
    play = Play(METRIC, BAKED)
    assert conditions(play.sees(0, lag="7").status) == FAILED
    assert conditions(play.sees(15, lag="4").status) == WAITING


def test_an_answer_from_before_the_end_of_the_bake_time_does_not_count() -> None:
    play = Play(BAKED)
    play.sees(59, baked="4")
    assert conditions(play.sees(60).status) == WAITING


def test_what_has_held_is_done_whatever_the_metric_does() -> None:
    play = Play(METRIC)
    play.sees(0, lag="4")
    play.observed = replace(play.observed, samples={})
    assert conditions(play.sees(1e6, lag="7").status) == COMPLETE


def test_a_failure_stands_after_a_restart_until_there_is_an_answer() -> None:
    play = Play(METRIC)
    failed = play.sees(0, lag="7")
    play.observed = replace(play.observed, samples={})
    assert play.sees(5).status == failed.status
    assert len(play.asks.ask) == 1


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        ({**METRIC, "threshold": {"operator": "<", "value": "3"}}, WAITING),
        ({**METRIC, "bakeSeconds": 100}, WAITING),
        (METRIC, COMPLETE),
    ],
)
def test_an_edit_of_a_check_starts_it_anew(edited: dict[str, Any], told: tuple[Any, ...]) -> None:
    play = Play(METRIC)
    play.sees(0, lag="4")
    play.edit(edited)
    assert conditions(play.sees(30).status) == told


def test_a_check_that_is_removed_holds_nothing_up() -> None:
    play = Play(METRIC)
    play.sees(0, lag="7")
    play.edit()
    decision = play.sees(1)
    assert conditions(decision.status) == COMPLETE
    assert decision.status.checks == ()


def test_a_new_run_forgets_the_checks_after_the_last_one() -> None:
    play = Play(METRIC)
    play.sees(0, lag="4")
    spec = a_spec(IMAGE_2, checks={"post": {"metrics": [METRIC]}})
    resource = replace(play.observed.resource, spec=spec)
    play.observed = replace(play.observed, resource=resource, secret=SECRET)
    decision = play.sees(1)
    assert the_run(decision).active
    assert decision.status.checks == ()
    assert decision.status.job_completed_at is None
