"""Quantities, what to ask a metrics API, and what its answer means. Every row of the contract's section 5."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.spec.checks import MetricCheck, ObjectReference, Reduce, Threshold
from dbupgrade.decide.metrics import (
    Query,
    Sample,
    parse_quantity,
    query,
    read,
    reduced,
    satisfies,
    show,
)
from tests.unit.decide.builders import NOW

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


# --- quantities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (5, "5"),
        ("0", "0"),
        ("-5", "-5"),
        ("+5", "5"),
        ("0.05", "0.05"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1n", "1e-9"),
        ("1u", "1e-6"),
        ("250m", "0.25"),
        ("-250m", "-0.25"),
        ("1k", "1000"),
        ("1M", "1e6"),
        ("1G", "1e9"),
        ("1T", "1e12"),
        ("1P", "1e15"),
        ("1E", "1e18"),
        ("1Ki", "1024"),
        ("1Mi", "1048576"),
        ("1Gi", "1073741824"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("1Ei", "1152921504606846976"),
        ("1.5Ki", "1536"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1e+3", "1000"),
        ("12e-1", "1.2"),
        ("9007199254740993", "9007199254740993"),
    ],
)
def test_a_quantity_is_read_exactly(text: str | int, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", " 5", "5 ", "5\n", "NaN", "Inf", "-", ".", "1e", "1e1.5", "1ki", "1K", "1mm", "0x10", "1_000", "5%", "٣", "1e101", "9" * 200],
)  # fmt: skip
def test_what_is_no_quantity_is_refused_with_words_for_the_user(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18, places=9)
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@given(NUMBERS, st.sampled_from(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]))
def test_a_decimal_suffix_is_a_power_of_a_thousand(number: Decimal, suffix: str) -> None:
    power = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].index(suffix) - 3
    assert Fraction(parse_quantity(f"{number:f}{suffix}")) == Fraction(number) * Fraction(1000) ** power


@given(NUMBERS, st.sampled_from(sorted(BINARY)))
def test_a_binary_suffix_is_a_power_of_1024(number: Decimal, suffix: str) -> None:
    assert Fraction(parse_quantity(f"{number:f}{suffix}")) == Fraction(number) * 1024 ** BINARY[suffix]


@given(NUMBERS, st.integers(-100, 100), st.sampled_from("eE"))
def test_an_exponent_is_a_power_of_ten(number: Decimal, exponent: int, letter: str) -> None:
    assert (
        Fraction(parse_quantity(f"{number:f}{letter}{exponent}"))
        == Fraction(number) * Fraction(10) ** exponent
    )


@given(st.text(max_size=150))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert value.is_finite()


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": {"type": "Pods"}}, "type Pods needs a block pods"),
        ({"target": {"type": "Object"}}, "type Object needs a block object"),
        ({"target": {**PODS, **OBJECT}}, "type Object does not go with a block pods"),
        ({"target": {**PODS, "external": {}}}, "type Pods does not go with a block external"),
        ({"target": {"type": "External"}}, "source Custom cannot be asked for a target of type External"),
        ({"source": "External"}, "source External cannot be asked for a target of type Pods"),
        ({"target": {"type": "Pods", "pods": {"selector": {"matchLabels": {"a": "b,c=d"}}}}}, "'b,c=d' is no label value"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_asked_for(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        query(a_metric(**changes))


# --- what an answer means ----------------------------------------------------------------------------------------


def answer(*values: str) -> Sample:
    return Sample(NOW, tuple((f"pod web-{n}", value) for n, value in enumerate(values)))


@pytest.mark.parametrize(
    ("sample", "holds", "value", "message"),
    [
        (answer("4"), True, "4", "metric http_errors of pods app=web is 4, wanted < 5"),
        (answer("5"), False, "5", "metric http_errors of pods app=web is 5, wanted < 5"),
        (answer("1", "7"), False, "7", "metric http_errors of pods app=web is 7 (Max of 2 series), wanted < 5"),
        (answer(*["4999m"] * 200), True, "4.999", "metric http_errors of pods app=web is 4.999 (Max of 200 series), wanted < 5"),
        (answer(), False, "", "metric http_errors of pods app=web: the metrics API knows no such series"),
        (answer("1", "NaN"), False, "", "metric http_errors of pods app=web: the value of pod web-1 is 'NaN', no number"),
        (Sample(NOW, problem="it is gone"), False, "", "metric http_errors of pods app=web: it is gone"),
    ],
)  # fmt: skip
def test_reading(sample: Sample, holds: bool, value: str, message: str) -> None:
    reading = read(a_metric(), sample)
    assert (reading.holds, reading.value, reading.message) == (holds, value, message)
