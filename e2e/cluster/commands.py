"""Running the small system tools, with an error that says what was run and what it answered."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path


def run(*command: str | Path, user: str | None = None) -> str:
    """Run a command to its end and return what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, user=user, group=user, cwd="/", capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        answer = (done.stderr or done.stdout).strip()
        raise ClusterError(f"`{' '.join(words)}` ended with code {done.returncode}: {answer}")
    return done.stdout
