"""A PgBouncer in front of a PostgreSQL, as Debian packages it; it lives in a folder and on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from e2e.cluster import debian
from e2e.ports import free_port
from tests.integration.harness.processes import Process
from tests.integration.harness.scratch import make_folder
from tests.integration.harness.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# `any` lets everybody in and logs in to the server as one user, so that only the server's password is asked for.
EVERYTHING = "* = host=127.0.0.1 port={server} user={user} password='{password}'"
CONFIGURATION = """[databases]
{databases}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def pgbouncer(server: int, login: tuple[str, str], mode: str, databases: str = EVERYTHING) -> Iterator[int]:
    """The port of a PgBouncer before the server's port, with pools in that mode: session, transaction or statement.

    `databases` has the entries of that section, with the placeholders of `EVERYTHING`.
    """
    port, folder = free_port(), make_folder("dbupgrade-pgbouncer-")
    user, password = login
    values = {"server": server, "user": user, "password": password.replace("'", "''")}
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(port=port, mode=mode, databases=databases.format(**values)))
    program = _program(folder)
    process = Process([*_as_user(folder), *program, str(file)], folder / "log")
    try:
        process.start()
        _wait(port, process)
        yield port
    finally:
        process.stop()
        shutil.rmtree(folder)


def _program(folder: Path) -> list[str]:
    """Copies in a folder that its user can reach."""
    root = debian.unpacked("pgbouncer", libraries=True)
    for file in (root / "usr/sbin/pgbouncer", *root.glob("usr/lib/**/*.so.*")):
        shutil.copy(file, folder)
    return ["env", f"LD_LIBRARY_PATH={folder}", str(folder / "pgbouncer")]


def _as_user(folder: Path) -> list[str]:
    """Not root, as which it refuses to run; the kernel forgets the death signal with the user."""
    if os.geteuid() != 0:
        return []
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "postgres", "postgres")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", "--"]


def _wait(port: int, process: Process) -> None:
    """Wait until it accepts connections."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.running(), process.tail()
        assert time.monotonic() < deadline, process.tail()
        time.sleep(0.1)
