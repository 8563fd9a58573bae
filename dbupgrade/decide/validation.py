"""What is wrong with a spec: one strict parse, then the rules that are defined beside the models. Contract, section 7.

The webhook and the operator both use this module, so they accept the same specs. The CRD contains the same rules in CEL.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.base import Model, models_in


@dataclass(frozen=True)
class Problem:
    """What is wrong at `field`, a path from the root such as `spec.checks.pre.metrics[0].target`.

    The message is the rest of a sentence that begins with the field.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field} {self.message}"


def parse(spec: Any) -> tuple[Spec | None, tuple[Problem, ...]]:
    """The spec from JSON, or why it cannot be read. It is as strict as the CRD: "600" is not an integer."""
    try:
        return Spec.model_validate_json(orjson.dumps(spec), strict=True), ()
    except ValidationError as error:
        return None, tuple(Problem(_path(item["loc"]), _words(item)) for item in error.errors())


def problems(spec: Spec) -> tuple[Problem, ...]:
    """The rules that the spec breaks."""
    return tuple(_broken("spec", spec))


def _broken(path: str, model: Model) -> Iterator[Problem]:
    """The rules that `model`, or a model below it, breaks."""
    for rule in model.RULES:
        if not rule.holds(model):
            yield Problem(f"{path}.{rule.path}" if rule.path else path, rule.message)
    for name, alias, keys in _parts(type(model)):
        value, where = getattr(model, name), f"{path}.{alias}"
        if isinstance(value, Model):
            yield from _broken(where, value)
        elif isinstance(value, tuple):
            yield from _duplicates(where, value, keys)
            for index, item in enumerate(value):
                yield from _broken(f"{where}[{index}]", item)


@cache
def _parts(model: Any) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Name and path of the fields that hold models, and the keys of those that are list-maps."""
    found = []
    for name, info in model.model_fields.items():
        if any(models_in(info.annotation)):
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            keys = extra.get("x-kubernetes-list-map-keys", [])
            found.append((name, str(info.alias), tuple(keys)))
    return tuple(found)


def _duplicates(path: str, items: tuple[Model, ...], keys: tuple[str, ...]) -> Iterator[Problem]:
    """Items of a list-map that have the same keys: the API server could not determine which one is meant."""
    found = [tuple(getattr(item, key) for key in keys) for item in items] if keys else []
    for index, item in enumerate(found):
        if item in found[:index]:
            names = " and ".join(keys)
            yield Problem(f"{path}[{index}]", f"has the same {names} as an earlier item: {', '.join(item)}")


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "spec" + "".join(parts)


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "string_type": lambda _: "must be a string",
    "int_type": lambda _: "must be an integer",
    "bool_type": lambda _: "must be true or false",
    "model_type": lambda _: "must be an object",
    "dict_type": lambda _: "must be an object",
    "tuple_type": lambda _: "must be a list",
    "enum": lambda limits: f"must be {limits['expected']}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']}",
    "string_too_short": lambda limits: (
        "must not be empty"
        if limits["min_length"] == 1
        else f"must have at least {limits['min_length']} characters"
    ),
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "too_long": lambda limits: f"must have at most {limits['max_length']} items",
}
"""The message for each type of error that pydantic reports for these models; our own rules have their own messages."""


def _words(item: ErrorDetails) -> str:
    words = _WORDS.get(item["type"])
    return words(item.get("ctx", {})) if words else item["msg"]
