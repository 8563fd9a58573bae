"""What to ask a metrics API, and what its answer means. Every row of the contract's section 5."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from dbupgrade.api.quantity import parse_quantity
from dbupgrade.api.spec.checks import MetricCheck, ObjectReference, Reduce, Threshold
from dbupgrade.decide.metric_values import (
    Query,
    query,
    reduced,
    satisfies,
    show,
)

PODS = {"type": "Pods", "pods": {"selector": {"matchLabels": {"app": "web"}}}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
OBJECT = {"type": "Object", "object": {"ref": DEPLOYMENT}}
QUEUE = {"matchLabels": {"queue": "mail"}}


def a_metric(**changes: Any) -> MetricCheck:
    check = {
        "name": "errors",
        "metricName": "http_errors",
        "target": PODS,
        "threshold": {"operator": "<", "value": "5"},
    }
    return MetricCheck.model_validate({**check, **changes})


# --- one value, and the threshold --------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "value"), [("Max", "5"), ("Min", "-1"), ("Sum", "6"), ("Avg", "2")])
def test_several_values_become_one(how: str, value: str) -> None:
    assert reduced([Decimal(2), Decimal(5), Decimal(-1)], Reduce(how)) == Fraction(value)


def test_an_average_is_exact() -> None:
    third = reduced([Decimal(1), Decimal(0), Decimal(0)], Reduce.AVG)
    assert third == Fraction(1, 3)
    assert not satisfies(third, Threshold(operator=">", value="0.3333333333333333333333333334"))
    assert satisfies(third, Threshold(operator=">", value="0.3333333333333333333333333333"))


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
    ],
)
def test_the_operators(operator: str, below: bool, equal: bool, above: bool) -> None:
    threshold = Threshold(operator=operator, value="0.1")
    values = ["0.0999999999999999999999", "100m", "0.1000000000000000000001"]
    assert [satisfies(Fraction(parse_quantity(value)), threshold) for value in values] == [
        below,
        equal,
        above,
    ]


def test_floats_would_take_these_for_equal() -> None:
    threshold = Threshold(operator="<", value="9007199254740993")
    assert satisfies(Fraction(9007199254740992), threshold)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Fraction(5), "5"),
        (Fraction(0), "0"),
        (Fraction(-1, 4), "-0.25"),
        (Fraction(1, 3), "0.333333333333"),
        (Fraction(1500), "1500"),
        (Fraction(1024**6), "1.15292150461E+18"),
    ],
)
def test_a_value_for_people(value: Fraction, shown: str) -> None:
    assert show(value) == shown


# --- what to ask -------------------------------------------------------------------------------------------------


QUERIES = [
    pytest.param(a_metric(), Query("http_errors", external=False, selector="app=web"), "metric http_errors of pods app=web", id="pods"),
    pytest.param(
        a_metric(target={"type": "Pods", "pods": {"selector": {}}}),
        Query("http_errors", external=False),
        "metric http_errors of all pods",
        id="all pods",
    ),
    pytest.param(
        a_metric(target={"type": "Object", "object": {"ref": DEPLOYMENT, "selector": QUEUE}}),
        Query("http_errors", external=False, reference=ObjectReference(api_version="apps/v1", kind="Deployment", name="web"), metric_selector="queue=mail"),
        "metric http_errors of Deployment web with queue=mail",
        id="an object",
    ),
    pytest.param(
        a_metric(source="External", target={"type": "External"}),
        Query("http_errors", external=True),
        "external metric http_errors",
        id="an external metric without a block",
    ),
    pytest.param(
        a_metric(source="External", target={"type": "External", "external": {"selector": QUEUE}}),
        Query("http_errors", external=True, selector="queue=mail"),
        "external metric http_errors with queue=mail",
        id="an external metric",
    ),
    pytest.param(
        a_metric(source="External", target={"type": "Object", "object": {"ref": DEPLOYMENT, "selector": QUEUE}}),
        Query("http_errors", external=True, selector="queue=mail"),
        "external metric http_errors with queue=mail",
        id="External with an Object target is an external metric with that selector",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "wanted", "words"), QUERIES)
def test_what_is_asked(check: MetricCheck, wanted: Query, words: str) -> None:
    assert query(check) == wanted
    assert query(check).words == words


@pytest.mark.parametrize("kind", ["Pods", "Object"])
def test_a_target_without_its_block_asks_for_nothing(kind: str) -> None:
    with pytest.raises(ValueError, match="without its block"):
        query(a_metric(target={"type": kind}))
