"""spec.policy: what is asked of migrations before they are applied."""

from enum import StrEnum

from pydantic import Field

from dbupgrade.api.spec.base import Model


class LintMode(StrEnum):
    """What the lint of new migrations may do."""

    OFF = "off"
    WARN = "warn"
    ERROR = "error"


class Policy(Model):
    """What is asked of migrations before they are applied."""

    lint: LintMode = Field(
        LintMode.OFF,
        description="Whether files that are new to the database are checked for statements that are dangerous in production: "
        '"off" (write it in quotes: YAML takes off for false), warn (findings are reported) or error (findings are reported, and if one of '
        "them is an error, nothing is applied). Engine Atlas only. Defaults to off.",
    )
