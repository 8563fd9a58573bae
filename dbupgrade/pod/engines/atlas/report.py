"""From what Atlas printed to what the operator may say about it.

Atlas prints the report of `TEMPLATE` when a run got as far as planning, and `Error: …` lines otherwise. The first is
parsed, the second classified: its text may hold the URL, so of what no class explains only the last line is shown, masked.
"""

import re
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from dbupgrade.api.failure import Failure
from dbupgrade.pod.redact import cut, mask_error, mask_statement, remove_secrets
from dbupgrade.pod.report import MARK, Report, classify, with_hint

TEMPLATE = (
    MARK
    + '{"current":{{ json (printf "%.300s" .Current) }},"target":{{ json (printf "%.300s" .Target) }},"pending":{{ len .Pending }},"applied":['
    + '{{ range $i, $f := .Applied }}{{ if $i }},{{ end }}{"name":{{ json $f.Name }},"version":{{ json $f.Version }},'
    + '"error":{{ with $f.Error }}{"stmt":{{ json (printf "%.4000s" .Stmt) }},"text":{{ json (printf "%.4000s" .Text) }},'
    + '"place":{{ block "place" . }}null{{ end }}}{{ else }}null{{ end }}}'
    + '{{ end }}],"error":{{ json (printf "%.4000s" .Error) }}}{{ "\\n" }}'
)
"""The template for `atlas migrate apply --format`: no URL, and no SQL but the statement that failed.

Our engine puts what it knows of the error into the block; Atlas's own leaves it as it is.
"""


Text = Annotated[str, BeforeValidator(lambda value: value or "")]


class _Place(BaseModel):
    sqlstate: Annotated[str, Field(pattern=r"^([0-9A-Z]{5})?$")] = ""
    line: int = 0
    raised: bool | None = None


class _FileError(BaseModel):
    stmt: Text = ""
    text: Text = ""
    place: _Place | None = None

    def sqlstate(self, *, ends_with_state: bool) -> str | None:
        """As the engine or MySQL's driver gives it."""
        if self.place and self.place.sqlstate:
            return self.place.sqlstate
        found = _MYSQL_STATE.match(self.text) or (_STATE.search(self.text) if ends_with_state else None)
        return found[1] if found else None


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
_STATE = re.compile(r"\(([0-9A-Z]{5})\)\Z")
_MYSQL_STATE = re.compile(r"Error \d+ \(([0-9A-Z]{5})\): ")
# A file whose statements cannot be told from each other.
_UNREADABLE = re.compile(r'scanning statements from "([^"]*)": (.*)', re.DOTALL)


# Our engine's own words, which repeat nothing of the URL but names of parameters.
_ABOUT_THE_URL = re.compile(
    r"the server does not support TLS: [^\n]*|the URL of the database has parameters [^\n]*"
)
# Of which the class alone does not say enough.
_TOLD = frozenset({Failure.UNKNOWN, Failure.HISTORY_DIVERGED, Failure.PARTLY_APPLIED, Failure.UNUSABLE_FILE})


def parse(
    log: str, *, succeeded: bool, secrets: tuple[str, ...] = (), ends_with_state: bool = False
) -> Report:
    """The report in `log`, the output of the container `migrate`; `succeeded` says how the container ended.

    With `ends_with_state`, the engine puts the SQLSTATE behind each error, as Atlas 1.x does; with any other, SQL may have put it there.

    A success whose log is lost or unreadable stays a success with unknown versions: what ran must not run again
    because of it.
    """
    output = _find(log)
    if output is None:
        return Report() if succeeded else _unreported(log, secrets)
    report = _from_output(output, secrets, ends_with_state=ends_with_state)
    if succeeded and report.failure is None and not (output.current or output.target or output.applied):
        return Report(failure=Failure.EMPTY_FOLDER)
    if not succeeded and report.failure is None:
        return _unreported(log, secrets)
    return report


def _unreported(log: str, secrets: tuple[str, ...]) -> Report:
    """What is known of a run that failed before its report."""
    failure = classify(log)
    if failure is Failure.CONNECTION_SETTINGS and (own := _ABOUT_THE_URL.search(log)):
        return Report(failure=failure, error=_masked(own[0], secrets))
    return Report(failure=failure, error=words(log, secrets) if failure in _TOLD else None)


def words(log: str, secrets: tuple[str, ...] = ()) -> str | None:
    """The engine's own last words, masked."""
    last = next((line for line in reversed(log.split("\n")) if line.startswith(_ERROR)), "")
    return _masked(last.removeprefix(_ERROR), secrets) or None


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    return cut(remove_secrets(mask_error(text, ""), secrets))


def _find(log: str) -> _Output | None:
    for line in reversed(log.split("\n")):
        if line.startswith(MARK):
            try:
                return _Output.model_validate_json(line.removeprefix(MARK))
            except ValidationError:
                return None
    return None


def _from_output(output: _Output, secrets: tuple[str, ...], *, ends_with_state: bool) -> Report:
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
    if not statement:
        return replace(_without_statement(text, known, secrets), failed_file=failed.name)
    sqlstate = failed.error.sqlstate(ends_with_state=ends_with_state)
    return Report(
        failure=_class_of_statement_error(text, sqlstate),
        failed_file=failed.name,
        failed_statement=cut(remove_secrets(mask_statement(statement), secrets)),
        # Without the empty line Atlas passes the header over.
        error=cut(
            with_hint(
                remove_secrets(mask_error(text, statement), secrets),
                "`-- atlas:txmode none` and an empty line after it",
            )
        ),
        line=(failed.error.place.line if failed.error.place else 0) or None,
        sqlstate=sqlstate,
        raised=(failed.error.place.raised if failed.error.place else None) or None,
        **known,
    )


def _without_statement(text: str, known: dict[str, Any], secrets: tuple[str, ...]) -> Report:
    """A failure of the run that was not caused by a statement."""
    if unreadable := _UNREADABLE.search(text):
        error = _masked(unreadable[2], secrets)
        return Report(failure=Failure.SQL, failed_file=unreadable[1], error=error, **known)
    failure = classify(text)
    return Report(failure=failure, error=_masked(text, secrets) if failure in _TOLD else None, **known)


_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "08S01"})
"""SQLSTATEs with which a server ends a session, or shuts down."""
_BROKEN = re.compile(
    r"connection refused|connection reset|broken pipe|(bad|invalid) connection|unexpected EOF|connection timed out"
    r"|no route to host|terminating connection|server shutdown in progress",
    re.IGNORECASE,
)


def _class_of_statement_error(text: str, sqlstate: str | None) -> Failure:
    """If the connection broke during a statement, the outcome of the statement is unknown; everything else is an error of the SQL.

    A server that gives an SQLSTATE has answered, whatever its words are.
    """
    if text.startswith("interrupted: ") or "Connection was killed" in text[:64]:
        return Failure.INTERRUPTED
    lost = sqlstate in _LOST if sqlstate else _BROKEN.search(text)
    return Failure.INTERRUPTED if lost else Failure.SQL
