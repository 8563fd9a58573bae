"""Runs a program that works on the database, and ends with it: a signal that ends us must first end the statement in the server."""

import subprocess
from collections.abc import Mapping, Sequence

GRACE_SECONDS = 20.0
"""Kubernetes gives a pod 30 seconds between SIGTERM and SIGKILL."""

Ended = subprocess.CompletedProcess[str]


def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """Run `command` to its end, without input; what it prints is kept. Raises OSError when it cannot be run."""
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = child.communicate()
    except BaseException:
        _end(child)
        raise
    return Ended(command, child.returncode, out, err)


def _end(child: "subprocess.Popen[str]") -> None:
    """Ask the program to end, and end it when it does not."""
    child.terminate()
    try:
        child.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
