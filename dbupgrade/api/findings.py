"""What a run found before it applied anything, as the status of a DBUpgrade reports it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dbupgrade.api.record import Record

LINT_FINDINGS = 5
PREFLIGHT_FINDINGS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Record):
    """A lint finding in a new migration."""

    file: Annotated[str, Field(max_length=255, description="Name of the file.")]
    line: Annotated[int, Field(ge=1, description="Line in the file at which the statement begins.")]
    level: Annotated[str, Field(max_length=16, description="How serious the finding is: error or warning.")]
    rule: Annotated[str, Field(max_length=64, description="Name of the rule that found it.")]
    what: Annotated[str, Field(max_length=256, description="What the statement does.")]
    safer: Annotated[str, Field(max_length=512, description="Safer alternative.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lint(Record):
    """What the lint of the new migrations found."""

    files: Annotated[int, Field(description="Number of files that have not been applied yet.")]
    errors: Annotated[int, Field(description="Number of findings that are errors.")]
    warnings: Annotated[int, Field(description="Number of findings that are warnings.")]
    suppressed: Annotated[
        int, Field(description="Number of findings that comments in the files suppress. Defaults to 0.")
    ] = 0
    findings: Annotated[
        tuple[Finding, ...],
        Field(
            max_length=LINT_FINDINGS,
            description=f"The first {LINT_FINDINGS} findings, errors first. The log of the pod contains all of them.",
        ),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PreflightFinding(Record):
    """Something that was found before anything was applied."""

    check: Annotated[str, Field(max_length=32, description="What was checked, for example privileges.")]
    severity: Annotated[
        str,
        Field(
            max_length=16,
            description="How serious the finding is: error (nothing was applied), warning or info.",
        ),
    ]
    message: Annotated[str, Field(max_length=512, description="What was found.")]
    fix: Annotated[
        str, Field(max_length=256, description='Command or change that fixes it. Defaults to "".')
    ] = ""
