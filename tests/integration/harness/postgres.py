"""A PostgreSQL of the test's own, from the programs of this machine; it lives in a folder and on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import debian
from tests.integration.harness.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

START_SECONDS = 20
USER, PASSWORD = "owner", "p@ss w/rd%?&#:é"


class Postgres:
    """The server; every connection needs the password."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="dbupgrade-postgres-"))
        self._programs = debian.postgresql_bin()
        self._as_user: list[str] = []
        if (
            os.geteuid() == 0
        ):  # as which PostgreSQL refuses to run; the kernel forgets the death signal with the user
            self._as_user = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--pdeathsig=KILL",
                "--",
            ]
        self._process: Process | None = None

    def start(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._as_user:
            account = pwd.getpwnam("postgres")
            for path in (self.folder, password):
                os.chown(path, account.pw_uid, account.pw_gid)
        subprocess.run(
            [*self._as_user, str(self._programs / "initdb"), f"--pgdata={self.folder}/data", f"--username={USER}",
             f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        self.resume()

    def resume(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
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
        """Stop it and remove its data."""
        self.pause()
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        command = [str(self._programs / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(command, check=False).returncode == 0

    def environment(self, database: str) -> Mapping[str, str]:
        """Variables with which libpq connects."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": database,
        }

    def query(self, sql: str, database: str = "postgres") -> list[str]:
        """Rows of a query, their columns separated by `|`."""
        done = subprocess.run(
            [str(self._programs / "psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"],
            input=sql, capture_output=True, text=True, check=True, env={**os.environ, **self.environment(database)},
        )  # fmt: skip
        return done.stdout.splitlines()
