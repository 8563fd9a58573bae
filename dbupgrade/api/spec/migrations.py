"""spec.migrations: where the migrations are, and what applies them."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dbupgrade.api.spec.base import (
    MAX_PULL_SECRETS,
    MAX_TEXT,
    DataKey,
    LocalReference,
    Model,
    ObjectName,
    Pattern,
    Rule,
    list_map,
    quoted,
)

_MAX_WORDS = 64  # arguments and variables of the engine Command

Word = Annotated[str, Field(max_length=MAX_TEXT)]
Image = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Pattern(
        r"[A-Za-z0-9][A-Za-z0-9._:/@-]*",
        "must be an image reference, for example registry.example.com/shop-migrations:1.2.0",
    ),
]
Folder = Annotated[
    str,
    Field(min_length=2, max_length=512),
    Pattern(
        # Segments may begin with dots but are never `.` or `..`; no character has a meaning to a shell.
        r"(/\.{0,2}[A-Za-z0-9_@+=,-][A-Za-z0-9._@+=,-]*)+/?",
        "must be an absolute path, for example /migrations; '..', spaces and special characters of a shell are not allowed",
    ),
]
Version = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Pattern(
        r"[A-Za-z0-9][A-Za-z0-9._-]*", "must be the version of a migration file, for example 20250101120000"
    ),
]
SchemaName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Pattern(r"[A-Za-z_][A-Za-z0-9_-]*", "must be the name of a schema, for example public"),
]
VariableName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(r"[A-Za-z_][A-Za-z0-9_]*", "must be the name of an environment variable, for example LOG_LEVEL"),
]

CONNECTION_VARIABLES = (
    "DATABASE_URL",
    "DB_HOST",
    "DB_PORT",
    "DB_DATABASE",
    "DB_USER",
    "DB_PASSWORD",
    "DB_SCHEMA",
    "DB_SSLMODE",
)
"""Variables that tell the engine Command where the database is, derived from spec.database."""


class Delivery(StrEnum):
    """How the migration files reach the runner."""

    EXTRACT = "Extract"
    IMAGE_VOLUME = "ImageVolume"


class Engine(StrEnum):
    """What applies the migrations."""

    ATLAS = "Atlas"
    PSQL = "Psql"
    COMMAND = "Command"


class ExecOrder(StrEnum):
    """What happens to a file whose version is below the database's and that was never applied."""

    LINEAR = "Linear"
    LINEAR_SKIP = "LinearSkip"
    NON_LINEAR = "NonLinear"


class KeyReference(Model):
    """A key of a Secret or ConfigMap in the resource's own namespace."""

    name: ObjectName = Field(
        description="Name of the Secret or ConfigMap, in the namespace of the DBUpgrade."
    )
    key: DataKey = Field(description="Key in its data.")


class ValueFrom(Model):
    """Where the value of a variable comes from."""

    RULES: ClassVar["tuple[Rule[ValueFrom], ...]"] = (
        Rule(
            "",
            "must have exactly one of secretKeyRef and configMapKeyRef",
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            lambda source: (source.secret_key_ref is None) != (source.config_map_key_ref is None),
        ),
    )

    secret_key_ref: KeyReference | None = Field(
        None, description="Key of a Secret. Exactly one of secretKeyRef and configMapKeyRef must be set."
    )
    config_map_key_ref: KeyReference | None = Field(
        None, description="Key of a ConfigMap. Exactly one of secretKeyRef and configMapKeyRef must be set."
    )


class Variable(Model):
    """An environment variable of the engine Command."""

    RULES: ClassVar["tuple[Rule[Variable], ...]"] = (
        Rule(
            "valueFrom",
            "must not be set together with value",
            "!(has(self.value) && has(self.valueFrom))",
            lambda variable: variable.value is None or variable.value_from is None,
        ),
        Rule(
            "name",
            "must not be a variable that is set from spec.database, such as DATABASE_URL or DB_HOST",
            f"!(self.name in [{quoted(CONNECTION_VARIABLES)}])",
            lambda variable: variable.name not in CONNECTION_VARIABLES,
        ),
    )

    name: VariableName = Field(
        description="Name of the variable. The variables of the connection (DATABASE_URL, DB_HOST, DB_PORT, DB_DATABASE, "
        "DB_USER, DB_PASSWORD, DB_SCHEMA and DB_SSLMODE) are set by the operator and cannot be used here."
    )
    value: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="Value of the variable. Must not be set together with valueFrom. "
        "If neither is set, the variable is empty.",
    )
    value_from: ValueFrom | None = Field(
        None, description="Source of the variable's value. Must not be set together with value."
    )


