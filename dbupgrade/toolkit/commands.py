"""What the commands do."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from dbupgrade.api.status import Failure
from dbupgrade.decide.failures import RULES
from dbupgrade.decide.redact import url_secrets
from dbupgrade.decide.report import Report
from dbupgrade.toolkit import address, database, environment, folder
from dbupgrade.toolkit.arguments import parse
from dbupgrade.toolkit.atlas import Atlas, AtlasError, State, find
from dbupgrade.toolkit.environment import BadEnvironmentError, Environment
from dbupgrade.toolkit.exits import ADVICE, ExitCode, exit_code
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.output import Format, Output

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
    try:
        settings = environment.read(os.environ, lambda path: Path(path).read_text())
        with tempfile.TemporaryDirectory(prefix="dbupgrade-") as work:
            return Commands(given, settings, output, Path(work)).run()
    except BadEnvironmentError as error:
        return _failed(output, ExitCode.USAGE, str(error))
    except FolderError as error:
        return _failed(output, ExitCode.FOLDER, str(error))
    except AtlasError as error:
        text = str(error)
        what = RULES[error.failure].what
        return _failed(
            output,
            exit_code(error.failure),
            what if text == error.failure.value else f"{what}: {text}",
            failure=error.failure.value,
        )
    except KeyboardInterrupt:
        return 130


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
        self._output.event(
            "connected", f"connected in {reached.seconds:.3f} s", seconds=round(reached.seconds, 6)
        )

    def _compare(self) -> State:
        """Folder and database compared, both examined first. Raises AtlasError."""
        self._prepare()
        self._atlas.validate_offline(self._folder)
        self._connect()
        state = self._state()
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

    def _state(self) -> State:
        try:
            return self._atlas.status(self._folder)
        except AtlasError as error:
            # Tables, and a history without a row: what `apply` and `baseline` make of it is their matter.
            if error.failure is not Failure.NOT_CLEAN or self._given.command == "status":
                raise
            return State.without_history(folder.sql_files(self._folder))

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
        baseline, done, version = "", 0, state.current
        while True:
            file_began = time.monotonic()
            report = self._atlas.apply_next(
                self._folder, lock_seconds=self._settings.lock_seconds, baseline=baseline
            )
            if report.failure is Failure.NOT_CLEAN and self._settings.baseline and not baseline:
                # Only now: a baseline given to Atlas at once would leave an empty database without its tables.
                baseline = self._settings.baseline
                self._output.event(
                    "baseline", f"the database has tables: it is taken to be at {baseline}", version=baseline
                )
                continue
            baseline = ""
            if report.failure:
                return self._apply_failed(report)
            if not report.applied:
                break
            done, version = done + report.applied, report.to_version or version
            self._output.event(
                "applied",
                f"{version} applied ({done} of {max(total, done)})",
                version=version,
                number=done,
                of=max(total, done),
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

    def _rollback(self) -> int:
        print(ROLLBACK, file=sys.stderr, end="")  # noqa: T201 - the whole answer is for people
        return ExitCode.USAGE
