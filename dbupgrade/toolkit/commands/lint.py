"""`lint`: say what in new files breaks production."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import asyncpg

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.migrations import ExecOrder
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.status import Failure
from dbupgrade.pod.redact import cut, mask_statement, remove_secrets
from dbupgrade.pod.steps.lint import Told, told
from dbupgrade.toolkit import address, folder, selection
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.folder.problem import Files, Problem
from dbupgrade.toolkit.history import compare
from dbupgrade.toolkit.history.atlas import AtlasError, State
from dbupgrade.toolkit.history.database import NOT_YET
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.lint import facts, formats, settings
from dbupgrade.toolkit.lint.findings import Known, findings, skipped
from dbupgrade.toolkit.lint.rule import Finding, Level
from dbupgrade.toolkit.lint.world import DEFAULT_PATH, Database
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.selection import Selection
from dbupgrade.toolkit.sql.concurrently import File


def run(call: Call) -> int:
    """Look at the chosen files. Raises BadEnvironmentError, FolderError and AtlasError."""
    if call.given.rules:
        return _rules(call)
    try:
        looked_at, found = _look(call)
    except (BadEnvironmentError, FolderError) as error:
        _report(call, Told(failure=Failure.LINT_UNUSABLE, error=cut(str(error))))
        raise
    except AtlasError as error:
        _report(call, Told(failure=error.failure, error=cut(str(error)) if error.file else None))
        raise
    refuse = call.given.policy == LintMode.ERROR
    told_of = [formats.as_status(finding) for finding in found if finding.level is not Level.INFO]
    _report(call, told(len(looked_at), told_of, refuse=refuse))
    if call.given.report:  # the log of a pod is read by more people than the migrations are
        found = [replace(finding, instead=mask_statement(finding.instead)) for finding in found]
    errors = any(finding.level is Level.ERROR for finding in found)
    code = ExitCode.LINT if errors and refuse else ExitCode.OK
    _print(call, looked_at, found, code)
    return code


def _rules(call: Call) -> int:
    if call.output.form is Format.MARKDOWN:
        call.output.raw(formats.rules_as_table().rstrip())
    else:
        call.output.event("rules", formats.rules_as_text(), rules=formats.rules_as_json())
    return ExitCode.OK


def _print(call: Call, looked_at: list[File], found: list[Finding], code: ExitCode) -> None:
    if call.output.form is Format.SARIF:
        call.output.raw(json.dumps(formats.as_sarif(found, _prefix(call)), indent=2))
    elif call.output.form is Format.MARKDOWN:
        call.output.raw(formats.as_markdown(found, len(looked_at)).rstrip())
    else:
        lines = [formats.as_text(finding) for finding in found]
        files = f"{len(looked_at)} file{'' if len(looked_at) == 1 else 's'}"
        call.output.event(
            "lint",
            "\n".join([*lines, f"{files}: {formats.counts(found)}"]),
            exitCode=int(code),
            **formats.as_json(found, [file.name for file in looked_at]),
        )


def _look(call: Call) -> tuple[list[File], list[Finding]]:
    """The files that were chosen, and what is found in them."""
    if call.given.pending:
        call.only_postgresql()
    folder.check(call.folder)
    asked = settings.find(call.given.config, [Path.cwd(), call.folder, call.folder.parent])
    for name in asked.unread:
        call.output.event("not_read", name, level="warning")
    inspected = look(call)
    there, state = inspected[0], State()
    files, names = [File(*file) for file in there.texts], list(there.names)
    if call.given.pending:
        state = _pending(call)
        selected = Selection({file.name for file in state.pending}, new=True)
    else:
        selected = selection.chosen(call, names, asked.latest, asked.git_base)
    looked_at = [file for file in files if file.name in selected.names]
    _refuse(*inspected, selected.names)
    if _dialect(call) != "postgresql":
        from dbupgrade.toolkit.lint import mysql  # noqa: PLC0415 - a parser of its own

        return looked_at, mysql.findings(files, selected.names, asked)
    chosen = [file.text for file in files if file.name in selected.names]
    known = Known(
        asked,
        _database(call, chosen),
        asked=call.given.pending,
        together=selected.new,
        has_timeout=call.settings.lock_seconds > 0 or "lock_timeout" in call.settings.url,
    )
    found = findings(files, selected.names, known)
    late = state.skipped if call.settings.exec_order is ExecOrder.LINEAR else []
    return looked_at, [*skipped(late, state.current), *found]


def _refuse(files: Files, problems: list[Problem], chosen: set[str]) -> None:
    """Raise FilesRefusedError for faults of the chosen files, and of what is not a file that can be chosen."""
    others = set(files.names) - chosen
    if found := [problem for problem in problems if problem.file not in others]:
        raise FilesRefusedError(found)


def _dialect(call: Call) -> str:
    """Whose SQL the files are."""
    scheme = (call.settings.url or call.atlas.dev_url).partition("://")[0]
    return call.given.dialect or (scheme if scheme in ("mysql", "mariadb") else "postgresql")


def _database(call: Call, texts: list[str]) -> Database:
    """What the database says of these files, where it is asked. Raises AtlasError."""
    if call.given.pending and texts:
        try:
            return asyncio.run(facts.ask(call.settings.url, texts))
        except (*NOT_YET, asyncpg.PostgresError) as error:
            raise AtlasError(Failure.DATABASE_UNREACHABLE, type(error).__name__) from None
    schema = address.schema(call.settings.url)
    return Database((schema,) if schema else DEFAULT_PATH)


def _pending(call: Call) -> State:
    """The database, with the files that `apply` would apply.

    Raises AtlasError, and BadEnvironmentError without a database.
    """
    if not call.settings.url:
        raise BadEnvironmentError(call.settings.url_problem)
    call.prepare()
    call.atlas.validate_offline(call.folder)
    state = compare.state(call)
    if state.applied:
        return state
    if baseline := call.settings.baseline:
        new = [file for file in state.pending if file.version > baseline]
        return replace(state, pending=new)
    if address.schema(call.atlas.url):
        return state
    call.output.event(
        "no_history",
        "the database has no history: it is empty, so that nothing in it can break, or nothing is applied to it",
    )
    return State()


def _report(call: Call, said: Told) -> None:
    """Leave the report where the operator reads it."""
    if call.given.report:
        call.given.report.write_text(remove_secrets(said.text, call.output.secrets))


def _prefix(call: Call) -> str:
    """The folder as code review knows it."""
    here = Path.cwd()
    within = call.folder.is_relative_to(here) and call.folder != here
    return f"{call.folder.relative_to(here).as_posix()}/" if within else ""
