"""A PostgreSQL of the scenario's own that takes TLS only, with a certificate that no image knows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster.debian import postgresql_bin
from e2e.cluster.pki import Authority
from e2e.ports import free_port
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = "postgres"  # who runs it, and its only user


@dataclass(frozen=True)
class TlsServer:
    """A running server; `authority` has signed its certificate, `stranger` has not."""

    host: str
    port: int
    folder: Path
    password: str
    authority: str
    stranger: str

    def rows(self, query: str, database: str = OWNER) -> list[str]:
        """What a query finds; a row is one text."""
        place = ["-h", str(self.folder), "-p", str(self.port), "-U", OWNER, "-d", database]
        words = [str(postgresql_bin() / "psql"), "-XAtq", *place, "-c", query]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


@contextlib.contextmanager
def tls_server(host: str, password: str) -> Iterator[TlsServer]:
    """Run a new server on a free port of `host`."""
    signed_by = Authority.create("database")
    with tempfile.TemporaryDirectory(prefix="e2e-tls-") as name:
        stranger = Authority.create("stranger").cert_pem.decode()
        server = TlsServer(host, free_port(), Path(name), password, signed_by.cert_pem.decode(), stranger)
        _prepare(server, signed_by)
        process = _start(server)
        try:
            ready = [str(postgresql_bin() / "pg_isready"), "-q", "-h", host, "-p", str(server.port)]
            wait_until(
                lambda: subprocess.run(ready, check=False).returncode == 0,
                f"PostgreSQL is ready; see {server.folder / 'log'}",
            )
            server.rows(f"ALTER ROLE {OWNER} PASSWORD '{password}'")
            yield server
        finally:
            process.kill()
            process.wait()


def _prepare(server: TlsServer, signed_by: Authority) -> None:
    folder, data = server.folder, server.folder / "data"
    certificate = signed_by.issue("database", ips=[server.host])
    (folder / "server.crt").write_bytes(certificate.cert_pem)
    (folder / "server.key").write_bytes(certificate.key_pem)
    (folder / "server.key").chmod(0o600)
    folder.chmod(0o755)
    for path in (folder, folder / "server.key"):
        shutil.chown(path, OWNER, OWNER)
    words = [str(postgresql_bin() / "initdb"), "--pgdata", str(data), "--username", OWNER, "--auth", "trust"]
    words += ["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    subprocess.run(words, check=True, capture_output=True, user=OWNER, cwd="/")
    rules = "local all all trust\nhostssl all all 0.0.0.0/0 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)


def _start(server: TlsServer) -> subprocess.Popen[bytes]:
    settings = {
        "fsync": "off",
        "shared_buffers": "16MB",
        "listen_addresses": server.host,
        "port": server.port,
        "unix_socket_directories": server.folder,
        "ssl": "on",
        "ssl_cert_file": server.folder / "server.crt",
        "ssl_key_file": server.folder / "server.key",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # It must not outlive the scenario, whatever ends that.
    death = ["setpriv", "--pdeathsig", "KILL", "--reuid", OWNER, "--regid", OWNER, "--clear-groups", "--"]
    with (server.folder / "log").open("wb") as output:
        return subprocess.Popen(
            [*death, str(postgresql_bin() / "postgres"), "-D", str(server.folder / "data"), *options],
            stdout=output,
            stderr=output,
            cwd="/",
        )
