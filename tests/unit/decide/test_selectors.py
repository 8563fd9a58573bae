"""Selectors as text, and what is not put into a query."""

from typing import Any

import pytest

from dbupgrade.api.spec.checks import LabelSelector
from dbupgrade.decide.selectors import selector_text


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
    ],
)
def test_a_selector_that_would_ask_for_something_else_is_refused(selector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="label"):
        selector_text(LabelSelector.model_validate(selector))
