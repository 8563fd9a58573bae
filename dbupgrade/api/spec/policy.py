"""spec.policy: what is asked of migrations before they are applied."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.spec.base import Model, Pattern

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = Pattern(
    r"([0-9]{1,9}ms|[0-9]{1,6}s|[0-9]{1,4}m|[0-9]{1,2}h)",
    "must be a duration, for example 500ms, 5s, 2m or 1h",
)
Duration = Annotated[str, Field(max_length=11), _DURATION]


def seconds(duration: str) -> float:
    """A duration in seconds."""
    number = duration.rstrip("msh")
    return float(number) * _UNITS[duration.removeprefix(number)]


class LintMode(StrEnum):
    """What the lint of new migrations may do."""

    OFF = "off"
    WARN = "warn"
    ERROR = "error"


class ErrorDetail(StrEnum):
    """How much the status shows of what the database says of a failure."""

    FULL = "Full"
    MASKED = "Masked"
    CODE = "Code"


class Approval(StrEnum):
    """Which plans must be approved before they are carried out."""

    NEVER = "Never"
    ON_FINDINGS = "OnFindings"
    ALWAYS = "Always"


PLAN_DIGEST = Pattern(
    r"sha256:[0-9a-f]{64}", "must be the digest of a plan: sha256: and 64 hexadecimal digits"
)
_SIZE = Pattern(r"[0-9]{1,6}(Ki|Mi|Gi|Ti)", "must be a size, for example 500Mi or 10Gi")
_BYTES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def size_in_bytes(size: str) -> int:
    """The size `10Gi` in bytes. Raises ValueError for what is not a number with one of the units."""
    return int(size[:-2]) * _BYTES[size[-2:]]


class Policy(Model):
    """Rules for migrations before they are applied, and how much the status shows of a failure."""

    error_detail: ErrorDetail = Field(
        ErrorDetail.MASKED,
        description="How much of the error message of the database, or of the command, the status shows after a failure: Full (the message, without "
        "secrets and literals), Masked (the same, except for messages that the SQL itself raises with RAISE or SIGNAL, and the output of a command) "
        "or Code (only class, file, line and SQLSTATE). Defaults to Masked.",
    )

    lint: LintMode = Field(
        LintMode.OFF,
        description="Whether files that have not been applied yet are checked for statements that are dangerous in production: "
        '"off" (in quotes, because YAML reads a bare off as false), warn (findings are reported) or error (findings are reported, and if one of '
        "them is an error, nothing is applied). Not for engine Command. Defaults to off.",
    )
    lock_timeout: Duration | None = Field(
        None,
        description="How long a statement may wait for a lock. While it waits, other sessions that need the table queue behind it. A file in which a statement exceeds the limit is rolled back "
        "and tried again, until a minute before spec.runner.activeDeadlineSeconds (not on MySQL). 0s means no limit. Builds with CONCURRENTLY are exempt. "
        "Defaults to 5s, unless the database, its user, its URL or the file sets a limit.",
    )
    statement_timeout: Duration | None = Field(
        None,
        description="How long a statement may take. A statement that takes longer is canceled, and the run fails. PostgreSQL only. By default, there is no limit.",
    )
    approval: Approval = Field(
        Approval.NEVER,
        description="Whether a plan of the run must be approved before anything is applied: Never, OnFindings (only if the lint finds errors, or a "
        "statement locks a table larger than approvalAbove against writes) or Always. While the approval is pending, nothing is locked: "
        "the plan is in status.plan. Not with engine Command. Defaults to Never.",
    )
    approval_above: Annotated[str, Field(max_length=8), _SIZE] = Field(
        "1Gi",
        description="With approval OnFindings: the size of a table, with its indexes, above which a statement that locks it against writes needs approval. Defaults to 1Gi.",
    )
    approved_plan: Annotated[str, Field(max_length=71), PLAN_DIGEST] | None = Field(
        None,
        description="Digest of the approved plan, copied from status.plan.digest. Setting it requires the verb approve on dbupgrades. "
        "`kubectl dbupgrade approve` approves a plan without a change of the spec.",
    )
