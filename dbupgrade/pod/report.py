"""From what Atlas printed to what the operator may say about it.

Atlas prints the report of `TEMPLATE` when a run got as far as planning, and `Error: …` lines otherwise. The first is
parsed, the second classified: its text may hold the URL, so of what no class explains only the last line is shown, masked.
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


_ERROR = "Error: "
# A file whose statements cannot be told from each other.
_UNREADABLE = re.compile(r'scanning statements from "([^"]*)": (.*)', re.DOTALL)
_NEEDS_NO_TRANSACTION = "cannot run inside a transaction block"


def with_hint(error: str, header: str) -> str:
    """`error`, and how a file opts out of its transaction if that is what the statement wants."""
    return f"{error} (let the file begin with {header})" if _NEEDS_NO_TRANSACTION in error else error


_CLASSES: tuple[tuple[Failure, str], ...] = (
    (Failure.CHECKSUM, r"checksum (mismatch|file not found|file format invalid)"),
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


# The first characters of an SQLSTATE of a server that lets nobody in.
_STATES: tuple[tuple[Failure, tuple[str, ...]], ...] = (
    (Failure.AUTHENTICATION, ("28", "42501")),
    (Failure.DATABASE_UNREACHABLE, ("08", "3D000", "53300", "57P")),
)
_STATE = re.compile(r"\(([0-9A-Z]{5})\)\s*\Z")

# Of which the class alone does not say enough.
_TOLD = frozenset({Failure.UNKNOWN, Failure.HISTORY_DIVERGED})
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
        return Report() if succeeded else _unreported(log, secrets)
    report = _from_output(output, secrets)
    if succeeded and report.failure is None and not (output.current or output.target or output.applied):
        return Report(failure=Failure.EMPTY_FOLDER)
    if not succeeded and report.failure is None:
        return _unreported(log, secrets)
    return report


def _unreported(log: str, secrets: tuple[str, ...]) -> Report:
    """What is known of a run that failed before its report."""
    failure = classify(log)
    return Report(failure=failure, error=words(log, secrets) if failure in _TOLD else None)


def words(log: str, secrets: tuple[str, ...] = ()) -> str | None:
    """The engine's own last words, masked."""
    last = next((line for line in reversed(log.splitlines()) if line.startswith(_ERROR)), "")
    return _masked(last.removeprefix(_ERROR), secrets) or None


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    return cut(remove_secrets(mask_error(text, ""), secrets))


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
        return _without_statement(output.error, known, secrets) if output.error else Report(**known)
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


def _without_statement(text: str, known: dict[str, Any], secrets: tuple[str, ...]) -> Report:
    """A failure of the run that is no statement's."""
    if unreadable := _UNREADABLE.search(text):
        error = _masked(unreadable[2], secrets)
        return Report(failure=Failure.SQL, failed_file=unreadable[1], error=error, **known)
    failure = classify(text)
    return Report(failure=failure, error=_masked(text, secrets) if failure in _TOLD else None, **known)


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
    if (state := _STATE.search(text)) and (failure := _of_state(state[1])):
        return failure
    for failure, pattern in _CLASSES:
        if re.search(pattern, text, re.IGNORECASE):
            return failure
    return Failure.UNKNOWN


def _of_state(state: str) -> Failure | None:
    return next((failure for failure, begins in _STATES if state.startswith(begins)), None)
