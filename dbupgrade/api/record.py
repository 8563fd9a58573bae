"""Plain frozen dataclasses for what the operator itself writes, and how they come from JSON and go to it.

Inside, `dataclasses.replace` makes changed copies, whose names and types mypy checks. Pydantic stands at the edge only.
"""

from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel


class Record:
    """Base of the dataclasses: camelCase outside, unknown fields ignored."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )


R = TypeVar("R", bound=Record)
_ADAPTERS: dict[type[Record], TypeAdapter[Any]] = {}


def from_json(kind: type[R], data: Any) -> R:
    """The record in a JSON object, in which null is the same as absent. Raises pydantic's ValidationError."""
    record: R = _adapter(kind).validate_python(_without_null(data))
    return record


def _without_null(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_null(value) for key, value in data.items() if value is not None}
    return [_without_null(item) for item in data] if isinstance(data, list) else data


def to_json(record: Record) -> dict[str, Any]:
    """The record as a JSON object; what is None is left out."""
    written: dict[str, Any] = _adapter(type(record)).dump_python(
        record, mode="json", by_alias=True, exclude_none=True
    )
    return written


def _adapter(kind: type[Record]) -> TypeAdapter[Any]:
    """What checks and writes records of a kind; made once, since that takes time."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
