"""`lint`: say what in new files breaks production."""

import json
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.migrations import Engine, ExecOrder
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.toolkit import address, folder, selection
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines.psql import inspection as psql
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder.problem import Files, Problem
from dbupgrade.toolkit.history import compare
from dbupgrade.toolkit.inspection import FilesRefusedError, look
from dbupgrade.toolkit.lint import formats, pending
from dbupgrade.toolkit.lint.findings import Known, skipped
from dbupgrade.toolkit.lint.rule import Finding, Level
from dbupgrade.toolkit.lint.world import DEFAULT_PATH, Database
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.sql.concurrently import File


def run(call: Call) -> int:
    """Check the chosen files. Raises BadEnvironmentError, FolderError and AtlasError."""
    if call.given.rules:
        return _rules(call)
    folder.check(call.folder)
    names, found = _pending(call) if call.given.pending else _chosen(call)
    refuse = call.given.policy == LintMode.ERROR
    errors = any(finding.level is Level.ERROR for finding in found)
    code = ExitCode.LINT if errors and refuse else ExitCode.OK
    looked_at = [path.name for path in folder.sql_files(call.folder) if path.name in names]
    _print(call, looked_at, found, code)
    return code


def _rules(call: Call) -> int:
    if call.output.form is Format.MARKDOWN:
        call.output.raw(formats.rules_as_table().rstrip())
    else:
        call.output.event("rules", formats.rules_as_text(), rules=formats.rules_as_json())
    return ExitCode.OK


def _print(call: Call, looked_at: list[str], found: list[Finding], code: ExitCode) -> None:
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
            **formats.as_json(found, looked_at),
        )


def _pending(call: Call) -> tuple[set[str], list[Finding]]:
    """Names of the files that `apply` would apply, and what is found in them."""
    if call.settings.engine is Engine.PSQL:
        names = psql.to_lint(call)
        return names, pending.survey(call, names, names).findings
    call.only_postgresql()
    inspected = look(call)
    if not call.settings.url:
        raise BadEnvironmentError(call.settings.url_problem)
    call.prepare()
    call.atlas.validate_offline(call.folder)
    state = compare.state(call)
    everything, names = pending.names(call, state)
    found = pending.survey(call, everything, names).findings
    _refuse(*inspected, names)
    late = state.skipped if call.settings.exec_order is ExecOrder.LINEAR else []
    return names, [*skipped(late, state.current), *found]


def _refuse(files: Files, problems: list[Problem], chosen: set[str]) -> None:
    """Raise FilesRefusedError for faults of the chosen files, and of what is not a file that can be chosen."""
    others = set(files.names) - chosen
    if found := [problem for problem in problems if problem.file not in others]:
        raise FilesRefusedError(found)


def _chosen(call: Call) -> tuple[set[str], list[Finding]]:
    """Names of the files that the command line or git chooses, and what is found in them; no database is asked."""
    asked = pending.asked_for(call)
    inspected = look(call, call.settings.engine)
    there = inspected[0]
    files = [File(*file) for file in there.texts]
    selected = selection.chosen(call, list(there.names), asked.latest, asked.git_base)
    _refuse(*inspected, selected.names)
    if _dialect(call) != "postgresql":
        from dbupgrade.toolkit.lint import mysql  # noqa: PLC0415 - a parser of its own

        return selected.names, mysql.findings(files, selected.names, asked)
    schema = address.schema(call.settings.url)
    known = Known(
        asked,
        Database((schema,) if schema else DEFAULT_PATH),
        asked=False,
        together=selected.new,
        has_timeout=pending.has_timeout(call),
    )
    return selected.names, pending.of_postgresql(call, files, selected.names, known)


def _dialect(call: Call) -> str:
    """Whose SQL the files are."""
    scheme = (call.settings.url or call.atlas.dev_url).partition("://")[0]
    return call.given.dialect or (scheme if scheme in ("mysql", "mariadb") else "postgresql")


def _prefix(call: Call) -> str:
    """The folder as code review knows it."""
    here = Path.cwd()
    within = call.folder.is_relative_to(here) and call.folder != here
    return f"{call.folder.relative_to(here).as_posix()}/" if within else ""
