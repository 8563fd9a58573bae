"""A PostgreSQL of the scenario's own that lets in by a token only, and over TLS only, as RDS does."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.aws.directory import DN_PREFIX, Directory
from e2e.aws.sts import REGION
from e2e.aws.verifier import Wanted
from e2e.cluster.debian import postgresql_bin
from e2e.cluster.pki import Authority
from e2e.ports import free_port
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.aws.sts import Sts

# Names that a URL has to escape.
USER, DATABASE = "app@team", "shop/1"
_OWNER = "postgres"
_LEAN = ("fsync=off", "shared_buffers=16MB", "max_connections=20")


@dataclass(frozen=True)
class Rds:
    """A running server; `authority` is the file with the certificate of who signed its own."""

    host: str
    port: int
    folder: Path
    authority: Path
    directory: Directory

    def rows(self, query: str, database: str = DATABASE) -> list[str]:
        """What a query finds, asked as the administrator; a row is one text."""
        words: list[str | Path] = [
            postgresql_bin() / "psql",
            "-XAtq",
            "-h",
            self.folder,
            "-p",
            str(self.port),
        ]
        words += ["-U", _OWNER, "-d", database, "-c", query]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


@contextlib.contextmanager
def rds(host: str, sts: Sts) -> Iterator[Rds]:
    """Run a new server on a free port of `host`."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="e2e-rds-") as name,
        Directory(sts, Wanted(host, port, USER, REGION)) as directory,
    ):
        folder = Path(name)
        server = Rds(host, port, folder, folder / "ca.pem", directory)
        _prepare(server)
        process = _start(server)
        try:
            wait_until(
                lambda: (
                    subprocess.run(
                        [postgresql_bin() / "pg_isready", "-q", "-h", host, "-p", str(port)], check=False
                    ).returncode
                    == 0
                ),
                f"PostgreSQL is ready; see {folder / 'log'}",
            )
            server.rows(f'CREATE ROLE "{USER}" LOGIN', _OWNER)
            server.rows(f'CREATE DATABASE "{DATABASE}" OWNER "{USER}"', _OWNER)
            yield server
        finally:
            process.kill()
            process.wait()


def _prepare(server: Rds) -> None:
    data, folder = server.folder / "data", server.folder
    signed_by = Authority.create("rds")
    certificate = signed_by.issue("rds", ips=[server.host])
    folder.chmod(0o755)
    server.authority.write_bytes(signed_by.cert_pem)
    (folder / "server.crt").write_bytes(certificate.cert_pem)
    (folder / "server.key").write_bytes(certificate.key_pem)
    (folder / "server.key").chmod(0o600)
    data.mkdir(mode=0o700)
    for path in (folder, data, folder / "server.key"):
        shutil.chown(path, _OWNER, _OWNER)
    initdb: list[str | Path] = [
        postgresql_bin() / "initdb",
        "--pgdata",
        data,
        "--username",
        _OWNER,
        "--auth",
        "trust",
    ]
    subprocess.run(
        [*initdb, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
        check=True,
        capture_output=True,
        user=_OWNER,
        cwd="/",
    )
    (data / "pg_hba.conf").write_text(
        "local all all trust\n"
        f'hostssl all all 0.0.0.0/0 ldap ldapserver=127.0.0.1 ldapport={server.directory.port} ldapprefix="{DN_PREFIX}"\n'
    )


def _start(server: Rds) -> subprocess.Popen[bytes]:
    settings = (
        *_LEAN,
        f"listen_addresses={server.host}",
        f"port={server.port}",
        f"unix_socket_directories={server.folder}",
        "ssl=on",
        f"ssl_cert_file={server.folder / 'server.crt'}",
        f"ssl_key_file={server.folder / 'server.key'}",
    )
    words = [word for setting in settings for word in ("-c", setting)]
    with (server.folder / "log").open("wb") as output:
        # It must not outlive the scenario, whatever ends that.
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--reuid", _OWNER, "--regid", _OWNER, "--clear-groups", "--"]
            + [str(word) for word in (postgresql_bin() / "postgres", "-D", server.folder / "data", *words)],
            stdout=output,
            stderr=output,
            cwd="/",
        )
