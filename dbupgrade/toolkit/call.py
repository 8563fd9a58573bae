"""One call of the command line: what was asked for, and where it works."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.findings import PreflightFinding
from dbupgrade.pod.redact import url_secrets
from dbupgrade.toolkit import address, call_metrics, folder
from dbupgrade.toolkit.bounds import Bounds
from dbupgrade.toolkit.environment import BadEnvironmentError, Environment
from dbupgrade.toolkit.exits import ADVICE
from dbupgrade.toolkit.folder import misread
from dbupgrade.toolkit.history import changes
from dbupgrade.toolkit.history.atlas import Atlas, find
from dbupgrade.toolkit.output import Output


class Call:
    """One call."""

    def __init__(self, given: argparse.Namespace, settings: Environment, output: Output, work: Path) -> None:
        self.given = given
        self.settings = settings
        self.output = output
        self.work = work
        self.folder: Path = (given.dir or settings.directory).absolute()
        self.source = self.folder
        """What is applied: the folder, or a copy in which CONCURRENTLY is safe."""
        self.changed: Mapping[str, Sequence[folder.Named]] = {}
        """The files of the folder that are applied as other files."""
        self.measured = call_metrics.Measured()
        dev_url = address.normalise(getattr(given, "dev_url", "") or os.environ.get("DEV_DATABASE_URL", ""))
        self.bounds = Bounds()
        """The limits of the statements of files; known when the database has been asked."""
        self.is_pooled = False
        """Whether a connection pooler is between us and the database."""
        self.told: list[PreflightFinding] = []
        """What was found wrong with folder and history, and does not stop the run."""
        self.deadline = time.monotonic() + settings.seconds_left(datetime.now(UTC))
        output.secrets = (*url_secrets(settings.url), *url_secrets(dev_url))
        self.atlas = Atlas(
            settings.atlas, work, settings.url, dev_url=dev_url, revisions_schema=settings.revisions_schema
        )

    def prepare(self) -> None:
        """Find Atlas. Raises AtlasError without it, and FolderError without migrations."""
        self.atlas = replace(self.atlas, binary=find(self.settings.atlas))
        folder.check(self.folder)

    def use(self, changed: Mapping[str, Sequence[folder.Named]]) -> None:
        """Go on with a copy of the folder that has these files as their parts."""
        self.changed, self.source = changed, self.folder
        if changed:
            self.source = self.work / "migrations"
            folder.copy_with(self.folder, self.source, changed)
            files = folder.contents(self.source)[0].files
            folder.write_sums(self.source, changes.sums(files))
            if self.atlas.places:
                self.atlas = replace(self.atlas, places=misread.places(files))

    def warn(self, event: str, check: str, text: str, **values: str | Sequence[str]) -> None:
        """Say what is found wrong and does not stop the run; a report has it among the findings of the preflight."""
        self.output.event(event, text, level="warning", **values)
        self.told.append(PreflightFinding(check=check, severity="warning", message=text))

    def only_postgresql(self) -> None:
        """The parser is PostgreSQL's: to it, another dialect's file would be broken, or fine. Raises BadEnvironmentError."""
        if self.settings.url and not address.is_postgresql(self.settings.url):
            raise BadEnvironmentError(
                f"{self.given.command} supports PostgreSQL only, and DATABASE_URL is that of another kind of database"
            )


def failed(output: Output, code: ExitCode, text: str, **values: str | int | None) -> ExitCode:
    """Say why the call ends, with what to do about it."""
    advice = ADVICE.get(code)
    output.event("failed", _advised(text, advice), level="error", exitCode=int(code), **values)
    return code


def _advised(text: str, advice: str | None) -> str:
    if not advice:
        return text
    # After a statement, which ends with its line, the advice has a line of its own.
    return text + advice if text.endswith("\n") else f"{text}; {advice}"


def any_concurrent(files: Sequence[tuple[str, str]]) -> bool:
    """Whether it is worth loading the parser."""
    return any("concurrently" in text.lower() for _, text in files)
