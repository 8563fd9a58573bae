"""Runs a program that works on the database, and ends together with it: a signal must first end the statement in the server."""

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

GRACE_SECONDS = 20.0
"""Kubernetes gives a pod 30 seconds between SIGTERM and SIGKILL."""

Ended = subprocess.CompletedProcess[str]


EVENTS = "{events}"
"""An argument in whose place a command gets the name of a pipe, for lines that are heard while it runs."""


def run(
    command: Sequence[str], environment: Mapping[str, str], hear: Callable[[str], None] | None = None
) -> Ended:
    """Run `command` to its end, without input; what it prints is kept. Raises OSError when it cannot be run.

    `hear` gets each line that the command writes to EVENTS, in a thread of its own.
    """
    if hear is None:
        return _run(command, environment, ())
    read, write = os.pipe()
    with open(read, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - a file descriptor
        hearing = threading.Thread(target=lambda: [hear(line) for line in lines], name="events", daemon=True)
        hearing.start()
        try:
            names = [f"/dev/fd/{write}" if word == EVENTS else word for word in command]
            return _run(names, environment, (write,))
        finally:
            os.close(write)
            hearing.join()


def _run(command: Sequence[str], environment: Mapping[str, str], kept: Sequence[int]) -> Ended:
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        pass_fds=kept,
    )
    try:
        out, err = child.communicate()
    except BaseException:
        _end(child)
        raise
    return Ended(command, child.returncode, out, err)


def _end(child: "subprocess.Popen[str]") -> None:
    """Ask the program to end, and kill it if it does not."""
    child.terminate()
    try:
        child.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start `command`, which ends when its input does. Raises OSError when it cannot be run."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace"
    )


def end(child: "subprocess.Popen[str]") -> str:
    """Close the input of such a program; returns what it said of errors."""
    try:
        return child.communicate(timeout=GRACE_SECONDS)[1]
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[1]
