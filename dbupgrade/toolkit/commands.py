"""What the commands do."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dbupgrade.api.models import LintMode
from dbupgrade.api.status import Failure
from dbupgrade.decide.failures import RULES
from dbupgrade.pod.redact import cut, remove_secrets, url_secrets
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps.lint import Told, told
from dbupgrade.toolkit import address, database, environment, folder, indexes, metrics, selection
from dbupgrade.toolkit.arguments import parse
from dbupgrade.toolkit.atlas import Atlas, AtlasError, State, find
from dbupgrade.toolkit.environment import BadEnvironmentError, Environment
from dbupgrade.toolkit.exits import ADVICE, ExitCode, RefusedError, exit_code
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.output import Format, Output

if TYPE_CHECKING:
    from dbupgrade.toolkit.convert import Build, File
    from dbupgrade.toolkit.lint import Finding

MEASURED = ("status", "apply", "baseline")
"""The commands that have metrics: those that work with the database."""
INTERRUPTED, TERMINATED = 130, 143  # as shells have it: 128 and the signal

ROLLBACK = """\
There is no rollback: a migration that was applied has changed data, and no tool knows how to get it back.

Write a new migration that takes the change back, and apply it like any other:
  1. a file with a higher version than all others, for example VERSION_revert_NAME.sql, with the reverse statements
     (CREATE INDEX: DROP INDEX CONCURRENTLY; ADD COLUMN: DROP COLUMN, once no running version uses it);
  2. dbupgrade migrate hash, lint and validate; commit the file and atlas.sum;
  3. dbupgrade migrate apply.
