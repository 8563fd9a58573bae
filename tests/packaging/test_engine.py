"""The engine's own checks: Go's tests, formatter, vet and a linter. What needs a database is in tests/integration/engines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.cluster import tools

MODULE = tools.ENGINE.path


@pytest.mark.parametrize("command", ["test", "vet"])
def test_go(command: str) -> None:
    done = tools.go(command, "./...", folder=MODULE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_module_lists_what_it_needs_and_nothing_else() -> None:
    done = tools.go("mod", "tidy", "-diff", folder=MODULE)
    assert (done.returncode, done.stdout) == (0, "")


def test_formatted() -> None:
    formatter = Path(tools.go("env", "GOROOT", folder=MODULE).stdout.strip()) / "bin/gofmt"
    done = subprocess.run(
        [formatter, "-l", "-s", "."], cwd=MODULE, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


def test_staticcheck() -> None:
    go = Path(tools.go("env", "GOROOT", folder=MODULE).stdout.strip()) / "bin"
    done = subprocess.run(
        [tools.binary("staticcheck"), "-checks", "all,-ST1000", "./..."],
        cwd=MODULE,
        env={**os.environ, "PATH": f"{go}:{os.environ['PATH']}", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
