"""How much of what a database or a command said goes into a status: spec.policy.errorDetail. Contract, section 3.6.

Literals and secrets are masked before, whatever is asked for. What SQL raises itself (RAISE, SIGNAL) may be any data without a
quote around it, so nothing of it can be masked for sure.
"""

from dataclasses import replace

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.pod.report import Report

_RAISED = frozenset({"P0001", "P0004", "45000"})
"""SQLSTATEs of RAISE, ASSERT and SIGNAL, unless these name another one."""
_OWN_WORDS = frozenset(
    {
        Failure.IMAGE_PULL,
        Failure.FETCH,
        Failure.ATLAS_UNUSABLE,
        Failure.SECRET_NOT_FOUND,
        Failure.SECRET_UNUSABLE,
        Failure.NO_POD,
        Failure.POD_SETTINGS,
        Failure.JOB_REFUSED,
        Failure.MISSING_FOLDER,
        Failure.EMPTY_FOLDER,
        Failure.CONNECTION_SETTINGS,
        Failure.BASELINE_NOT_FOUND,
        Failure.OUT_OF_ORDER,
        Failure.APPLIED_FILE_CHANGED,
        Failure.DUPLICATE_VERSION,
        Failure.FOREIGN_FORMAT,
        Failure.UNREADABLE_FILE,
        Failure.MISREAD_BY_ENGINE,
        Failure.FILE_CHANGED,
        Failure.PARTLY_APPLIED,
        Failure.PREFLIGHT,
        Failure.UNSCHEDULABLE,
        Failure.APPROVAL_PENDING,
        Failure.PLAN_CHANGED,
        Failure.LINT,
        Failure.LINT_UNUSABLE,
        Failure.UNUSABLE_FILE,
    }
)
"""Failures whose text is ours, or the API server's: about files, images and settings, not about what is in the database."""
_IN_THE_LOG = "see the log of the Job's pod; to show the text here, set spec.policy.errorDetail to Full"


def limited(report: Report, detail: ErrorDetail) -> Report:
    """`report` with as much of its texts as is asked for. Class, file, line and SQLSTATE always stay."""
    if report.said:
        return replace(report, error=_with_last_words(report.error or "", report.said, detail), said=None)
    if detail is ErrorDetail.FULL or report.failure is None:
        return report
    if detail is ErrorDetail.CODE and report.failure not in _OWN_WORDS:
        return replace(report, error=_place(report) or None, failed_statement=None)
    if report.raised or report.sqlstate in _RAISED:
        return replace(report, error=f"{_place(report)}: the SQL itself raised the error; {_IN_THE_LOG}")
    return report


def _with_last_words(error: str, said: str, detail: ErrorDetail) -> str:
    match detail:
        case ErrorDetail.FULL:
            return f"{error}: {said}"
        case ErrorDetail.MASKED:
            return f"{error}; {_IN_THE_LOG}"
        case ErrorDetail.CODE:
            return error


def _place(report: Report) -> str:
    line = f"line {report.line}" if report.line else ""
    state = f"SQLSTATE {report.sqlstate}" if report.sqlstate else ""
    return ", ".join(filter(None, (line, state)))
