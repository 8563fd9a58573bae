"""The report as the runner leaves it in the termination message of its container, and as the operator reads it.

The kubelet keeps 4 KiB of one message and 12 KiB of all messages of a pod; ours has at most 2 KiB (contract, 3.6). The runner
writes it as the last thing that it does, so that nothing that ran before can have the last word.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dbupgrade.pod import preflight
from dbupgrade.pod.redact import clean, remove_secrets, shortened
from dbupgrade.pod.report import Report

MAX_BYTES = 2048
_NAME_BYTES = 255
"""Of a version or the name of a file."""
_TEXT_BYTES = 1024
_REPORT = TypeAdapter(Report)
_NAMES = ("from_version", "to_version", "failed_file", "sqlstate")
_TEXTS = ("failed_statement", "error", "said")


def text(report: Report, secrets: tuple[str, ...] = ()) -> str:
    """`report` in JSON and at most MAX_BYTES of UTF-8: what is too long is cut, and what is least important left out first.

    `secrets` are masked in every text, be it that somebody wrote one into the history.
    """
    written = ""
    for smaller in _smaller(_clean(report, secrets)):
        written = _REPORT.dump_json(smaller, exclude_none=True).decode()
        if len(written.encode()) <= MAX_BYTES:
            break
    return written


def read(message: str) -> Report | None:
    """The report in a termination message; None when there is none that can be read."""
    try:
        return _clean(_REPORT.validate_json(message))
    except ValidationError:
        return None


def _clean(report: Report, secrets: tuple[str, ...] = ()) -> Report:
    """`report` with texts of bounded length and without control characters, whoever wrote them."""
    bounds = dict.fromkeys(_NAMES, _NAME_BYTES) | dict.fromkeys(_TEXTS, _TEXT_BYTES)
    given = {name: getattr(report, name) for name in bounds}
    cleaned: dict[str, Any] = {
        name: clean(remove_secrets(value, secrets), bounds[name]) for name, value in given.items() if value
    }
    masked = (
        replace(each, message=remove_secrets(each.message, secrets), fix=remove_secrets(each.fix, secrets))
        for each in report.preflight
    )
    return replace(report, **cleaned, preflight=preflight.bounded(masked))


def _smaller(report: Report) -> Iterator[Report]:
    yield report
    for count in range(len(report.preflight) - 1, -1, -1):
        report = replace(report, preflight=report.preflight[:count])
        yield report
    lint = report.lint
    for count in range(len(lint.findings) - 1, -1, -1) if lint else ():
        report = replace(report, lint=lint and replace(lint, findings=lint.findings[:count]))
        yield report
    for size in (512, 256, 128):
        report = replace(report, failed_statement=_to(report.failed_statement, size))
        yield report
        report = replace(report, error=_to(report.error, size))
        yield report
    yield Report(failure=report.failure, applied=report.applied, pending=report.pending, plan=report.plan)


def _to(value: str | None, size: int) -> str | None:
    return shortened(value, size) if value else value
