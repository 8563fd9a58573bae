"""spec.policy: what is asked of migrations before they are applied."""

from enum import StrEnum

from pydantic import Field

from dbupgrade.api.spec.base import Model


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


class Policy(Model):
    """What is asked of migrations before they are applied, and what is told of them."""

    error_detail: ErrorDetail = Field(
        ErrorDetail.MASKED,
        description="How much the status shows of what the database, or the command, says of a failure: Full (its text, without "
        "secrets and literals), Masked (the same, but not what SQL raises itself with RAISE or SIGNAL, nor what a command printed) or Code "
        "(only class, file, line and SQLSTATE). Defaults to Masked.",
    )

    lint: LintMode = Field(
        LintMode.OFF,
        description="Whether files that are new to the database are checked for statements that are dangerous in production: "
        '"off" (write it in quotes: YAML takes off for false), warn (findings are reported) or error (findings are reported, and if one of '
        "them is an error, nothing is applied). Engine Atlas only. Defaults to off.",
    )
