"""How the figures of two commits are compared."""

from __future__ import annotations

import pytest

from bench.against import ratios

CASES = [
    pytest.param([{"n": 2}, {"n": 4}], [{"n": 1}, {"n": 1}], {"n": 3.0}, id="medians"),
    pytest.param([{"a": {"b": 1}}], [{"a": {"b": 2}}], {"a": {"b": 0.5}}, id="nested"),
    pytest.param([{"n": 1, "new": 1}], [{"n": 1, "old": 1}], {"n": 1.0}, id="what only one has"),
    pytest.param(
        [{"n": 1, "t": "burst"}], [{"n": 0, "t": "burst"}], None, id="no ratio to nothing, or of words"
    ),
    pytest.param([{"n": 1, "o": {"p": 1}}], [{"n": 2, "o": 1}], {"n": 0.5}, id="another shape"),
]


@pytest.mark.parametrize(("now", "then", "expected"), CASES)
def test_ratios(now: list[object], then: list[object], expected: object) -> None:
    assert ratios(now, then) == expected
