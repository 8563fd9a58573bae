"""A finding of the preflight, in the shape in which the status has it, and the words that several checks share. Pure."""

from collections.abc import Sequence

from dbupgrade.api.findings import PreflightFinding as Finding

__all__ = ["ERROR", "INFO", "WARNING", "Finding", "listed"]

ERROR, WARNING, INFO = "error", "warning", "info"
"""What stops the run; what may make it fail or take long; what is good to know."""
_NAMED = 3


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b, c and 7 more`."""
    if len(words) > _NAMED:
        return f"{', '.join(words[:_NAMED])} and {len(words) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
