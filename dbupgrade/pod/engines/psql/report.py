"""What the script of the engine Psql reports at its end."""

import base64
import binascii
import json
import re

from pydantic import BaseModel, Field, ValidationError

from dbupgrade.api.status import Failure
from dbupgrade.pod.engines.psql.script import HISTORY, TRANSACTION_CONSTRAINT
from dbupgrade.pod.redact import cut, mask_error, mask_statement, remove_secrets
from dbupgrade.pod.report import MARK, Report, classify, with_hint


class _Output(BaseModel):
    exit: int
    phase: str
    problem: str
    file: str
    version_from: str = Field(alias="from")
    version_to: str = Field(alias="to")
    pending: int
    applied: int
    errors: str


PROBLEMS: dict[str, tuple[Failure, str]] = {
    "EmptyFolder": (Failure.EMPTY_FOLDER, ""),
    "NotClean": (Failure.NOT_CLEAN, ""),
    "BaselineNotFound": (Failure.BASELINE_NOT_FOUND, ""),
    "NoSchema": (Failure.CONNECTION_SETTINGS, "the database has none of the schemas of the search_path"),
    "UnknownParameter": (
        Failure.CONNECTION_SETTINGS,
        "the database URL has a parameter that psql does not know",
    ),
    "PartlyApplied": (Failure.PARTLY_APPLIED, ""),
    "FileChanged": (Failure.FILE_CHANGED, ""),
    "FileMissing": (Failure.HISTORY_DIVERGED, "the file was applied, and the image does not have it"),
    "FileLate": (Failure.HISTORY_DIVERGED, "the file sorts before one that was applied already"),
    "FileName": (
        Failure.UNUSABLE_FILE,
        "the name has other characters than letters, digits, spaces and . _ - + = , @ ( )",
    ),
    "FileHeader": (Failure.UNUSABLE_FILE, "the only header that there is: -- dbupgrade:txmode none"),
    "FileUnreadable": (Failure.UNUSABLE_FILE, "it is no file that the user of the container may read"),
    "HistoryElsewhere": (
        Failure.HISTORY_DIVERGED,
        f"{HISTORY} is not in the first schema of the search path, where it was made, but further on: name the schema in "
        "the connection (schema, or search_path in the URL)",
    ),
    "Reconnected": (Failure.UNUSABLE_FILE, "the file connects anew (\\connect)"),
    "TransactionEnded": (Failure.UNUSABLE_FILE, "the file ends its own transaction"),
    "TransactionOpen": (Failure.PARTLY_APPLIED, "the file leaves a transaction open"),
}

_ERROR = re.compile(
    r"^psql:(?:(?P<path>[^\n]*?):(?P<line>\d+):)? (?P<kind>ERROR|FATAL|PANIC|error): +(?P<text>.*)$",
    re.MULTILINE,
)
_STATEMENT = re.compile(r"^psql:[^\n]*?:\d+: STATEMENT:  (.*)", re.MULTILINE | re.DOTALL)
_CONNECTION_LOST = 2  # psql's exit code


def parse(log: str, *, succeeded: bool, secrets: tuple[str, ...] = ()) -> Report:
    """The report in `log`, the output of the container `migrate`; `succeeded` says how the container ended."""
    output = _find(log)
    if output is None:
        return Report() if succeeded else Report(failure=Failure.UNKNOWN)
    known = Report(
        from_version=output.version_from or None,
        to_version=output.version_to or None,
        applied=output.applied,
        pending=max(output.pending - output.applied, 0),
    )
    if succeeded:
        return known
    failed = _failure(output, secrets)
    if output.phase != "files":
        return failed
    return Report(
        failure=failed.failure,
        failed_file=failed.failed_file,
        failed_statement=failed.failed_statement,
        error=failed.error,
        from_version=known.from_version,
        to_version=known.to_version,
        applied=known.applied,
        pending=known.pending,
    )


def _find(log: str) -> _Output | None:
    for line in reversed(log.split("\n")):
        if line.startswith(MARK):
            try:
                return _Output.model_validate(json.loads(line.removeprefix(MARK)))
            except (ValidationError, ValueError):
                return None
    return None


def _failure(output: _Output, secrets: tuple[str, ...]) -> Report:
    if output.problem and not output.problem.startswith("ErrorHidden "):
        word, _, name = output.problem.partition(" ")
        failure, error = PROBLEMS.get(word, (Failure.UNKNOWN, ""))
        return Report(failure=failure, failed_file=cut(name) or None, error=error or None)
    try:
        errors = base64.b64decode(output.errors).decode(errors="replace")
    except binascii.Error:
        return Report(failure=Failure.UNKNOWN)
    if output.phase == "connect":
        failure = classify(errors)
        return Report(failure=Failure.DATABASE_UNREACHABLE if failure is Failure.UNKNOWN else failure)
    if output.exit == _CONNECTION_LOST:
        lost = Failure.INTERRUPTED if output.file else Failure.DATABASE_UNREACHABLE
        return Report(failure=lost, failed_file=output.file or None)
    if not output.file and re.search(r"\b(lock|statement) timeout", errors):
        return Report(failure=Failure.DATABASE_LOCKED)
    return _statement_error(output, errors, secrets)


def _statement_error(output: _Output, errors: str, secrets: tuple[str, ...]) -> Report:
    found = _ERROR.search(errors)
    if found is None:
        return Report(failure=Failure.UNKNOWN, failed_file=output.file or None)
    statement = _STATEMENT.search(errors, found.end())
    sql, text = (statement[1].strip() if statement else ""), found["text"]
    if TRANSACTION_CONSTRAINT in text:
        failure, error = PROBLEMS["TransactionEnded"]
        return Report(failure=failure, failed_file=output.file or None, error=error)
    if not output.file:  # our own statements, so that there is nothing in them to report
        refused = "permission denied" in text
        error = f"{HISTORY}, the history table: {mask_error(text, HISTORY)}"
        return Report(failure=Failure.AUTHENTICATION if refused else Failure.SQL, error=cut(error))
    in_file = (found["path"] or "").endswith(f"/{output.file}")
    where = f"line {found['line']}: " if in_file else ""
    return Report(
        failure=Failure.SQL,
        failed_file=output.file,
        failed_statement=cut(remove_secrets(mask_statement(sql), secrets)) if sql and in_file else None,
        error=cut(
            with_hint(where + remove_secrets(mask_error(text, sql), secrets), "`-- dbupgrade:txmode none`")
        ),
    )
