"""The plan of a run: what it would do to the database, for approval. Contract, section 11."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from dbupgrade.api.record import Record

PLANNED_FILES = 5000
"""More than fit into a line of the log: what bounds a plan is its size."""
PLANNED_STATEMENTS = 20
LOCKS = 4
FINDINGS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedLock(Record):
    """The strongest lock that a statement takes on a table that other sessions use."""

    table: Annotated[str, Field(max_length=256, description="Name of the table.")]
    mode: Annotated[str, Field(max_length=32, description="Lock mode, for example ACCESS EXCLUSIVE.")]
    effect: Annotated[
        str,
        Field(
            max_length=32,
            description='How long the lock is held: rewrites (the whole table), scans (it) or "". Defaults to "".',
        ),
    ] = ""
    bytes: Annotated[
        int | None, Field(description="Size of the table with its indexes when the plan was made.")
    ] = None
    rows: Annotated[int | None, Field(description="Approximate number of rows when the plan was made.")] = (
        None
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFinding(Record):
    """A lint finding in a statement."""

    level: Annotated[str, Field(max_length=16, description="How serious the finding is: error or warning.")]
    rule: Annotated[str, Field(max_length=64, description="Name of the rule that found it.")]
    what: Annotated[str, Field(max_length=256, description="What the statement does.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStatement(Record):
    """A statement that deserves a review."""

    line: Annotated[int, Field(ge=1, description="Line in the file at which the statement begins.")]
    findings: Annotated[
        tuple[PlannedFinding, ...], Field(max_length=FINDINGS, description="Lint findings in the statement.")
    ] = ()
    locks: Annotated[
        tuple[PlannedLock, ...],
        Field(max_length=LOCKS, description="Locks that keep other sessions waiting."),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedFile(Record):
    """A file that the run would apply."""

    name: Annotated[str, Field(max_length=255, description="Name of the file.")]
    number: Annotated[
        int,
        Field(
            description="Position of the file in the order in which the run applies them, from 1. Defaults to 1."
        ),
    ] = 1
    statement_count: Annotated[
        int, Field(description="Number of statements; 0 where they are not counted (MySQL). Defaults to 0.")
    ] = 0
    notable: Annotated[
        tuple[PlannedStatement, ...],
        Field(
            max_length=PLANNED_STATEMENTS,
            description="The statements with findings, or with locks that keep other sessions waiting.",
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan(Record):
    """What a run would do."""

    digest: Annotated[
        str,
        Field(
            max_length=71,
            description="Identifies the plan. It covers the DBUpgrade, the digest of the image, the content of the files, the applied "
            "versions, the findings and the definitions of the tables that the files name; not sizes, times or hosts.",
        ),
    ]
    asks: Annotated[
        str,
        Field(
            max_length=512,
            description='Why the plan needs approval. "" if it does not. Defaults to "".',
        ),
    ] = ""
    image: Annotated[str | None, Field(description="Image that contains the migrations.")] = None
    image_digest: Annotated[
        str | None, Field(max_length=71, description="Digest of the image from which the files were taken.")
    ] = None
    made_at: Annotated[datetime | None, Field(description="Time at which the plan was made.")] = None
    from_version: Annotated[
        str | None, Field(max_length=255, description="Version of the database before the run.")
    ] = None
    to_version: Annotated[
        str | None, Field(max_length=255, description="Version of the database after the run.")
    ] = None
    file_count: Annotated[int, Field(description="Number of files to apply. Defaults to 0.")] = 0
    statement_count: Annotated[int, Field(description="Number of statements in them. Defaults to 0.")] = 0
    errors: Annotated[int, Field(description="Number of findings that are errors. Defaults to 0.")] = 0
    warnings: Annotated[int, Field(description="Number of findings that are warnings. Defaults to 0.")] = 0
    files: Annotated[
        tuple[PlannedFile, ...],
        Field(
            max_length=PLANNED_FILES,
            description="The files, those with the most serious findings and the strongest locks first, as far as they fit into 32 KiB.",
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanNote(Record):
    """What a report says of a plan, which itself is a line of the log: its digest, and the SHA-256 of that line."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    line: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    asks: Annotated[str, Field(max_length=512)] = ""
    files: int = 0
    statements: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved(Record):
    """An approval with which a run was started."""

    plan: Annotated[str, Field(max_length=71, description="Digest of the approved plan.")]
    by: Annotated[
        str,
        Field(
            max_length=256,
            description="User who approved it, or spec.policy.approvedPlan: then it was whoever changed the spec.",
        ),
    ]
