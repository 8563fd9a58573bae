"""Checks before a run: when it may start, what is told meanwhile, and what is looked at. Contract, 3.2, 4 and 5."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import Reason
from dbupgrade.api.status import Status
from dbupgrade.decide import windows
from dbupgrade.decide.decision import CheckInputs, Decision
from dbupgrade.decide.metric_values import Query, Sample
from dbupgrade.decide.observed import Observed, PodsSeen
from dbupgrade.decide.versions import AppPod
from tests.unit.decide.builders import (
    NOW,
    SECRET,
    a_resource,
    a_spec,
    conditions,
    decide,
    later,
    message,
    observe,
    succeeded,
    words,
)
from tests.unit.decide.test_start import METRIC, NO_SECRET, POD_VERSION

BAKED = {**METRIC, "bakeSeconds": 60}
HELD = ("False", "False", Reason.PRE_CHECK_METRIC_FAILED, False)


def pods(image: str, heard: float = 0, **changes: Any) -> PodsSeen:
    return PodsSeen(later(heard), (AppPod("web-1", True, (("app", image),)),), **changes)


class Play:
    """A resource whose run waits for checks: what was decided last is what is known next."""

    def __init__(self, status: Status | None = None, **pre: Any) -> None:
        self.spec = a_spec(checks={"pre": pre})
        self.observed = observe(a_resource(self.spec, status=status or Status()))
        self.observed = replace(self.observed, checks=self.observed.resource.status.checks, secret=SECRET)

    def edit(self, **pre: Any) -> None:
        self.spec = a_spec(checks={"pre": pre})
        self.observed = replace(self.observed, resource=replace(self.observed.resource, spec=self.spec))

    def sees(self, seconds: float, value: str | None = None, **changes: Any) -> Decision:
        """What is decided at that time, when all metrics have just been asked and answered `value`."""
        seen = replace(self.observed, now=later(seconds), **changes)
        if value is not None:
            sample = Sample(later(seconds), (("the metric", value),))
            metrics = self.spec.checks.pre.metrics
            samples = {windows.definition(CheckPhase.PRE, check): sample for check in metrics}
            seen = replace(seen, samples=samples)
        decision = decide(seen)
        known = decision.status.checks if decision.checks is None else decision.checks
        resource = replace(seen.resource, status=decision.status)
        self.observed = replace(seen, resource=resource, checks=known)
        return decision

    def restart(self) -> None:
        """Only the status is known."""
        self.observed = replace(self.observed, checks=self.observed.resource.status.checks, samples={})

    @property
    def asks(self) -> CheckInputs:
        return decide(self.observed).inputs


def started(decision: Decision) -> bool:
    return bool(words(decision.actions))


def verdict(decision: Decision) -> Verdict:
    return decision.status.checks[0].verdict


# --- pod versions ------------------------------------------------------------------------------------------------


def test_nothing_is_said_before_the_pods_were_listed() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    decision = play.sees(0)
    assert decision.status == Status()
    assert decision.requeue_after == 30
    assert play.asks == CheckInputs(selectors=frozenset({"app=web"}))


def test_old_pods_hold_the_run_and_are_named() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    decision = play.sees(0, pods_seen={"app=web": pods("web:1.9.3")})
    assert conditions(decision.status) == ("False", "False", Reason.PRE_CHECK_IMAGE_VERSION_FAILED, False)
    assert message(decision.status) == "app=web: 1 of 1 pods below 2.0.0: web-1 (1.9.3)"
    assert decision.status.checks == (
        CheckStatus(
            phase=CheckPhase.PRE,
            kind=CheckKind.POD_VERSION,
            name="app=web",
            verdict=Verdict.FAILS,
            last_value="1.9.3",
            message="1 of 1 pods below 2.0.0: web-1 (1.9.3)",
            since=NOW,
            observed_at=NOW,
        ),
    )
    assert words(decision.actions) == []


def test_pods_that_were_just_listed_let_the_run_start() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    decision = play.sees(5, pods_seen={"app=web": pods("web:2.0")})
    assert started(decision)
    assert decision.status.checks[0].highest == {"app": "2.0.0"}


def test_pods_of_a_watch_that_may_hang_are_listed_anew_before_the_run() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    play.sees(0, pods_seen={"app=web": pods("web:1.9")})
    held = play.observed.resource.status
    decision = play.sees(6, pods_seen={"app=web": pods("web:2.0")})
    assert not started(decision)
    assert decision.status == held
    assert play.asks.refresh == {"app=web"}
    assert started(play.sees(6, pods_seen={"app=web": pods("web:2.0", heard=6)}))


def test_pods_that_cannot_be_listed_hold_the_run_with_the_cause() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    decision = play.sees(0, pods_seen={"app=web": PodsSeen(NOW, problem="403 Forbidden")})
    assert message(decision.status) == "app=web: pods that match app=web cannot be listed: 403 Forbidden"


def test_the_versions_of_a_run_are_remembered_until_the_next() -> None:
    check = {**POD_VERSION, "disallowDowngrade": True, "containerName": "app"}
    play = Play(minPodVersions=[check])
    first = play.sees(0, pods_seen={"app=web": pods("web:2.5")})
    assert started(first)
    status = replace(first.status, run=succeeded(first.status.run))
    play = Play(status, minPodVersions=[{**check, "minVersion": "2.1"}])
    play.observed = replace(play.observed, resource=replace(play.observed.resource, spec=a_spec("i:9", checks={"pre": {"minPodVersions": [check]}})))  # fmt: skip
    decision = play.sees(9, pods_seen={"app=web": pods("web:2.4", heard=9)})
    assert "below the highest version that this check has passed with: web-1 (2.4.0 after 2.5.0)" in message(
        decision.status
    )
    assert not started(decision)
    assert decision.status.checks[0].name == "app=web, container app"
    assert started(play.sees(9, pods_seen={"app=web": pods("web:2.5", heard=9)}))


def test_two_checks_of_the_same_pods_are_one_in_the_status() -> None:
    play = Play(minPodVersions=[POD_VERSION, {**POD_VERSION, "minVersion": "3"}])
    decision = play.sees(0, pods_seen={"app=web": pods("web:2.0")})
    assert [check.message for check in decision.status.checks] == ["1 of 1 pods below 3.0.0: web-1 (2.0.0)"]
    assert not started(decision)


def test_the_time_of_a_pod_check_stays_while_nothing_is_new() -> None:
    play = Play(minPodVersions=[POD_VERSION])
    first = play.sees(0, pods_seen={"app=web": pods("web:1.9")})
    assert play.sees(300).status == first.status


# --- metrics -----------------------------------------------------------------------------------------------------


def test_a_metric_is_asked_for_first_and_then_each_interval() -> None:
    play = Play(metrics=[METRIC])
    (key,) = play.asks.metrics
    assert play.asks.metrics == {key: Query("replication_lag", external=True)}
    assert play.asks.ask == {key}
    assert play.sees(0, "7").requeue_after == 15
    assert play.asks.ask == frozenset()
    assert play.sees(14).requeue_after == 1
    assert play.asks.ask == frozenset()
    assert play.sees(15).requeue_after == 15
    assert play.asks.ask == {key}


def test_a_metric_over_the_threshold_holds_the_run() -> None:
    play = Play(metrics=[METRIC])
    decision = play.sees(0, "7")
    assert conditions(decision.status) == HELD
    assert message(decision.status) == "lag: external metric replication_lag is 7, wanted < 5"
    assert decision.status.checks[0].last_value == "7"
    assert started(play.sees(15, "4"))


def test_a_value_that_is_not_of_now_is_asked_for_again_before_the_run() -> None:
    play = Play(minPodVersions=[POD_VERSION], metrics=[METRIC])
    play.sees(0, "4", pods_seen={"app=web": pods("web:1.9")})
    assert not started(play.sees(10, pods_seen={"app=web": pods("web:2.0", heard=10)}))
    assert play.asks.ask
    assert play.asks.refresh == frozenset()
    assert started(play.sees(10, "4"))


def test_pods_give_the_reason_before_metrics_and_both_are_told() -> None:
    play = Play(minPodVersions=[POD_VERSION], metrics=[METRIC])
    decision = play.sees(0, "7", pods_seen={"app=web": pods("web:1.9")})
    assert conditions(decision.status)[2] == Reason.PRE_CHECK_IMAGE_VERSION_FAILED
    assert message(decision.status).endswith("; lag: external metric replication_lag is 7, wanted < 5")


# --- the bake time before a run ----------------------------------------------------------------------------------


def seen_at(play: Play, *times: float, value: str = "4") -> Decision:
    decisions = [play.sees(seconds, value) for seconds in times]
    return decisions[-1]


def test_a_condition_must_hold_for_the_bake_time() -> None:
    play = Play(metrics=[BAKED])
    decision = seen_at(play, 0, 15, 30, 45)
    assert verdict(decision) is Verdict.WAITING
    assert conditions(decision.status) == HELD
    assert message(decision.status).endswith("is 4, wanted < 5: has held for 45 s of 60 s")
    assert decision.status.checks[0].since == NOW
    assert started(play.sees(60, "4"))


@pytest.mark.parametrize("value", ["5", "NaN"])
def test_an_observation_that_fails_begins_the_bake_time_again(value: str) -> None:
    play = Play(metrics=[BAKED])
    seen_at(play, 0, 15, 30)
    assert verdict(play.sees(45, value)) is Verdict.FAILS
    assert not started(seen_at(play, 60, 75, 90, 105))
    assert started(play.sees(120, "4"))


@pytest.mark.parametrize(("gap", "unbroken"), [(30, True), (31, False)])
def test_a_gap_of_over_twice_the_interval_begins_it_again(gap: int, unbroken: bool) -> None:
    play = Play(metrics=[BAKED])
    seen_at(play, 0, 15, 30)
    assert started(play.sees(30 + gap, "4")) is unbroken
    if not unbroken:
        assert play.observed.checks[0].since == later(30 + gap)


def test_a_clock_that_is_set_back_begins_it_again() -> None:
    play = Play(metrics=[BAKED])
    seen_at(play, 0, 15, 30)
    assert play.sees(-100, "4").status.checks[0].since == later(-100)


@pytest.mark.parametrize(("away", "survives"), [(15, True), (45, False)])
def test_a_window_survives_a_restart_that_is_shorter_than_a_gap(away: int, survives: bool) -> None:
    play = Play(metrics=[BAKED])
    seen_at(play, 0, 15, 30, 45)
    play.restart()
    assert not started(play.sees(46))
    assert started(play.sees(45 + away, "4")) is survives


@pytest.mark.parametrize(
    "change",
    [{"bakeSeconds": 50}, {"threshold": {"operator": "<", "value": "6"}}, {"reduce": "Sum"}],
)
def test_an_edit_of_the_check_begins_it_again(change: dict[str, Any]) -> None:
    play = Play(metrics=[BAKED])
    seen_at(play, 0, 15, 30, 45)
    play.edit(metrics=[{**BAKED, **change}])
    decision = play.sees(60, "4")
    assert not started(decision)
    assert decision.status.checks[0].since == later(60)


def test_what_has_held_long_enough_holds_until_it_breaks() -> None:
    play = Play(minPodVersions=[POD_VERSION], metrics=[BAKED])
    play.observed = replace(play.observed, pods_seen={"app=web": pods("web:1.9")})
    decision = seen_at(play, *range(0, 120, 15))
    assert decision.status.checks[1].verdict is Verdict.HOLDS
    assert decision.status.checks[1].since == later(60)
    assert started(play.sees(120, "4", pods_seen={"app=web": pods("web:2.0", heard=120)}))


# --- other gates -------------------------------------------------------------------------------------------------


def test_a_missing_secret_comes_first_and_nothing_is_looked_at() -> None:
    play = Play(metrics=[METRIC])
    assert conditions(play.sees(0, secret=NO_SECRET).status)[2] == Reason.SECRET_NOT_FOUND
    assert play.asks == CheckInputs()


def test_a_suspended_resource_looks_at_nothing() -> None:
    resource = a_resource(a_spec(suspend=True, checks={"pre": {"metrics": [METRIC]}}))
    assert decide(observe(resource)).inputs == CheckInputs()


def test_a_busy_database_is_told_once_all_checks_hold_and_they_are_looked_at_on() -> None:
    play = Play(minPodVersions=[POD_VERSION], metrics=[METRIC])
    seen: Observed = replace(play.observed, pods_seen={"app=web": pods("web:2.0")})
    play.observed = replace(seen, busy="other is migrating it")
    decision = play.sees(10, "4")
    assert conditions(decision.status)[2] == Reason.DATABASE_BUSY
    assert decision.requeue_after == 15
    assert play.asks.refresh == frozenset()
    assert not started(play.sees(12, busy=""))
    assert play.asks.refresh == {"app=web"}
