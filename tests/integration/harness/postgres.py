"""A PostgreSQL of the test's own, from the programs of this machine or of a chosen version; it lives in a folder and on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from e2e.cluster import debian
from e2e.cluster.postgres_versions import chosen, within_reach
from e2e.ports import free_port
from tests.integration.harness.processes import Process
from tests.integration.harness.scratch import make_folder
from tests.integration.harness.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 180
USER, PASSWORD = "owner", "p@ss w/rd%?&#:é"


class Postgres:
    """The server; every connection needs the password.

    `programs` is the folder of another version's initdb and postgres, `files` goes into its data folder.
    """

    def __init__(
        self,
        programs: Path | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        settings: Mapping[str, str] | None = None,
        login: tuple[str, str] = (USER, PASSWORD),
        port: int = 0,
    ) -> None:
        self.port = port or free_port()
        self.user, self.password = login
        self.folder = make_folder("dbupgrade-postgres-")
        self._programs = within_reach(programs or chosen(), self.folder)
        self._files = files or {}
        self._settings = settings or {}
        # Not root, as which PostgreSQL refuses to run; the kernel forgets the death signal with the user.
        user = ("--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL")
        self._as_user = ["setpriv", *user, "--"] if os.geteuid() == 0 else []
        self._process: Process | None = None

    def start(self) -> None:
        data, password = self.folder / "data", self._write("password", self.password.encode())
        self._give(self.folder)
        subprocess.run(
            [*self._as_user, str(self._programs / "initdb"), f"--pgdata={data}", f"--username={self.user}",
             f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        for name, content in self._files.items():
            self._write(f"data/{name}", content)
        self.resume()

    def resume(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [*self._as_user, str(self._programs / "postgres"), "-D", f"{self.folder}/data", *options]
        self._process = Process(command, self.folder / "log")
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or not self._process.running():
                raise RuntimeError(f"PostgreSQL does not answer: {self._process.tail()}")
            time.sleep(0.05)

    def pause(self) -> None:
        """Stop it; its data stays."""
        if self._process:
            self._process.stop()

    def stop(self) -> None:
        """Stop it and remove its data, which need not be written before."""
        if self._process:
            self._process.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        command = [
            str(debian.postgresql_bin() / "pg_isready"),
            "--quiet",
            "--host=127.0.0.1",
            f"--port={self.port}",
        ]
        return subprocess.run(command, check=False).returncode == 0

    def environment(self, database: str) -> Mapping[str, str]:
        """Variables with which libpq connects."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }

    def query(self, sql: str, database: str = "postgres") -> list[str]:
        """Rows of a query, their columns separated by `|`."""
        done = subprocess.run(
            [str(debian.postgresql_bin() / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"],
            input=sql, capture_output=True, text=True, check=True, env={**os.environ, **self.environment(database)},
        )  # fmt: skip
        return done.stdout.splitlines()

    def until(self, sql: str, database: str = "postgres", *, found: bool = True) -> None:
        """Wait until a query finds a row, or no row any more."""
        deadline = time.monotonic() + PATIENCE
        while bool(self.query(sql, database)) is not found:
            assert time.monotonic() < deadline, sql
            time.sleep(0.1)

    def _write(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.write_bytes(content)
        file.chmod(0o600)
        self._give(file)
        return file

    def _give(self, path: Path) -> None:
        if self._as_user:
            shutil.chown(path, "postgres", "postgres")
