"""What a pod is asked to check of the Secrets of its connection, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.api.spec.policy import Policy
from dbupgrade.objects import Object
from dbupgrade.pod.connection import environment
from dbupgrade.pod.connection.access import Access
from dbupgrade.pod.connection.secrets import AUTHORITY, problem, secret_references, unusable
from dbupgrade.pod.container import values
from dbupgrade.pod.report import Report

VARIABLE = "SECRETS"
"""Holds an Asked as JSON."""


@dataclass(frozen=True)
class Key:
    """A key of a Secret that holds `what`, and the variable, or the path of the file, in which a container has its value."""

    what: str
    secret: str
    key: str
    variable: str = ""
    file: str = ""


@dataclass(frozen=True)
class Asked:
    """All keys that are checked, how a database URL may begin, and what else it must fit."""

    keys: tuple[Key, ...]
    schemes: tuple[str, ...]
    engine: Engine
    limits: dict[str, str]
    """Those of spec.policy."""


_ASKED = TypeAdapter(Asked)


def variables(spec: Spec, access: Access, schemes: tuple[str, ...]) -> list[Object]:
    """The variables of a container that checks the Secrets of the connection.

    The certificates are in a file: they may be too long for a variable.
    """
    keys, given = [], []
    references = secret_references(spec.database.connection) if spec.database.connection else ()
    for number, (what, reference) in enumerate(references):
        if what == AUTHORITY:
            keys.append(Key(what, reference.name, reference.key, file=access.authority_path or ""))
            continue
        name = f"SECRET_{number}"
        keys.append(Key(what, reference.name, reference.key, variable=name))
        given.append(environment.from_secret(name, reference.name, reference.key, optional=True))
    limits = spec.policy.model_dump(
        by_alias=True, include={"lock_timeout", "statement_timeout"}, exclude_none=True
    )
    asked = Asked(tuple(keys), schemes, spec.migrations.engine, limits)
    return [*given, *values({VARIABLE: _ASKED.dump_json(asked).decode()})]


def look(given: Mapping[str, str], read_file: Callable[[str], str | None]) -> Report:
    """What is missing or wrong in the variables that are `given` and the files; None is a file that is not there."""
    asked = _ASKED.validate_json(given[VARIABLE])
    policy = Policy.model_validate(asked.limits)
    for key in asked.keys:
        value = read_file(key.file) if key.file else given.get(key.variable)
        if value is None:
            text = f"Secret {key.secret} with a key {key.key} that contains the {key.what} was not found"
            return Report(failure=Failure.SECRET_NOT_FOUND, error=text)
        if found := problem(value, key.what, asked.schemes, asked.engine, policy):
            text = unusable(key.what, key.secret, key.key, found)
            return Report(failure=Failure.SECRET_UNUSABLE, error=text)
    return Report()
