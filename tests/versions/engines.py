"""The engines as the matrix runs them: each as its container is run, with its files in a folder and the database in a URL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.pod.engines.atlas import report as of_atlas
from dbupgrade.toolkit.exits import exit_code
from e2e.cluster import tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbupgrade.pod.report import Report

ROOT = Path(__file__).parents[2]
LOCK_SECONDS = 2
CONFIGURATION = 'env "run" {\n  url = getenv("DATABASE_URL")\n}\n'
ATLAS_TXMODE_NONE = "-- atlas:txmode none\n\n"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, in the terms that all engines share."""

    code: ExitCode
    applied: int | None
    file: str | None
    output: str


class Engine(Protocol):
    """One way to apply a folder."""

    @property
    def txmode_none(self) -> str:
        """The first line of a file that is to run without a transaction."""

    def hash(self, folder: Path) -> None:
        """Make the folder whole after its files were changed."""

    def command(self, folder: Path, baseline: str) -> list[str]:
        """What to run; the URL is in the environment."""

    def environment(self, folder: Path, baseline: str) -> Mapping[str, str]:
        """Variables that this engine takes beside the URL."""

    def outcome(self, code: int, output: str) -> Outcome:
        """Read what it printed."""


@dataclass(frozen=True)
class Atlas:
    """Atlas's command line, ours or Atlas's own, called and read as the operator does."""

    tool: str

    txmode_none = ATLAS_TXMODE_NONE

    @property
    def program(self) -> str:
        return str(tools.binary(self.tool))

    def hash(self, folder: Path) -> None:
        subprocess.run([self.program, "migrate", "hash", "--dir", f"file://{folder}"], check=True)

    def command(self, folder: Path, baseline: str) -> list[str]:
        config = folder.parent / "atlas.hcl"
        config.write_text(CONFIGURATION)
        words = [self.program, "migrate", "apply", "--config", f"file://{config}", "--env", "run"]
        words += [
            "--dir",
            f"file://{folder}",
            "--lock-timeout",
            f"{LOCK_SECONDS}s",
            "--format",
            of_atlas.TEMPLATE,
        ]
        return [*words, "--baseline", baseline] if baseline else words

    def environment(self, folder: Path, baseline: str) -> Mapping[str, str]:
        return {}

    def outcome(self, code: int, output: str) -> Outcome:
        return _reported(of_atlas.parse(output, succeeded=code == 0), code, output)


@dataclass(frozen=True)
class Toolkit:
    """`dbupgrade migrate`, which brings our Atlas."""

    txmode_none = ATLAS_TXMODE_NONE

    def hash(self, folder: Path) -> None:
        Atlas("engine").hash(folder)

    def command(self, folder: Path, baseline: str) -> list[str]:
        return [sys.executable, "-m", "dbupgrade", "migrate", "apply"]

    def environment(self, folder: Path, baseline: str) -> Mapping[str, str]:
        return {
            "ATLAS_BIN": str(tools.binary("engine")),
            "MIGRATION_DIR": str(folder),
            "MIGRATE_FORMAT": "json",
            "MIGRATE_RUN_LOCK_TIMEOUT": f"{LOCK_SECONDS}s",
            "MIGRATE_BASELINE_VERSION": baseline,
        }

    def outcome(self, code: int, output: str) -> Outcome:
        events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        last = {event["event"]: event for event in events}
        file = last.get("failed", {}).get("file")
        return Outcome(ExitCode(code), last.get("finished", {}).get("applied"), file, output)


@dataclass(frozen=True)
class Psql(Toolkit):
    """The same with the distribution's psql, which keeps no checksums in the folder."""

    txmode_none = "-- dbupgrade:txmode none\n"

    def hash(self, folder: Path) -> None:
        """It has nothing to write."""

    def environment(self, folder: Path, baseline: str) -> Mapping[str, str]:
        return {**super().environment(folder, baseline), "MIGRATE_ENGINE": "Psql"}


def _reported(report: Report, code: int, output: str) -> Outcome:
    ended = exit_code(report.failure, report) if report.failure else ExitCode.OK
    assert (ended is ExitCode.OK) == (code == 0), output
    return Outcome(ended, report.applied, report.failed_file, output)


@dataclass
class Run:
    """An engine at work on a database."""

    engine: Engine
    process: subprocess.Popen[str]

    def finish(self) -> Outcome:
        try:
            output, _ = self.process.communicate(timeout=120)
        finally:
            self.process.kill()
        return self.engine.outcome(self.process.returncode, output)


def start(engine: Engine, folder: Path, url: str, baseline: str = "") -> Run:
    """Begin to apply `folder`, and return while it is at work."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder.parent),
        "DATABASE_URL": url,
        **engine.environment(folder, baseline),
    }
    process = subprocess.Popen(
        engine.command(folder, baseline),
        env={name: value for name, value in environment.items() if value},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Run(engine, process)
