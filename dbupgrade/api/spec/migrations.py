"""spec.migrations: where the migrations are, and what applies them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.spec.base import (
    MAX_TEXT,
    DataKey,
    LocalReference,
    Model,
    Rule,
    SecretName,
    list_map,
    quoted,
    rules,
)

_MAX_WORDS = 64  # arguments and variables of the engine Command

Word = Annotated[str, Field(max_length=MAX_TEXT)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")]
Folder = Annotated[
    str,
    Field(
        min_length=2,
        max_length=512,
        # Segments may begin with dots but are never `.` or `..`; no character has a meaning to a shell.
        pattern=r"^(/\.{0,2}[A-Za-z0-9_@+=,-][A-Za-z0-9._@+=,-]*)+/?$",
    ),
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
"""What tells the engine Command where the database is; made from spec.database."""
RESERVED_VARIABLE = "is made from spec.database.connection and cannot be set"
VALUE_OR_SOURCE = "takes either value or valueFrom"
ONE_SOURCE = "needs one of secretKeyRef and configMapKeyRef"
COMMAND_MISSING = "engine Command needs command or args"
COMMAND_ONLY = "command, args and env are for engine Command only"
BASELINE_NOT_FOR_COMMAND = "engine Command takes no baseline: its command keeps its own history"


class Delivery(StrEnum):
    """How the migration files reach the runner."""

    EXTRACT = "Extract"
    IMAGE_VOLUME = "ImageVolume"


class Engine(StrEnum):
    """What applies the migrations."""

    ATLAS = "Atlas"
    PSQL = "Psql"
    COMMAND = "Command"


class KeyReference(Model):
    """A key of a Secret or ConfigMap in the resource's own namespace."""

    name: SecretName
    key: DataKey


class ValueFrom(Model):
    """Where the value of a variable comes from."""

    model_config = rules(
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            ONE_SOURCE,
        )
    )

    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None


class Variable(Model):
    """An environment variable of the engine Command."""

    model_config = rules(
        Rule("!(has(self.value) && has(self.valueFrom))", VALUE_OR_SOURCE),
        Rule(f"!(self.name in [{quoted(CONNECTION_VARIABLES)}])", RESERVED_VARIABLE),
    )

    name: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    value: str | None = Field(None, max_length=MAX_TEXT)
    value_from: ValueFrom | None = None


class Migrations(Model):
    """Where the migrations are, and what applies them."""

    model_config = rules(
        Rule(
            'self.engine != "Command" || (has(self.command) && size(self.command) > 0) || (has(self.args) && size(self.args) > 0)',
            COMMAND_MISSING,
        ),
        Rule(
            'self.engine == "Command" || !((has(self.command) && size(self.command) > 0)'
            " || (has(self.args) && size(self.args) > 0) || (has(self.env) && size(self.env) > 0))",
            COMMAND_ONLY,
        ),
        Rule('self.engine != "Command" || !has(self.baseline)', BASELINE_NOT_FOR_COMMAND),
    )

    image: Image = Field(description="Image that holds the migrations.")
    dir: Folder = Field(
        "/migrations", description="Absolute folder in the image, with *.sql and, for Atlas, atlas.sum."
    )
    engine: Engine = Field(
        Engine.ATLAS,
        description="Atlas, Psql (plain SQL files), or Command (the image's own command).",
    )
    command: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: the entrypoint, in place of the image's.",
    )
    args: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: its arguments.",
    )
    env: tuple[Variable, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: its environment, besides the connection.",
        json_schema_extra=list_map("name"),
    )
    image_pull_secrets: tuple[LocalReference, ...] = Field(
        (), description="For private registries.", json_schema_extra=list_map("name")
    )
    delivery: Delivery = Field(
        Delivery.EXTRACT, description="Extract, or ImageVolume (Kubernetes 1.35 and newer)."
    )
    baseline: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Version from which to adopt a database that has tables but no history.",
    )
