"""What a rule is, and what it finds."""

from dataclasses import dataclass, replace
from enum import StrEnum

from dbupgrade.toolkit.sql.names import Name


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class LintRule:
    """One rule: a row of the table in docs/toolkit.md, and the name that suppresses it."""

    name: str
    category: str
    level: Level
    what: str
    """What a migration does: "drops a table"."""
    why: str
    """Why it hurts; {table} stands for the table."""
    safer: str
    lock: str = ""
    """The lock that PostgreSQL takes, and for how long."""
    aliases: tuple[str, ...] = ()
    """What squawk, Atlas and strong_migrations call it."""
    by_size: bool = False
    """Whether it hurts only where the table is large."""


@dataclass(frozen=True)
class Hit:
    """What a check has found in a statement."""

    rule: LintRule
    what: str
    """What this statement does: "drops column orders.note"."""
    table: Name | None = None
    """The table that it is about."""
    instead: str = ""
    """SQL that would be right, for this very table."""
    level: Level | None = None
    """When it is not that of the rule."""


@dataclass(frozen=True)
class Finding:
    """Something in a file."""

    file: str
    line: int
    rule: LintRule
    level: Level
    what: str
    why: str
    instead: str = ""
    suppressed: str = ""
    """The reason for which a comment suppresses it, where that is reported."""

    def as_suppressed(self, reason: str) -> "Finding":
        """The finding as it is reported where a comment suppresses it."""
        return replace(self, level=Level.INFO, suppressed=reason)

    @property
    def message(self) -> str:
        """What, why and what instead, in one line; of one that is suppressed, what and the reason."""
        if self.suppressed:
            return f"{self.what}: suppressed, because {self.suppressed}"
        return f"{self.what}: {self.why}; safer: {self.rule.safer}"
