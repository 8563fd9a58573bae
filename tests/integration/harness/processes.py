"""Starts the servers of a test run, so that none outlives it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STOP_SECONDS = 60


class Process:
    """A server in a process group of its own; its output goes to `log`."""

    # The kernel's death signal is sent when the *thread* that started the process ends. Threads of an event loop's executor
    # end with the loop, so all processes are started by this one thread, which lives as long as Python.
    _starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        self.log = log
        self._argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._popen = self._starter.submit(
                subprocess.Popen,
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).result()

    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """Its process id. Raises RuntimeError when it was not started."""
        if self._popen is None:
            raise RuntimeError(f"{self.log.stem} does not run")
        return self._popen.pid

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Signal the process group and wait; with force when it takes too long."""
        if self._popen is None:
            return
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, how)
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait(STOP_SECONDS)
        self._popen = None

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
