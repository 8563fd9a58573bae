"""What the container `lint` leaves in its termination message, and the words for it.

The toolkit writes it (`Told.text`), the operator reads it (`parse`). It holds names of files and rules and our own
sentences, no SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import TypeAdapter, ValidationError

from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.status import LINT_FINDINGS, Failure, Finding, Lint, Run
from dbupgrade.objects import Object
from dbupgrade.pod import folder
from dbupgrade.pod.connection import environment, url
from dbupgrade.pod.container import HOME, TEMPORARY, TERMINATION_LOG, defaults, escape, values
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.redact import cut
from dbupgrade.pod.report import Report
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView

MAX_BYTES = 3000
"""The kubelet keeps 12 KiB for all containers of a pod, and at most 4 KiB of one."""
ERROR = "error"
_NAMED = 3  # findings in a message


@dataclass(frozen=True)
class Told:
    """What the lint found, or why it could not be done."""

    lint: Lint | None = None
    failure: Failure | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        """As it is written; findings that are too many for the space are left out."""
        findings = self.lint.findings if self.lint else ()
        for count in range(len(findings), -1, -1):
            lint = self.lint and replace(self.lint, findings=findings[:count])
            text = _TOLD.dump_json(replace(self, lint=lint), exclude_none=True).decode()
            if len(text.encode()) <= MAX_BYTES:
                break
        return text


_TOLD = TypeAdapter(Told)


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
        return _TOLD.validate_json(message)
    except ValidationError:
        return Told()


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


class LintMigrations(Step):
    """Looks at the files that Atlas is about to apply, with the connection and the history that Atlas has."""

    name: ClassVar[str] = "lint"
    schemes: ClassVar[tuple[str, ...]] = url.POSTGRESQL

    def wanted(self, spec: Spec, engine: MigrationEngine) -> bool:
        """Where spec.policy.lint asks for it."""
        del engine
        return spec.policy.lint is not LintMode.OFF

    def container(self, context: Context) -> Object:
        """The toolkit; what it found goes to the termination message."""
        spec, access = context.spec, context.access
        policy = ("--policy", spec.policy.lint, "--report", TERMINATION_LOG)
        given = {
            "MIGRATION_DIR": folder.MIGRATIONS_PATH,
            "MIGRATE_BASELINE_VERSION": spec.migrations.baseline if context.run.adopts else None,
            "MIGRATE_LOCK_TIMEOUT": "0",  # no setting of the session's that a pooler would refuse
        }
        return {
            "name": self.name,
            "image": context.settings.toolkit_image,
            "args": [escape(word) for word in ("migrate", "lint", "--pending", *policy)],
            "env": [*environment.toolkit(access), *values(given), HOME],
            "volumeMounts": [folder.mount(spec), TEMPORARY, *access.mounts],
            **defaults(spec),
        }

    def doing(self, view: ContainerView) -> str:
        """Also when it has ended: `migrate` comes next."""
        return "lints the new migrations" if view.started else ""

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """What was found, or why nothing could be."""
        del spec
        said = parse(view.message)
        if said.failure is Failure.LINT and said.lint and said.lint.findings:
            first = said.lint.findings[0]
            return Report(failure=said.failure, failed_file=first.file, error=cut(_where(said.lint)))
        error = cut(said.error) if said.error else None
        return Report(failure=said.failure or Failure.LINT_NOT_DONE, error=error)

    def recorded(self, run: Run, view: ContainerView) -> Run:
        """`run` with what was found."""
        return replace(run, lint=parse(view.message).lint)
