"""Quantities are read exactly, or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.quantity import parse_quantity


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
    with pytest.raises(ValueError, match="is not a valid quantity"):
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
