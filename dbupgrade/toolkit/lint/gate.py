"""The lint of what `apply` is about to apply: it may hold the run back (spec.policy.lint)."""

from typing import TYPE_CHECKING

from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Lint
from dbupgrade.api.spec.policy import Approval, LintMode
from dbupgrade.pod import lint
from dbupgrade.pod.redact import cut
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError, State

if TYPE_CHECKING:
    from dbupgrade.toolkit.lint import pending


def survey(call: Call, state: State) -> "pending.Survey | None":
    """What is known of the pending files; None if neither lint nor plan is enabled.

    Raises AtlasError if the files could not be checked.
    """
    if not state.pending or not _is_asked_for(call):
        return None
    from dbupgrade.toolkit.lint import pending  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    return survey_of(call, *pending.names(call, state))


def survey_of(call: Call, everything: set[str], names: set[str]) -> "pending.Survey | None":
    """The same, where `everything` would be applied, and `names` are those of the files that can break something."""
    if not everything or not _is_asked_for(call):
        return None
    from dbupgrade.toolkit.lint import pending  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    try:
        return pending.survey(call, everything, names)
    except (BadEnvironmentError, FolderError) as error:
        raise AtlasError(Failure.LINT_UNUSABLE, cut(str(error))) from None


def _is_asked_for(call: Call) -> bool:
    return call.settings.lint is not LintMode.OFF or call.settings.approval is not Approval.NEVER


def look(call: Call, known: "pending.Survey | None") -> tuple[Report | None, Lint | None]:
    """The lint findings in the pending files, with the report if they stop the run.

    Both are None if lint is off.
    """
    mode = call.settings.lint
    if mode is LintMode.OFF or known is None:
        return None, None
    from dbupgrade.toolkit.lint import formats  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    names, found = known.names, known.findings
    for finding in found:
        formats.tell(call.output, finding)
    suppressed = sum(bool(finding.suppressed) for finding in found)
    result = lint.lint_of(len(names), formats.for_status(found), suppressed)
    if not result.errors or mode is not LintMode.ERROR:
        return None, result
    refused = Report(failure=Failure.LINT, failed_file=result.findings[0].file, error=cut(lint.where(result)))
    return refused, result
