"""From what Atlas printed to what the operator may say about it.

Atlas prints the report of `TEMPLATE` when a run got as far as planning, and `Error: …` lines otherwise. The first is
parsed, the second only classified: its text may hold the URL, so it is never copied.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from dbupgrade.api.status import Failure
from dbupgrade.pod.redact import cut, mask_error, mask_statement, remove_secrets

MARK = "dbupgrade-report:"
TEMPLATE = (
    MARK
    + '{"current":{{ json .Current }},"target":{{ json .Target }},"pending":{{ len .Pending }},"applied":['
    + '{{ range $i, $f := .Applied }}{{ if $i }},{{ end }}{"name":{{ json $f.Name }},"version":{{ json $f.Version }},'
    + '"error":{{ with $f.Error }}{"stmt":{{ json (printf "%.4000s" .Stmt) }},"text":{{ json (printf "%.4000s" .Text) }}}{{ else }}null{{ end }}}'
    + '{{ end }}],"error":{{ json (printf "%.4000s" .Error) }}}{{ "\\n" }}'
)
"""The template for `atlas migrate apply --format`: no URL, and no SQL but the statement that failed."""


@dataclass(frozen=True)
class Report:
    """What is known of a run's end, free of credentials. Without `failure` it succeeded."""

    failure: Failure | None = None
    from_version: str | None = None
    to_version: str | None = None
    applied: int | None = None
    pending: int | None = None
    failed_file: str | None = None
    failed_statement: str | None = None
    error: str | None = None


Text = Annotated[str, BeforeValidator(lambda value: value or "")]


class _FileError(BaseModel):
    stmt: Text = ""
    text: Text = ""


class _File(BaseModel):
    name: str
    version: Text = ""
    error: _FileError | None = None


class _Output(BaseModel):
    current: Text
    target: Text
    pending: int
    applied: list[_File]
    error: Text


_NEEDS_NO_TRANSACTION = "cannot run inside a transaction block"


def with_hint(error: str, header: str) -> str:
    """`error`, and how a file opts out of its transaction if that is what the statement wants."""
    return f"{error} (let the file begin with {header})" if _NEEDS_NO_TRANSACTION in error else error


_CLASSES: tuple[tuple[Failure, str], ...] = (
    (Failure.CHECKSUM, r"checksum (mismatch|file not found)"),
    (Failure.NOT_CLEAN, r"is not clean"),
    (Failure.BASELINE_NOT_FOUND, r"baseline version .* not found"),
    (Failure.MISSING_FOLDER, r"sql/migrate: stat .*no such file or directory|sql/migrate: .*not a dir"),
    (
        Failure.DATABASE_LOCKED,
        r"acquiring (database )?lock|lock is already held|timeout.*\block\b|\block\b.*timeout",
    ),
    (
        Failure.CONNECTION_SETTINGS,
        r"parse open url|unknown driver|no opener was register|SSL is not enabled|does not support TLS|x509:|tls:"
        r"|authentication plugin is not supported|server does not support SSL|root certificate|certificate verify failed"
        r"|invalid [a-z_]+ value",
    ),
    (
        Failure.AUTHENTICATION,
        r"password authentication failed|authentication failed|no pg_hba\.conf entry|Access denied for user"
        r"|role .* does not exist|is not permitted to log in|Error 1045|permission denied for database"
        r"|is not allowed to connect to this|account is locked|must (reset|SET) (your|PASSWORD)",
    ),
    (
        Failure.DATABASE_UNREACHABLE,
        r"connection refused|no such host|i/o timeout|no route to host|network is unreachable|connection reset"
        r"|broken pipe|unexpected EOF|\bEOF\b|starting up|shutting down|too many (clients|connections)"
        r"|remaining connection slots|server misbehaving|database .* does not exist|Unknown database|(bad|invalid) connection"
        r"|context deadline exceeded|in recovery mode|terminating connection",
    ),
    (Failure.HISTORY_DIVERGED, r"history|revision .*(not found|missing)|out of order|added before"),
)


_CLASSIFIED = (
    4096  # characters: patterns take longer than the text is long, and Atlas's own last words are short
)


def parse(log: str, *, succeeded: bool, secrets: tuple[str, ...] = ()) -> Report:
    """The report in `log`, the output of the container `migrate`; `succeeded` says how the container ended.

    A success whose log is lost or unreadable stays a success with unknown versions: what ran must not run again
    because of it.
    """
    output = _find(log)
    if output is None:
        return Report() if succeeded else Report(failure=classify(log))
    report = _from_output(output, secrets)
    if succeeded and report.failure is None and not (output.current or output.target or output.applied):
        return Report(failure=Failure.EMPTY_FOLDER)
    if not succeeded and report.failure is None:
        return Report(failure=classify(log))
    return report


def _find(log: str) -> _Output | None:
    for line in reversed(log.splitlines()):
        if line.startswith(MARK):
            try:
                return _Output.model_validate_json(line.removeprefix(MARK))
            except ValidationError:
                return None
    return None


def _from_output(output: _Output, secrets: tuple[str, ...]) -> Report:
    failed = next((file for file in output.applied if file.error), None)
    done = [file for file in output.applied if file is not failed]
    known: dict[str, Any] = {
        "from_version": output.current or None,
        "to_version": (done[-1].version if done else output.current) or None,
        "applied": len(done),
        "pending": output.pending - len(done),
    }
    if failed is None or failed.error is None:
        return Report(failure=classify(output.error) if output.error else None, **known)
    statement, text = failed.error.stmt, failed.error.text
    return Report(
        failure=_class_of_statement_error(text),
        failed_file=failed.name,
        failed_statement=cut(remove_secrets(mask_statement(statement), secrets)),
        # Without the empty line Atlas passes the header over.
        error=cut(
            with_hint(
                remove_secrets(mask_error(text, statement), secrets),
                "`-- atlas:txmode none` and an empty line after it",
            )
        ),
        **known,
    )


def _class_of_statement_error(text: str) -> Failure:
    """When the connection broke in a statement, nobody knows how far the statement came; all else is the SQL's."""
    broken = (
        r"connection refused|connection reset|broken pipe|(bad|invalid) connection|unexpected EOF"
        r"|terminating connection|server shutdown in progress"
    )
    return Failure.INTERRUPTED if re.search(broken, text, re.IGNORECASE) else Failure.SQL


def classify(text: str) -> Failure:
    """The class of output that is no report; a line of a report that was cut may hold SQL, and says nothing."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith(MARK))[-_CLASSIFIED:]
    for failure, pattern in _CLASSES:
        if re.search(pattern, text, re.IGNORECASE):
            return failure
    return Failure.UNKNOWN
