"""Forks operators from a process that has imported their packages already, which saves a second of CPU for each of them.

The scenarios and the benchmarks start `python -m dbupgrade run` instead, as users do.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
from multiprocessing import connection
from typing import TYPE_CHECKING

from dbupgrade.__main__ import main
from e2e import operator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerProcess

    from e2e.operator import Launch, Process

_PRELOADED = ("__main__", "dbupgrade.app", "dbupgrade.settings", "dbupgrade.aws", "webhook.server", __name__)
_BEFORE_PYTHON = ("LD_", "PYTHON")
_PR_SET_PDEATHSIG = 1

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(list(_PRELOADED))


def begin(launch: Launch, settings: Mapping[str, str]) -> Process:
    """Start an operator as `e2e.operator.execute` does; it ends with this process."""
    if any(name.startswith(_BEFORE_PYTHON) for name in launch.settings):
        return operator.execute(launch, settings)
    started, child = _server.Pipe(duplex=False)
    process = _server.Process(target=_run, args=(child, str(launch.log), dict(settings)), daemon=True)
    process.start()
    child.close()
    started.recv()
    return _Forked(process)


def _run(started: connection.Connection, log: str, settings: dict[str, str]) -> None:
    """Be the operator: in a process group of its own, with this log and these variables."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(settings)
    started.send(None)
    started.close()
    raise SystemExit(main(["run"]))


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
