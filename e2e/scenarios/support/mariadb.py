"""A MariaDB server of the scenario's own, on the host's side of the cluster's network."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.ports import free_port
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "shop"
# A migration with this statement waits at the gate, see `closed_gate`.
WAIT_AT_GATE = "SELECT GET_LOCK('gate', 300);"
GATE_IS_CLOSED = "SELECT IS_USED_LOCK('gate') IS NOT NULL"
SLEEPERS = (
    "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)' AND id <> CONNECTION_ID()"
)
# Nothing here has to survive a crash, and the machine is shared.
LEAN = ("--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")


@dataclass(frozen=True)
class MariaDb:
    """A running server with one database and its owner, both called `NAME`."""

    host: str
    port: int
    socket: Path
    password: str

    def url(self, scheme: str = "mariadb", *, password: str = "", port: int = 0, query: str = "") -> str:
        """Where the owner connects to, or a URL that is wrong in one way."""
        login = f"{NAME}:{password or self.password}"
        return f"{scheme}://{login}@{self.host}:{port or self.port}/{NAME}{query}"

    def rows(self, query: str) -> list[str]:
        """What a query finds, asked as the administrator; a row is one text."""
        return subprocess.run(
            self._client(query), capture_output=True, text=True, check=True
        ).stdout.splitlines()

    @contextlib.contextmanager
    def closed_gate(self) -> Iterator[None]:
        """Hold every migration that waits at the gate until the block ends."""
        with self.session("SELECT GET_LOCK('gate', 0)"):
            wait_until(lambda: self.rows(GATE_IS_CLOSED) == ["1"], "the gate is closed")
            yield

    @contextlib.contextmanager
    def session(self, statements: str) -> Iterator[None]:
        """Keep a session open that executes these statements and then sleeps."""
        client = subprocess.Popen(self._client(f"{statements}; SELECT SLEEP(600)"))
        try:
            wait_until(lambda: bool(self.rows(SLEEPERS)), "the statements are executed")
            yield
        finally:
            client.kill()
            client.wait()
            # The server does not notice by itself that the sleeper has gone.
            for sleeper in self.rows(SLEEPERS):
                with contextlib.suppress(subprocess.CalledProcessError):  # it has just ended
                    self.rows(f"KILL {sleeper}")

    def _client(self, query: str) -> list[str]:
        login = ("--no-defaults", f"--socket={self.socket}", "--user=root", "--skip-column-names")
        return ["mariadb", *login, f"--execute={query}", NAME]


@contextlib.contextmanager
def mariadb(host: str, *options: str, within: Sequence[str] = ()) -> Iterator[MariaDb]:
    """Run a new server on a free port of `host`; `within`: the words of what then starts it in its place."""
    with tempfile.TemporaryDirectory(prefix="e2e-mariadb-") as folder:
        data, socket, log = (Path(folder) / name for name in ("data", "socket", "log"))
        user = f"--user={_owner()}"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", user, "--skip-test-db"],
            check=True,
            capture_output=True,
        )
        server = MariaDb(host, free_port(), socket, f"pw-{secrets.token_hex(16)}")
        where = (f"--datadir={data}", f"--socket={socket}", f"--bind-address={host}", f"--port={server.port}")
        with log.open("wb") as output:
            # It must not outlive the scenario, whatever ends that.
            process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", *within, "mariadbd", "--no-defaults"),
                    *(*where, user, *LEAN, *options),
                ],
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: b"ready for connections" in log.read_bytes(), f"MariaDB is ready; see {log}")
            _create(server)
            yield server
        finally:
            process.kill()
            process.wait()


def _create(server: MariaDb) -> None:
    statements = (
        f"CREATE DATABASE {NAME}",
        f"CREATE USER {NAME} IDENTIFIED BY '{server.password}'",
        f"GRANT ALL ON {NAME}.* TO {NAME}",
    )
    client = ["mariadb", "--no-defaults", f"--socket={server.socket}", "--user=root"]
    subprocess.run(client, input=";".join(statements), text=True, check=True)


def _owner() -> str:
    """The user whose files the server's are: ours, as the folder is."""
    return "root" if os.geteuid() == 0 else os.environ["USER"]
