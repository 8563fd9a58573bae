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
        description='Look for what breaks production in files that are new to the database: "off" (in quotes), warn (tell), or '
        "error (tell, and apply nothing when there are errors).",
    )
