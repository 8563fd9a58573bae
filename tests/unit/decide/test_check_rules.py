"""Checks that no evaluation could make sense of, and selectors as text."""

from typing import Any

import pytest

from dbupgrade.api.spec.checks import Checks, LabelSelector
from dbupgrade.decide.check_rules import problems
from dbupgrade.decide.selectors import selector_text

GOOD_PODS = {"selector": {"matchLabels": {"app": "web"}}, "minVersion": "v2.0"}
GOOD_METRIC = {
    "name": "lag",
    "metricName": "lag",
    "source": "External",
    "target": {"type": "External"},
    "threshold": {"operator": "<", "value": "5"},
}


def found(pre: dict[str, Any] | None = None, post: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return list(problems(Checks.model_validate({"pre": pre or {}, "post": post or {}})))


def test_good_checks_have_no_problem() -> None:
    assert found({"minPodVersions": [GOOD_PODS], "metrics": [GOOD_METRIC]}, {"metrics": [GOOD_METRIC]}) == []


def test_each_problem_has_its_path() -> None:
    pods = {"selector": {"matchLabels": {"a b": "c"}}, "minVersion": "new"}
    metric = {**GOOD_METRIC, "source": "Custom", "threshold": {"operator": "<", "value": "few"}}
    paths = [path for path, _ in found({"minPodVersions": [GOOD_PODS, pods]}, {"metrics": [metric]})]
    assert paths == [
        "pre.minPodVersions[1].selector",
        "pre.minPodVersions[1].minVersion",
        "post.metrics[0].target",
        "post.metrics[0].threshold.value",
    ]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": ""}}, "a=,b=2"),
        ({"matchLabels": {"app.kubernetes.io/name": "web"}}, "app.kubernetes.io/name=web"),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}]}, "tier in (a,b)"),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}, "tier notin (a)"),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, "tier"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "z", "operator": "DoesNotExist"}]}, "!z,a=1"),
    ],
)  # fmt: skip
def test_a_selector_as_text(selector: dict[str, Any], text: str) -> None:
    assert selector_text(LabelSelector.model_validate(selector)) == text


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"": "x"}},
        {"matchLabels": {"a": "x,b=y"}},
        {"matchLabels": {"a": "x y"}},
        {"matchLabels": {"a=b": "x"}},
        {"matchLabels": {"a": "x\n"}},
        {"matchLabels": {"a/b/c": "x"}},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x)"]}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
    ],
)
def test_a_selector_that_would_ask_for_something_else_is_refused(selector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="label"):
        selector_text(LabelSelector.model_validate(selector))
