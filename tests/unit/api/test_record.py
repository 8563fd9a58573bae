"""Records come from JSON and go to it, and cannot be changed."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest
from pydantic import ValidationError

from dbupgrade.api.record import Record, from_json, to_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(Record):
    file_name: str
    line: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole(Record):
    last_part: Part | None = None
    all_parts: tuple[Part, ...] = ()
    by_name: dict[str, str] = field(default_factory=dict)


WHOLE = Whole(last_part=Part(file_name="b", line=2), all_parts=(Part(file_name="a"),))
WRITTEN = {"lastPart": {"fileName": "b", "line": 2}, "allParts": [{"fileName": "a", "line": 1}], "byName": {}}


def test_a_record_is_written_in_camel_case_and_read_again() -> None:
    assert to_json(WHOLE) == WRITTEN
    assert from_json(Whole, WRITTEN) == WHOLE


def test_what_is_none_is_left_out() -> None:
    assert "lastPart" not in to_json(Whole())


def test_null_is_read_as_absent() -> None:
    written = {"lastPart": None, "allParts": [{"fileName": "a", "line": None}], "byName": None}
    assert from_json(Whole, written) == Whole(all_parts=(Part(file_name="a"),))
    with pytest.raises(ValidationError):
        from_json(Part, {"fileName": None})


def test_fields_of_a_newer_operator_are_ignored() -> None:
    assert (
        from_json(Whole, {**WRITTEN, "added": 1, "lastPart": {"fileName": "b", "line": 2, "more": 1}})
        == WHOLE
    )


@pytest.mark.parametrize("data", [{"lastPart": {}}, {"allParts": 1}, {"lastPart": {"fileName": 1}}, []])
def test_what_cannot_be_read_is_refused(data: object) -> None:
    with pytest.raises(ValidationError):
        from_json(Whole, data)


def test_a_copy_is_changed_by_names_that_exist() -> None:
    assert replace(WHOLE, last_part=None).last_part is None
    with pytest.raises(TypeError, match="lastPart"):
        replace(WHOLE, lastPart=None)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        WHOLE.last_part = None  # type: ignore[misc]
