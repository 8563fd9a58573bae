"""Starts a program of the node in the background and waits until it is ready."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

READY_SECONDS = 240.0
POLL_SECONDS = 0.05
LOG_LINES = 10


@dataclass(frozen=True)
class Component:
    """A program that runs until the node ends."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls, name: str, logs: Path, command: Sequence[str | Path], user: str | None = None
    ) -> Component:
        """Start it; its output goes to a log file of its name."""
        log = logs / name
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd="/",
                user=user,
                group=user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return cls(name, log, process)

    def wait(self, ready: Callable[[], bool], what: str = "become ready") -> None:
        """Wait until it is ready, at most a minute, and not at all when it has ended."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if (code := self.process.poll()) is not None:
                raise ClusterError(f"{self.name} ended with code {code}; {self._last_lines()}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{self.name} did not {what} in {READY_SECONDS:.0f} s; {self._last_lines()}"
                )
            time.sleep(POLL_SECONDS)

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return f"see {self.log}; its last lines:\n" + "\n".join(lines)


def answers(url: str, *, authority: Path | None = None) -> bool:
    """Say whether a health address answers 200; only a given authority makes a server prove who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == http.client.OK)
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False


def listens(address: str, port: int) -> bool:
    """Say whether something accepts connections."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def listens_at(path: str) -> bool:
    """Say whether something accepts connections on a socket file."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0