What a statement has deleted comes back from a backup only. The version before of your application goes on working
when each migration suits it (docs/migrations.md): then `helm rollback` needs no change of the database.
"""


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    given = parse(arguments)
    output = Output()
    try:
        output.form = given.format or Format(os.environ.get("MIGRATE_FORMAT") or Format.TEXT)
    except ValueError:
        output.event("failed", "MIGRATE_FORMAT must be text or json", level="error")
        return ExitCode.USAGE
    # A container's first process gets no default: without this, Kubernetes would have to kill it, and Atlas would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        settings = environment.read(os.environ, lambda path: Path(path).read_text())
    except BadEnvironmentError as error:
        return _failed(output, ExitCode.USAGE, str(error))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dbupgrade-") as work:
        commands = Commands(given, settings, output, Path(work))
        code = _run(commands, output)
    if given.command in MEASURED:
        metrics.publish(settings, given.command, code, time.monotonic() - began, commands.measured, output)
    return code


def _run(commands: "Commands", output: Output) -> int:
    try:
        return commands.run()
    except BadEnvironmentError as error:
        return _failed(output, ExitCode.USAGE, str(error))
    except RefusedError as error:
        return _failed(output, ExitCode.LINT, str(error))
    except FolderError as error:
        return _failed(output, ExitCode.FOLDER, str(error))
    except AtlasError as error:
        text, what = str(error), RULES[error.failure].what
        return _failed(
            output,
            exit_code(error.failure),
            what if text == error.failure.value else f"{what}: {text}",
            failure=error.failure.value,
        )
    except KeyboardInterrupt:
        return INTERRUPTED


def _any_concurrent(files: list[tuple[str, str]]) -> bool:
    """Whether it is worth to load the parser."""
    return any("concurrently" in text.lower() for _, text in files)


def _failed(output: Output, code: ExitCode, text: str, **values: str | int | None) -> ExitCode:
    advice = ADVICE.get(code)
    output.event(
        "failed", f"{text}; {advice}" if advice else text, level="error", exitCode=int(code), **values
    )
    return code


class Commands:
    """One call."""

    def __init__(self, given: argparse.Namespace, settings: Environment, output: Output, work: Path) -> None:
        self._given = given
        self._settings = settings
        self._output = output
        self._work = work
        self._folder: Path = (given.dir or settings.directory).absolute()
        self._source = self._folder
        """What is applied: the folder, or a copy in which CONCURRENTLY is safe."""
        self._changed: Mapping[str, Sequence[folder.Named]] = {}
        self.measured = metrics.Measured()
        dev_url = address.normalise(getattr(given, "dev_url", "") or os.environ.get("DEV_DATABASE_URL", ""))
        url = address.with_lock_timeout(settings.url, round(settings.lock_seconds * 1000))
        output.secrets = (*url_secrets(settings.url), *url_secrets(url), *url_secrets(dev_url))
        self._atlas = Atlas(
            settings.atlas, work, url, dev_url=dev_url, revisions_schema=settings.revisions_schema
        )

    def run(self) -> int:
        """Do what the command line says; returns the exit code."""
        code: int = getattr(self, f"_{self._given.command}")()
        return code

    def _prepare(self) -> None:
        find(self._settings.atlas)
        folder.check(self._folder)

    def _hash(self) -> int:
        self._prepare()
        self._atlas.hash(self._folder)
        self._output.event("hashed", f"{self._folder / folder.SUM} is written")
        return ExitCode.OK

    def _validate(self) -> int:
        self._prepare()
        self._atlas.validate(self._folder)
        count = len(folder.sql_files(self._folder))
        what = "atlas.sum fits, and the SQL runs" if self._atlas.dev_url else "atlas.sum fits"
        self._output.event("valid", f"{count} files: {what}", files=count)
        return ExitCode.OK

    def _connect(self) -> None:
        """Wait for the database. Raises AtlasError."""
        reached = asyncio.run(
            database.wait(
                self._settings.database,
                self._settings.wait_seconds,
                lambda reason: self._output.event(
                    "waiting", f"waiting for the database ({reason})", reason=reason
                ),
            )
        )
        self.measured.connection_seconds = reached.seconds
        self._output.event(
            "connected", f"connected in {reached.seconds:.3f} s", seconds=round(reached.seconds, 6)
        )

    def _compare(self) -> State:
        """Folder and database compared, both examined first. Raises AtlasError and ConversionRefusedError."""
        self._prepare()
        self._atlas.validate_offline(self._folder)
        self._connect()
        state = self._safe_state()
        self.measured.pending = len(state.pending)
        for name in state.skipped:
            self._output.event(
                "skipped",
                f"{name} will never be applied: its version is below {state.current}, where the database is; give it a "
                "higher one",
                level="warning",
                file=name,
            )
        if state.missing:
            self._output.event(
                "ahead",
                f"the database has {len(state.missing)} versions that the folder has not, the last is {state.missing[-1]}",
                level="warning",
                versions=state.missing[-10:],
            )
        return state

    def _safe_state(self) -> State:
        """Compare with the folder in which CONCURRENTLY is safe. Raises ConversionRefusedError for a pending file."""
        files = folder.read(self._folder)
        if not address.is_postgresql(self._atlas.url) or not _any_concurrent(files):
            return self._state()
        from dbupgrade.toolkit import convert  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

        there = [convert.File(*file) for file in files]
        changed, refused = convert.convert_each(there)
        self._use(changed)
        state = self._state()
        history = [convert.Revision(row.version, row.total) for row in state.applied]
        if whole := convert.applied_whole(there, changed, history):
            self._use({name: parts for name, parts in changed.items() if name not in whole})
            state = self._state()
        pending = {file.name for file in state.pending}
        for name, reason in refused.items():
            if name in pending:
                raise convert.ConversionRefusedError(reason)
        for name, parts in changed.items():
            if pending & {part.name for part in parts}:
                self._output.event(
                    "converted",
                    f"{name} has CONCURRENTLY: it is applied as {', '.join(part.name for part in parts)}",
                    file=name,
                    parts=[part.name for part in parts],
                )
        return state

    def _use(self, changed: Mapping[str, Sequence[folder.Named]]) -> None:
        """Go on with a copy of the folder that has these files as their parts."""
        self._changed, self._source = changed, self._folder
        if changed:
            self._source = self._work / "migrations"
            folder.copy_with(self._folder, self._source, changed)
            self._atlas.hash(self._source)

    def _state(self) -> State:
        try:
            return self._atlas.status(self._source)
        except AtlasError as error:
            # Tables, and a history without a row: what `apply` and `baseline` make of it is their matter.
            if error.failure is not Failure.NOT_CLEAN or self._given.command == "status":
                raise
            return State.without_history(folder.sql_files(self._source))

    def _status(self) -> int:
        state = self._compare()
        code = ExitCode.PENDING if state.pending else ExitCode.OK
        pending = [file.name for file in state.pending]
        lines = [f"current version: {state.current or 'none'}", f"pending: {len(pending)}"]
        self._output.event(
            "status",
            "\n".join([*lines, *(f"  {name}" for name in pending)]),
            current=state.current or None,
            pending=pending,
            exitCode=int(code),
        )
        return code

    def _apply(self) -> int:
        state = self._compare()
        began = time.monotonic()
        total = len(state.pending)
        self._output.event(
            "started",
            f"{total} files to apply, the database is at {state.current or 'no version'}",
            pending=total,
            current=state.current or None,
        )
        done, version, queue = 0, state.current, deque(state.pending)
        self.measured.applied = 0
        while queue:
            file_began = time.monotonic()
            report = self._apply_file(queue[0].name)
            if report.failure is Failure.NOT_CLEAN and self._settings.baseline:
                report, version = self._apply_baseline(), self._settings.baseline
                queue = deque(file for file in queue if file.version > version)
            if report.failure:
                return self._apply_failed(report)
            if not report.applied:
                break  # somebody else was faster
            version = report.to_version or version
            done += 1
            while queue and queue[0].version <= version:
                queue.popleft()
            self.measured.applied, self.measured.pending = done, len(queue)
            self._output.event(
                "applied",
                f"{version} applied ({done} of {total})",
                version=version,
                number=done,
                of=total,
                seconds=round(time.monotonic() - file_began, 3),
            )
        self._output.event(
            "finished",
            f"done: {done} files applied, the database is at {version or 'no version'}",
            applied=done,
            version=version or None,
            seconds=round(time.monotonic() - began, 3),
        )
        return ExitCode.OK

    def _apply_file(self, name: str) -> Report:
        """Apply the next file, which is `name`; what a failed concurrent build has left goes before."""
        found = self._builds(name)
        lock_seconds = self._settings.lock_seconds
        if not found:
            return self._atlas.apply_next(self._source, lock_seconds=lock_seconds)
        # A concurrent build waits for old transactions, and keeps nobody waiting: to give up would leave it invalid.
        patient = replace(self._atlas, url=self._settings.url)
        asyncio.run(indexes.clear(patient.url, found, lock_seconds, self._output))
        report = patient.apply_next(self._source, lock_seconds=lock_seconds)
        if not report.failure:
            asyncio.run(indexes.check(patient.url, found))
        return report

    def _builds(self, name: str) -> "list[Build]":
        text = (self._source / name).read_bytes().decode()
        if not address.is_postgresql(self._atlas.url) or not _any_concurrent([(name, text)]):
            return []
        from dbupgrade.toolkit import convert  # noqa: PLC0415

        return convert.builds(text)

    def _apply_baseline(self) -> Report:
        """Take a database with tables to be at the baseline, and apply the next file.

        Only now: a baseline given to Atlas at once would leave an empty database without its tables.
        """
        version = self._settings.baseline
        self._output.event(
            "baseline", f"the database has tables: it is taken to be at {version}", version=version
        )
        # What is there has no parts.
        self._use({name: parts for name, parts in self._changed.items() if parts[0].version > version})
        return self._atlas.apply_next(
            self._source, lock_seconds=self._settings.lock_seconds, baseline=version
        )

    def _apply_failed(self, report: Report) -> int:
        failure = report.failure or Failure.UNKNOWN
        code = exit_code(failure, report.error)
        where = (
            f" in {report.failed_file}: {report.error}\n  {report.failed_statement}\n"
            if report.failed_file
            else ""
        )
        return _failed(
            self._output,
            code,
            f"{RULES[failure].what}{where}",
            failure=failure.value,
            file=report.failed_file,
            statement=report.failed_statement,
            error=report.error,
        )

    def _baseline(self) -> int:
        state = self._compare()
        if state.applied:
            return _failed(
                self._output,
                ExitCode.USAGE,
                f"the database has a history already and is at {state.current}: a baseline is for one that has none",
            )
        self._atlas.set_version(self._folder, self._given.version)
        self._output.event(
            "baseline",
            f"everything up to {self._given.version} is recorded as applied",
            version=self._given.version,
        )
        return ExitCode.OK

    def _convert(self) -> int:
        from dbupgrade.toolkit import convert, sql  # noqa: PLC0415

        self._only_postgresql()
        self._prepare()
        self._atlas.validate_offline(self._folder)
        files = [convert.File(*file) for file in folder.read(self._folder)]
        chosen = self._chosen([file.name for file in files])
        try:
            changed = convert.convert(files, chosen, plain=self._given.plain)
        except sql.ParseError as error:
            return _failed(self._output, ExitCode.LINT, str(error))
        for name, parts in changed.items():
            folder.write(self._folder, parts)
            names = [part.name for part in parts]
            self._output.event("converted", f"{name} is now {', '.join(names)}", file=name, parts=names)
        if changed:
            self._atlas.hash(self._folder)
        self._output.event("finished", f"{len(changed)} of {len(chosen)} files changed", changed=len(changed))
        return ExitCode.OK

    def _lint(self) -> int:
        from dbupgrade.toolkit import lint, rules  # noqa: PLC0415

        try:
            looked_at, found = self._look()
        except (BadEnvironmentError, FolderError) as error:
            self._report(Told(failure=Failure.LINT_UNUSABLE, error=cut(str(error))))
            raise
        except AtlasError as error:
            self._report(Told(failure=error.failure))
            raise
        refuse = self._given.policy == LintMode.ERROR
        self._report(told(len(looked_at), [lint.as_status(finding) for finding in found], refuse=refuse))
        errors = sum(finding.level is rules.Level.ERROR for finding in found)
        code = ExitCode.LINT if errors and refuse else ExitCode.OK
        if self._output.form is Format.SARIF:
            self._output.raw(json.dumps(lint.as_sarif(found, self._prefix()), indent=2))
            return code
        lines = [lint.as_text(finding) for finding in found]
        self._output.event(
            "lint",
            "\n".join([*lines, f"{len(looked_at)} files: {errors} errors, {len(found) - errors} warnings"]),
            exitCode=int(code),
            **lint.as_json(found, [file.name for file in looked_at]),
        )
        return code

    def _only_postgresql(self) -> None:
        """The parser is PostgreSQL's: to it, another dialect's file would be broken, or fine. Raises BadEnvironmentError."""
        if self._settings.url and not address.is_postgresql(self._settings.url):
            raise BadEnvironmentError(
                f"{self._given.command} reads PostgreSQL's SQL only, and DATABASE_URL leads to another database"
            )

    def _look(self) -> "tuple[list[File], list[Finding]]":
        """The files that were chosen, and what is found in them."""
        from dbupgrade.toolkit import convert, lint, lint_settings, squawk  # noqa: PLC0415

        self._only_postgresql()
        folder.check(self._folder)
        settings = lint_settings.find(self._given.config, [Path.cwd(), self._folder, self._folder.parent])
        for name in settings.unread:
            self._output.event("not_read", name, level="warning")
        files = [convert.File(*file) for file in folder.read(self._folder)]
        names, state, empty = [file.name for file in files], State(), False
        if self._given.pending:
            state, empty = self._pending()
            chosen = {file.name for file in state.pending}
        else:
            chosen = self._chosen(names, settings.latest, settings.git_base)
        looked_at = [file for file in files if file.name in chosen]
        texts = lint.texts(looked_at)
        hits = squawk.look(texts, self._work)
        skipped = lint.skipped(state.skipped, state.current)
        return looked_at, [*skipped, *lint.findings(looked_at, texts, hits, settings, empty=empty)]

    def _pending(self) -> tuple[State, bool]:
        """The database, with the files that `apply` would apply; and whether there is nothing yet where they go.

        Raises AtlasError, and BadEnvironmentError without a database.
        """
        if not self._settings.url:
            raise BadEnvironmentError(self._settings.url_problem)
        self._prepare()
        self._atlas.validate_offline(self._folder)
        state = self._state()
        if state.applied:
            return state, False
        if baseline := self._settings.baseline:
            new = [file for file in state.pending if file.version > baseline]
            return state.model_copy(update={"pending": new}), False
        if address.has_schema(self._atlas.url):
            return state, True
        self._output.event(
            "no_history",
            "the database has no history: it is empty, so that nothing in it can break, or nothing is applied to it",
        )
        return State(), True

    def _report(self, said: Told) -> None:
        """Leave the report where the operator reads it."""
        if self._given.report:
            self._given.report.write_text(remove_secrets(said.text, self._output.secrets))

    def _prefix(self) -> str:
        """The folder as code review knows it."""
        here = Path.cwd()
        within = self._folder.is_relative_to(here) and self._folder != here
        return f"{self._folder.relative_to(here).as_posix()}/" if within else ""

    def _chosen(self, names: list[str], latest: int | None = None, base: str | None = None) -> set[str]:
        """The files that a command looks at; `latest` and `base` count when the command line says nothing."""
        given = self._given
        if given.all:
            return set(names)
        if count := given.latest or (None if given.git_base else latest):
            return set(names[-count:])
        new = selection.new_files(self._folder, given.git_base or base)
        if new is None:
            self._output.event(
                "no_git", "the folder is in no git repository: all files count as new", files=len(names)
            )
            return set(names)
        return new & set(names)

    def _rollback(self) -> int:
        print(ROLLBACK, file=sys.stderr, end="")  # noqa: T201 - the whole answer is for people
        return ExitCode.USAGE
