"""Forks the command line from a process that has imported its packages, which saves up to a second of CPU for each call.

The scenarios, the benchmarks and a few tests of each command start `python -m dbupgrade` instead, as users do.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from dbupgrade.__main__ import main
from e2e import operator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import ForkServerProcess

    from e2e.operator import Launch, Process

_BEFORE_PYTHON = ("LD_", "PYTHON")
_ROOT = Path(__file__).parents[3]
_PR_SET_PDEATHSIG = 1


def _modules() -> list[str]:
    """Every module of ours: a list of some would not be right any more after the next one is moved."""
    files = (file.relative_to(_ROOT).with_suffix("") for file in (_ROOT / "dbupgrade").rglob("*.py"))
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["__main__", __name__, *_modules()])


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def missing() -> list[str]:
    """The modules of ours that a forked process would have to import itself."""
    found, child = _server.Pipe(duplex=False)
    process = _server.Process(target=_tell_missing, args=(child,), daemon=True)
    process.start()
    child.close()
    names: list[str] = found.recv()
    process.join()
    return names


def _tell_missing(answer: connection.Connection) -> None:
    answer.send([name for name in _modules() if name not in sys.modules])


def begin(launch: Launch, environment: Mapping[str, str]) -> Process:
    """Start an operator, as `e2e.operator.execute` does; it ends with this process at the latest."""
    if any(name.startswith(_BEFORE_PYTHON) for name in launch.settings):
        return operator.execute(launch, environment)
    return _fork(["run"], environment, launch.log, launch.log)


def run(words: Sequence[str], environment: Mapping[str, str], *, within: float = 300) -> Finished:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory(prefix="dbupgrade-command-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _fork(words, environment, out, err)
        try:
            code = process.wait(within)
        finally:
            process.kill()
        return Finished(code, out.read_text(), err.read_text())


def _fork(words: Sequence[str], environment: Mapping[str, str], out: Path, err: Path) -> _Forked:
    started, child = _server.Pipe(duplex=False)
    arguments = (child, list(words), dict(environment), out, err)
    process = _server.Process(target=_be, args=arguments, daemon=True)
    process.start()
    child.close()
    started.recv()
    return _Forked(process)


def _be(
    started: connection.Connection, words: list[str], environment: dict[str, str], *outputs: Path
) -> None:
    """Be the command: in a process group of its own, with these variables and files for its output."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    os.chdir(_ROOT)
    for number, path in enumerate(outputs, start=1):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    started.send(None)
    started.close()
    raise SystemExit(main(words))


class _Forked:
    """A process of the fork server, which looks like one of subprocess."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.pid = process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        with self._lock:  # its end can be read only once
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
