"""What may not be changed: each field below spec.database, reported with its own path.

The rule about a field stands on its parent and compares whether the field is there, so that adding or removing it counts.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from dbupgrade.api.spec.base import VALIDATIONS, Model, models_in
from dbupgrade.api.spec.database import Database
from dbupgrade.objects import Object

ROOT = "spec.database"
_AGAIN = "delete the DBUpgrade and create it again"
MESSAGE = f"is immutable: to change it, {_AGAIN}"
OF_SECRET = f"is immutable: change the content of the Secret, or {_AGAIN}"


@cache
def fields(model: type[Model] = Database) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """The path of each field below `model`, and whether it is a block with fields of its own."""
    found: list[tuple[tuple[str, ...], bool]] = []
    for info in model.model_fields.values():
        block = next(models_in(info.annotation), None)
        found.append(((str(info.alias),), block is not None))
        if block is not None:
            found += [((str(info.alias), *path), deep) for path, deep in fields(block)]
    return tuple(found)


def changed(old: Object, new: Object) -> Iterator[str]:
    """The paths of the immutable fields in which the two databases differ."""
    for path, block in fields():
        before, after = _at(old, path[:-1]), _at(new, path[:-1])
        if before is None or after is None:
            continue  # told by its parent
        name = path[-1]
        same = (name in before) == (name in after) if block else before.get(name) == after.get(name)
        if not same:
            yield ".".join((ROOT, *path))


def message(path: str) -> str:
    """What is said of a change of the field at `path`, and what to do instead."""
    parent = path.split(".")[-2]
    return OF_SECRET if parent.endswith("SecretRef") else MESSAGE


def _at(obj: Any, path: tuple[str, ...]) -> Object | None:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else None


def add_rules(schema: Object) -> None:
    """Add the rules to the schema of spec.database."""
    for path, block in fields():
        parent = schema
        for name in path[:-1]:
            parent = parent["properties"][name]
        parent.setdefault(VALIDATIONS, []).append(_rule(path, block=block))


def _rule(path: tuple[str, ...], *, block: bool) -> Object:
    new, old = f"self.{path[-1]}", f"oldSelf.{path[-1]}"
    same = f"has({new}) == has({old})"
    if not block:
        same += f" && (!has({new}) || {new} == {old})"
    name = ".".join((ROOT, *path))
    return {"rule": same, "message": f"{name} {message(name)}", "fieldPath": f".{path[-1]}"}
