"""What the container `lint` leaves in its termination message, and the words for it.

The toolkit writes it (`Told.text`), the operator reads it (`parse`). It holds names of files and rules and our own
sentences, no SQL.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from dbupgrade.api.status import LINT_FINDINGS, Failure, Finding, Lint
from dbupgrade.pod.redact import cut
from dbupgrade.pod.report import Report

MAX_BYTES = 3000
"""The kubelet keeps 12 KiB for all containers of a pod, and at most 4 KiB of one."""
ERROR = "error"
_NAMED = 3  # findings in a message


class Told(BaseModel):
    """What the lint found, or why it could not be done."""

    lint: Lint | None = None
    failure: Failure | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        """As it is written; findings that are too many for the space are left out."""
        findings = self.lint.findings if self.lint else ()
        for count in range(len(findings), -1, -1):
            lint = self.lint and self.lint.model_copy(update={"findings": findings[:count]})
            text = self.model_copy(update={"lint": lint}).model_dump_json(exclude_none=True)
            if len(text.encode()) <= MAX_BYTES:
                break
        return text


def told(files: int, findings: Sequence[Finding], *, refuse: bool) -> Told:
    """What was found in so many files; `refuse` when nothing may be applied if there are errors."""
    errors = [finding for finding in findings if finding.level == ERROR]
    warnings = [finding for finding in findings if finding.level != ERROR]
    first = tuple([*errors, *warnings][:LINT_FINDINGS])
    lint = Lint(files=files, errors=len(errors), warnings=len(warnings), findings=first)
    return Told(lint=lint, failure=Failure.LINT if refuse and errors else None)


def parse(message: str) -> Told:
    """Read a termination message; one that cannot be read says nothing, and is never copied."""
    try:
        return Told.model_validate_json(message)
    except ValidationError:
        return Told()


def why(message: str) -> Report:
    """Why the run failed whose container `lint` has ended badly."""
    said = parse(message)
    if said.failure is Failure.LINT and said.lint and said.lint.findings:
        return Report(
            failure=said.failure, failed_file=said.lint.findings[0].file, error=cut(_where(said.lint))
        )
    return Report(
        failure=said.failure or Failure.LINT_NOT_DONE, error=cut(said.error) if said.error else None
    )


def _where(lint: Lint) -> str:
    """Line, rule and the safer way of the first errors; the file where it is not that of the one before."""
    errors = [finding for finding in lint.findings if finding.level == ERROR][:_NAMED]
    parts = [
        f"{'' if one.file == before.file else f'{one.file} '}line {one.line} {one.what} ({one.rule}); safer: {one.safer}"
        for before, one in zip([errors[0], *errors], errors, strict=False)
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
