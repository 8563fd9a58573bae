"""What a run found before it applied anything, as the report, the status and messages have it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dbupgrade.api.findings import PREFLIGHT_FINDINGS, PreflightFinding
from dbupgrade.pod.redact import clean, printable

ERROR = "error"
_NAMED = 3  # findings in a message
_BYTES = {"check": 32, "severity": 16, "message": 512, "fix": 256}


def bounded(findings: Iterable[PreflightFinding]) -> tuple[PreflightFinding, ...]:
    """The first findings, whoever wrote them, with texts of bounded length and without control characters."""
    return tuple(
        replace(each, **{name: clean(getattr(each, name), size) for name, size in _BYTES.items()})
        for each in tuple(findings)[:PREFLIGHT_FINDINGS]
    )


def where(findings: Sequence[PreflightFinding]) -> str:
    """The first errors, and what fixes them."""
    errors = [finding for finding in findings if finding.severity == ERROR]
    parts = [text(finding) for finding in errors[:_NAMED]]
    more = len(errors) - len(parts)
    return "; ".join([*parts, f"and {more} more"] if more else parts)


def text(finding: PreflightFinding) -> str:
    """A finding in a line that can be printed."""
    fix = f"; fix: {finding.fix.rstrip(';')}" if finding.fix else ""
    return printable(f"{finding.message}{fix}")