class Migrations(Model):
    """Where the migrations are, and what applies them."""

    RULES: ClassVar["tuple[Rule[Migrations], ...]"] = (
        Rule(
            "command",
            "is required with engine Command, unless args is set",
            'self.engine != "Command" || (has(self.command) && size(self.command) > 0) || (has(self.args) && size(self.args) > 0)',
            lambda migrations: migrations.engine is not Engine.COMMAND or migrations.has_words,
        ),
        Rule(
            "engine",
            "must be Command for command, args and env to be set",
            'self.engine == "Command" || !((has(self.command) && size(self.command) > 0)'
            " || (has(self.args) && size(self.args) > 0) || (has(self.env) && size(self.env) > 0))",
            lambda migrations: (
                migrations.engine is Engine.COMMAND or not (migrations.has_words or migrations.env)
            ),
        ),
        Rule(
            "baseline",
            "must not be set with engine Command: the command keeps its own history",
            'self.engine != "Command" || !has(self.baseline)',
            lambda migrations: migrations.engine is not Engine.COMMAND or migrations.baseline is None,
        ),
        Rule(
            "execOrder",
            "must not be set with engine Command: the command determines the order",
            'self.engine != "Command" || self.execOrder == "Linear"',
            lambda migrations: (
                migrations.engine is not Engine.COMMAND or migrations.exec_order is ExecOrder.LINEAR
            ),
        ),
        Rule(
            "revisionsSchema",
            "must not be set with engines other than Atlas, because only Atlas has such a schema",
            'self.engine == "Atlas" || !has(self.revisionsSchema)',
            lambda migrations: migrations.engine is Engine.ATLAS or migrations.revisions_schema is None,
        ),
    )

    image: Image = Field(
        description="Container image that contains the migrations. A new image starts a run. Tags are treated as immutable: "
        "pushing new content under the same tag does not start a run."
    )
    dir: Folder = Field(
        "/migrations",
        description="Absolute path of the folder in the image that contains the *.sql files and, for engine Atlas, atlas.sum. "
        "Defaults to /migrations.",
    )
    engine: Engine = Field(
        Engine.ATLAS,
        description="Engine that applies the migrations: Atlas (versioned migrations of Atlas), Psql (plain SQL files, "
        "PostgreSQL only) or Command (a command in the image). Defaults to Atlas.",
    )
    command: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Entrypoint of the container, instead of that of the image. Only for engine Command.",
    )
    args: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Arguments of the entrypoint. Only for engine Command.",
    )
    env: tuple[Variable, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Environment variables of the container, in addition to those of the connection. Only for engine Command.",
        json_schema_extra=list_map("name"),
    )
    image_pull_secrets: tuple[LocalReference, ...] = Field(
        (),
        max_length=MAX_PULL_SECRETS,
        description="Secrets with the credentials of private registries. They are used to fetch the migrations and to pull the "
        "images of the pod.",
        json_schema_extra=list_map("name"),
    )
    delivery: Delivery = Field(
        Delivery.EXTRACT,
        description="How the migration files reach the pod: Extract (an init container copies them from the image) or ImageVolume "
        "(the image is mounted read-only, which requires Kubernetes 1.35 or newer). Defaults to Extract.",
    )
    baseline: Version | None = Field(
        None,
        description="Version of a database that has tables but no migration history: files up to and including this version "
        "are treated as applied. Not for engine Command.",
    )
    exec_order: ExecOrder = Field(
        ExecOrder.LINEAR,
        description="What happens to a file whose version is below the database's and that was never applied: Linear (the run "
        "fails and names the file), LinearSkip (the file is skipped, and the log reports it) or NonLinear (the file is "
        "applied). Defaults to Linear. Not for engine Command.",
    )
    revisions_schema: SchemaName | None = Field(
        None,
        description="Schema that contains Atlas's migration history. Defaults to "
        "the schema in the database URL, or else to atlas_schema_revisions. Only for engine Atlas.",
    )

    @property
    def has_words(self) -> bool:
        """Whether there is anything to run for the engine Command."""
        return bool(self.command or self.args)
