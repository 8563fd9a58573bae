"""A look is one walk: no gate and no check is evaluated twice in it, and no module is entered again and again."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from dbupgrade.api.check_status import CheckPhase
from dbupgrade.api.failure import Failure
from dbupgrade.decide import windows
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.gates import GATES
from dbupgrade.decide.metric_values import Sample
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Observed, PodsSeen, SecretView, UnendedJob
from dbupgrade.decide.versions import AppPod
from tests.unit.decide.builders import (
    IMAGE_2,
    NOW,
    SECRET,
    a_job,
    a_migrating_pod,
    a_pod,
    a_resource,
    a_spec,
    an_ended_pod,
    an_intent,
    answered,
    failed,
    observe,
    succeeded,
    words,
)
from tests.unit.decide.test_start import METRIC, NO_SECRET, POD_VERSION

PACKAGE = "dbupgrade.decide."
CHECKED = a_spec(
    checks={
        "pre": {"minPodVersions": [POD_VERSION], "metrics": [METRIC]},
        "post": {"metrics": [METRIC]},
    }
)
# What any module may use as often as it likes: views, and the words and the arithmetic of statuses, checks and failures.
VOCABULARY = {
    "observed",
    "decision",
    "needs",
    "gates.gate",
    "failures",
    "metric_values",
    "versions",
    "selectors",
    "statuses",
    "windows",
}


def checked(**changes: Any) -> Observed:
    """A resource whose checks all hold by what was just seen."""
    pods = PodsSeen(NOW, (AppPod("web-1", True, (("app", "web:2.0"),)),))
    (metric,) = CHECKED.checks.pre.metrics
    sample = Sample(NOW, (("the metric", "4"),))
    seen = {"pods_seen": {"app=web": pods}, "samples": {windows.definition(CheckPhase.PRE, metric): sample}}
    return observe(a_resource(CHECKED), **{**seen, **changes})


LOST = UnendedJob("shop", "lost", "u", may_be_asked=True)
OBSERVED = [
    pytest.param(observe(), id="the first run"),
    pytest.param(checked(), id="the first run, with checks"),
    pytest.param(checked(busy="somebody"), id="checks hold, and the database is busy"),
    pytest.param(checked(unended=(LOST,)), id="a lost Job"),
    pytest.param(checked(pods_seen={}), id="checks not seen yet"),
    pytest.param(observe(secret=NO_SECRET), id="no Secret"),
    pytest.param(observe(a_resource(a_spec(suspend=True))), id="suspended"),
    pytest.param(observe(a_resource(run=an_intent())), id="an intent without a Job"),
    pytest.param(observe(a_resource(a_spec(IMAGE_2), run=an_intent())), id="an intent to be replaced"),
    pytest.param(observe(a_resource(run=an_intent()), job=a_job(), pods=(a_pod(),)), id="a pod starts"),
    pytest.param(observe(a_resource(run=an_intent()), job=a_job(), pods=(a_migrating_pod(),)), id="at work"),
    pytest.param(
        observe(a_resource(run=an_intent()), job=a_job(succeeded=True), pods=(an_ended_pod(0),)),
        id="a success",
    ),
    pytest.param(
        observe(a_resource(run=an_intent()), job=a_job(failed_reason="x"), pods=(an_ended_pod(1),)),
        id="a failure",
    ),
    pytest.param(observe(a_resource(CHECKED, run=succeeded(an_intent(CHECKED)))), id="after a success"),
    pytest.param(
        observe(
            a_resource(run=failed(Failure.AUTHENTICATION, an_intent(secret_version="1"))),
            secret=SecretView(version="2"),
        ),
        id="a Secret that changed",
    ),
    pytest.param(observe(a_resource(a_spec(IMAGE_2), run=failed(Failure.SQL))), id="a corrected image"),
]


def traced(look: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """How often each function of `decide` was called in `look`, and each of its modules entered from another one."""
    calls: Counter[str] = Counter()
    entries: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event != "call" or not module.startswith(PACKAGE):
            return
        calls[f"{module.removeprefix(PACKAGE)}.{frame.f_code.co_name}"] += 1
        caller = frame.f_back.f_globals.get("__name__") if frame.f_back else ""
        if (
            caller != module
            and frame.f_code.co_name != "__init__"
            and not frame.f_code.co_name.startswith("<")
        ):
            entries[module.removeprefix(PACKAGE)] += 1

    sys.setprofile(trace)
    try:
        look()
    finally:
        sys.setprofile(None)
    return calls, entries


def looks(observed: Observed) -> list[Observed]:
    """What each look at `observed` has before it, until a decision is made."""
    found = [observed]
    while not isinstance(need := next_step(found[-1]), Decision):
        found.append(answered(found[-1], need))
    return found


@pytest.mark.parametrize("observed", OBSERVED)
def test_a_gate_is_evaluated_once_for_each_look(observed: Observed) -> None:
    for each in looks(observed):
        calls, _ = traced(lambda each=each: next_step(each))  # type: ignore[misc]
        counted = {gate.name: calls[f"gates.{gate.name}.look"] for gate in GATES}
        assert max(counted.values()) <= 1, counted
        assert calls["versions.check_pods"] <= 1
        assert calls["windows.before_run"] <= 1
        assert calls["windows.after_run"] <= 1


def test_the_gates_are_counted() -> None:
    calls, _ = traced(lambda: next_step(checked(secret=SECRET)))
    assert {gate.name: calls[f"gates.{gate.name}.look"] for gate in GATES} == {
        "spec": 1,
        "turn": 1,
        "secret": 1,
        "checks": 1,
        "busy": 1,
    }
    assert calls["versions.check_pods"] == calls["windows.before_run"] == 1


@pytest.mark.parametrize("observed", OBSERVED)
def test_a_look_enters_each_module_at_most_twice(observed: Observed) -> None:
    for each in looks(observed):
        _, entries = traced(lambda each=each: next_step(each))  # type: ignore[misc]
        story = {module: count for module, count in entries.items() if module not in VOCABULARY}
        assert story["next_step"] == 1
        assert max(story.values()) <= 2, story


@pytest.mark.parametrize("observed", OBSERVED)
def test_a_decision_takes_a_handful_of_looks(observed: Observed) -> None:
    assert len(looks(observed)) <= 4


def test_the_end_of_a_lost_job_is_asked_for_only_when_nothing_else_holds_the_run_back() -> None:
    assert len(looks(checked(unended=(LOST,)))) == 3  # the Secret, the lost Job, the decision
    assert len(looks(checked(unended=(LOST,), busy="somebody"))) == 2
    still = replace(checked(secret=SECRET), unended=(replace(LOST, may_be_asked=False),))
    decision = next_step(still)
    assert isinstance(decision, Decision)
    assert words(decision.actions) == []
