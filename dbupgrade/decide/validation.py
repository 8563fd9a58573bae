"""What is wrong with a spec that the schema lets pass: fields that are right one by one and wrong together.

Contract, section 7. The CRD says the same in CEL where it can (`api.spec`); this is for the webhook, and for the
operator when neither CRD nor webhook had a say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from dbupgrade.api.spec import (
    LINT_NEEDS_ATLAS,
    LINT_NEEDS_POSTGRESQL,
    PSQL_NEEDS_POSTGRESQL,
    WAIT_NEEDS_POSTGRESQL,
    Spec,
)
from dbupgrade.api.spec.database import (
    CA_UNUSED,
    CONNECTION_MISSING,
    MYSQL_DATABASE,
    MYSQL_USER,
    PARTS_MISSING,
    POSTGRES_NAME_LENGTH,
    POSTGRES_NAMES,
    UNUSABLE_IN_MYSQL,
    URL_OR_PARTS,
    Aws,
    Connection,
    Database,
    DatabaseType,
    Dialect,
    SslMode,
)
from dbupgrade.api.spec.migrations import (
    BASELINE_NOT_FOR_COMMAND,
    COMMAND_MISSING,
    COMMAND_ONLY,
    CONNECTION_VARIABLES,
    ONE_SOURCE,
    RESERVED_VARIABLE,
    VALUE_OR_SOURCE,
    Engine,
    Migrations,
    Variable,
)
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.spec.runner import WAIT_TOO_LONG
from dbupgrade.decide import check_rules


@dataclass(frozen=True)
class Problem:
    """What is wrong at `field`, a path from the root such as `spec.checks.pre.metrics[0].target`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def parse(spec: Any) -> tuple[Spec | None, tuple[Problem, ...]]:
    """The spec from JSON, or what is wrong with it; both when it can be read and yet not be meant."""
    try:
        # As strict as the CRD: "5" is no number.
        parsed = Spec.model_validate_json(orjson.dumps(spec), strict=True)
    except ValidationError as error:
        return None, tuple(Problem(_path(item["loc"]), item["msg"]) for item in error.errors())
    return parsed, (
        *_duplicates("spec", parsed),
        *engine_problems(parsed),
        *database_problems(parsed.database),
        *_check_problems(parsed),
    )


def engine_problems(spec: Spec) -> Iterator[Problem]:
    """What the engine needs and does not take, and how long may be waited before it."""
    for path, message in _migrations_problems(spec.migrations):
        yield Problem(f"spec.migrations{path}", message)
    if spec.database.aws is not None:
        yield from _aws_problems(spec, spec.database.aws)
    if spec.policy.lint is not LintMode.OFF and spec.migrations.engine is not Engine.ATLAS:
        yield Problem("spec", LINT_NEEDS_ATLAS)
    if spec.runner.wait_for_database_seconds >= spec.runner.active_deadline_seconds:
        yield Problem("spec.runner", WAIT_TOO_LONG)
    if spec.database.connection is not None:
        for path, message in _connection_problems(spec.database.connection):
            yield Problem(f"spec.database.connection{path}", message)


def _aws_problems(spec: Spec, aws: Aws) -> Iterator[Problem]:
    if aws.dialect is Dialect.POSTGRES:
        if any(len(name.encode()) > POSTGRES_NAME_LENGTH for name in (aws.db_name, aws.username)):
            yield Problem("spec.database.aws", POSTGRES_NAMES)
        return
    if set(UNUSABLE_IN_MYSQL) & set(aws.db_name):
        yield Problem("spec.database.aws.dbName", MYSQL_DATABASE)
    if ":" in aws.username:
        yield Problem("spec.database.aws.username", MYSQL_USER)
    if spec.migrations.engine is Engine.PSQL:
        yield Problem("spec", PSQL_NEEDS_POSTGRESQL)
    if spec.runner.wait_for_database_seconds:
        yield Problem("spec", WAIT_NEEDS_POSTGRESQL)
    if spec.policy.lint is not LintMode.OFF:
        yield Problem("spec", LINT_NEEDS_POSTGRESQL)


def _migrations_problems(migrations: Migrations) -> Iterator[tuple[str, str]]:
    if migrations.engine is Engine.COMMAND:
        if not (migrations.command or migrations.args):
            yield "", COMMAND_MISSING
        if migrations.baseline is not None:
            yield "", BASELINE_NOT_FOR_COMMAND
    elif migrations.command or migrations.args or migrations.env:
        yield "", COMMAND_ONLY
    for index, variable in enumerate(migrations.env):
        for message in _variable_problems(variable):
            yield f".env[{index}]", message


def _variable_problems(variable: Variable) -> Iterator[str]:
    if variable.name in CONNECTION_VARIABLES:
        yield RESERVED_VARIABLE
    if variable.value is not None and variable.value_from is not None:
        yield VALUE_OR_SOURCE
    source = variable.value_from
    if source and (source.secret_key_ref is None) == (source.config_map_key_ref is None):
        yield ONE_SOURCE


def _connection_problems(connection: Connection) -> Iterator[tuple[str, str]]:
    if connection.url_secret_ref is None and connection.host is None:
        yield ".urlSecretRef", CONNECTION_MISSING
    if connection.url_secret_ref and connection.has_parts:
        yield "", URL_OR_PARTS
    elif connection.ca_secret_ref and connection.ssl_mode not in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        yield "", CA_UNUSED
    needed = (connection.database, connection.user_secret_ref, connection.password_secret_ref)
    if connection.host is not None and None in needed:
        yield "", PARTS_MISSING


def database_problems(database: Database) -> Iterator[Problem]:
    """Connection and aws must be what the type needs."""
    if database.type is DatabaseType.SELF_HOSTED:
        if database.connection is None:
            yield Problem("spec.database.connection", f"is required for type {database.type}")
        if database.aws is not None:
            yield Problem("spec.database.aws", f"must not be set for type {database.type}")
    elif database.aws is None and database.connection is None:
        yield Problem("spec.database.aws", f"type {database.type} needs either aws or connection")


def _check_problems(spec: Spec) -> Iterator[Problem]:
    for path, message in check_rules.problems(spec.checks):
        yield Problem(f"spec.checks.{path}", message)


def _duplicates(path: str, model: BaseModel) -> Iterator[Problem]:
    """Items of a list-map that have the same keys: the API server could not tell which one is meant."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        where = f"{path}.{info.alias}"
        if isinstance(value, BaseModel):
            yield from _duplicates(where, value)
        extra = info.json_schema_extra
        keys = extra.get("x-kubernetes-list-map-keys") if isinstance(extra, dict) else None
        if isinstance(keys, list) and isinstance(value, tuple):
            found = [tuple(getattr(item, str(key)) for key in keys) for item in value]
            yield from (
                Problem(f"{where}[{index}]", f"duplicate {', '.join(map(str, keys))}: {', '.join(item)}")
                for index, item in enumerate(found)
                if item in found[:index]
            )


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "spec" + "".join(parts)
