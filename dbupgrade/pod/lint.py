"""What the lint of a run found, as the status, Events and messages show it: names of files and rules and our own sentences, no SQL."""

from collections.abc import Sequence

from dbupgrade.api.findings import LINT_FINDINGS, Finding, Lint

ERROR = "error"
_NAMED = 3  # findings in a message


def lint_of(files: int, findings: Sequence[Finding], suppressed: int = 0) -> Lint:
    """What was found in so many files, errors first."""
    errors = [finding for finding in findings if finding.level == ERROR]
    warnings = [finding for finding in findings if finding.level != ERROR]
    first = tuple([*errors, *warnings][:LINT_FINDINGS])
    return Lint(
        files=files, errors=len(errors), warnings=len(warnings), suppressed=suppressed, findings=first
    )


def where(lint: Lint) -> str:
    """Line, rule and the safer way of the first errors; the file where it is not that of the one before."""
    errors = [finding for finding in lint.findings if finding.level == ERROR][:_NAMED]
    parts = [
        f"{'' if one.file == before.file else f'{one.file} '}line {one.line} {one.what} ({one.rule}); safer: {one.safer}"
        for before, one in zip([*errors[:1], *errors], errors, strict=False)
    ]
    more = lint.errors - len(errors)
    return "; ".join([*parts, f"and {more} more"] if more else parts)


def summary(lint: Lint) -> str:
    """How much was found; nothing when there was nothing."""
    counts = ((lint.errors, "error"), (lint.warnings, "warning"))
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count)


def event(lint: Lint) -> str:
    """What was found, for an Event: files, lines and rules."""
    places = [f"{one.file}:{one.line} {one.rule}" for one in lint.findings]
    more = lint.errors + lint.warnings - len(places)
    return f"{summary(lint)}: {', '.join(places)}{f' and {more} more' if more else ''}"
