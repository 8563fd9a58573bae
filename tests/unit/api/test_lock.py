"""The lock is recognized by the cause in a denial, not by its text."""

from __future__ import annotations

import pytest

from dbupgrade.api import lock


@pytest.mark.parametrize(
    ("causes", "locked"),
    [
        ([("FieldValueForbidden", "spec")], True),
        ([("FieldValueInvalid", "spec.database"), ("FieldValueForbidden", "spec")], True),
        ([("FieldValueForbidden", "spec.database")], False),
        ([("FieldValueInvalid", "spec")], False),
        ([("FieldValueForbidden", "metadata")], False),
        ([], False),
    ],
)
def test_a_denial_by_the_lock(causes: list[tuple[str, str]], locked: bool) -> None:
    assert lock.is_locked(causes) is locked
