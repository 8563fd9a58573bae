"""An engine with Atlas's command line, run as its container runs it, on a real server."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbupgrade.pod.engines.atlas import report
from e2e.cluster import tools

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dbupgrade.pod.report import Report

OURS, CLI = "engine", "atlas"
CONFIG = 'env "run" {\n  url = getenv("DATABASE_URL")\n  dev = getenv("DEV_URL")\n}\n'


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    output: str
    report: Report


@dataclass
class Database:
    """A database, a folder, and both engines for them."""

    url: str
    folder: Path
    name: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def migrations(self) -> Path:
        return self.folder / "migrations"

    def write(self, files: Mapping[str, str]) -> None:
        """Make the folder hold these files, and atlas.sum."""
        self.migrations.mkdir(exist_ok=True)
        (self.folder / "atlas.hcl").write_text(CONFIG)
        for old in self.migrations.iterdir():
            old.unlink()
        for name, text in files.items():
            (self.migrations / name).write_text(text)
        assert self.run("hash", engine=OURS).code == 0

    def start(self, command: str, *arguments: str, engine: str = OURS) -> subprocess.Popen[str]:
        target = ["--config", f"file://{self.folder}/atlas.hcl", "--env", "run"] if command != "hash" else []
        words = [str(tools.binary(engine)), "migrate", command, *arguments, *target]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DATABASE_URL": self.url}
        return subprocess.Popen(
            [*words, "--dir", f"file://{self.migrations}"],
            env=environment | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, *arguments: str, engine: str = OURS) -> Outcome:
        process = self.start(command, *arguments, engine=engine)
        output, _ = process.communicate(timeout=300)
        found = report.parse(output, succeeded=process.returncode == 0)
        return Outcome(process.returncode, output, found)

    def apply(self, *arguments: str, engine: str = OURS) -> Outcome:
        """Run `migrate apply` as the operator does."""
        return self.run("apply", *arguments, "--format", report.TEMPLATE, engine=engine)

    def events(self, *arguments: str) -> list[dict[str, Any]]:
        """The events of a run of ours."""
        file = self.folder / "events"
        file.unlink(missing_ok=True)
        self.apply("--events", str(file), *arguments)
        return [json.loads(line) for line in file.read_text().splitlines()]
