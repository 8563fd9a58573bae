"""The lint of what `apply` is about to apply: it may hold the run back (spec.policy.lint)."""

from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.status import Failure, Lint
from dbupgrade.pod import lint
from dbupgrade.pod.redact import cut
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError, State


def look(call: Call, state: State) -> tuple[Report | None, Lint | None]:
    """What the lint says of the pending files, with the report of a run that it holds back.

    Both are None where nobody asked for it. Raises AtlasError where the files could not be looked at.
    """
    mode = call.settings.lint
    if mode is LintMode.OFF or not state.pending:
        return None, None
    from dbupgrade.toolkit.lint import formats, pending  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    try:
        names, found = pending.look(call, state)
    except (BadEnvironmentError, FolderError) as error:
        raise AtlasError(Failure.LINT_UNUSABLE, cut(str(error))) from None
    for finding in found:
        formats.tell(call.output, finding)
    suppressed = sum(bool(finding.suppressed) for finding in found)
    result = lint.lint_of(len(names), formats.for_status(found), suppressed)
    if not result.errors or mode is not LintMode.ERROR:
        return None, result
    refused = Report(failure=Failure.LINT, failed_file=result.findings[0].file, error=cut(lint.where(result)))
    return refused, result
