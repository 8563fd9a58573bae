"""`lint`: say what in new files breaks production."""

import json
from dataclasses import replace
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.status import Failure
from dbupgrade.pod.redact import cut, remove_secrets
from dbupgrade.pod.steps.lint import Told, told
from dbupgrade.toolkit import address, folder, selection
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history import compare
from dbupgrade.toolkit.history.atlas import AtlasError, State
from dbupgrade.toolkit.lint import findings, formats, rules, settings, squawk
from dbupgrade.toolkit.lint.findings import Finding
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.sql.concurrently import File


def run(call: Call) -> int:
    """Look at the chosen files. Raises BadEnvironmentError, FolderError and AtlasError."""
    try:
        looked_at, found = _look(call)
    except (BadEnvironmentError, FolderError) as error:
        _report(call, Told(failure=Failure.LINT_UNUSABLE, error=cut(str(error))))
        raise
    except AtlasError as error:
        _report(call, Told(failure=error.failure))
        raise
    refuse = call.given.policy == LintMode.ERROR
    _report(call, told(len(looked_at), [formats.as_status(finding) for finding in found], refuse=refuse))
    errors = sum(finding.level is rules.Level.ERROR for finding in found)
    code = ExitCode.LINT if errors and refuse else ExitCode.OK
    if call.output.form is Format.SARIF:
        call.output.raw(json.dumps(formats.as_sarif(found, _prefix(call)), indent=2))
        return code
    lines = [formats.as_text(finding) for finding in found]
    call.output.event(
        "lint",
        "\n".join([*lines, f"{len(looked_at)} files: {errors} errors, {len(found) - errors} warnings"]),
        exitCode=int(code),
        **formats.as_json(found, [file.name for file in looked_at]),
    )
    return code


def _look(call: Call) -> tuple[list[File], list[Finding]]:
    """The files that were chosen, and what is found in them."""
    call.only_postgresql()
    folder.check(call.folder)
    asked = settings.find(call.given.config, [Path.cwd(), call.folder, call.folder.parent])
    for name in asked.unread:
        call.output.event("not_read", name, level="warning")
    files = [File(*file) for file in folder.read(call.folder)]
    names, state, empty = [file.name for file in files], State(), False
    if call.given.pending:
        state, empty = _pending(call)
        chosen = {file.name for file in state.pending}
    else:
        chosen = selection.chosen(call, names, asked.latest, asked.git_base)
    looked_at = [file for file in files if file.name in chosen]
    texts = findings.texts(looked_at)
    hits = squawk.look(texts, call.work)
    skipped = findings.skipped(state.skipped, state.current)
    return looked_at, [*skipped, *findings.findings(looked_at, texts, hits, asked, empty=empty)]


def _pending(call: Call) -> tuple[State, bool]:
    """The database, with the files that `apply` would apply; and whether there is nothing yet where they go.

    Raises AtlasError, and BadEnvironmentError without a database.
    """
    if not call.settings.url:
        raise BadEnvironmentError(call.settings.url_problem)
    call.prepare()
    call.atlas.validate_offline(call.folder)
    state = compare.state(call)
    if state.applied:
        return state, False
    if baseline := call.settings.baseline:
        new = [file for file in state.pending if file.version > baseline]
        return replace(state, pending=new), False
    if address.has_schema(call.atlas.url):
        return state, True
    call.output.event(
        "no_history",
        "the database has no history: it is empty, so that nothing in it can break, or nothing is applied to it",
    )
    return State(), True


def _report(call: Call, said: Told) -> None:
    """Leave the report where the operator reads it."""
    if call.given.report:
        call.given.report.write_text(remove_secrets(said.text, call.output.secrets))


def _prefix(call: Call) -> str:
    """The folder as code review knows it."""
    here = Path.cwd()
    within = call.folder.is_relative_to(here) and call.folder != here
    return f"{call.folder.relative_to(here).as_posix()}/" if within else ""
