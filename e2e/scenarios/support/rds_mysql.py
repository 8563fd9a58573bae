"""A MariaDB of the scenario's own that lets in by a token only, in clear and over TLS only, as RDS's MySQL does.

PAM stands in the place of Amazon's plugin: both ask the client for the password in clear.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.aws import directory as directory_module
from e2e.aws.directory import Directory
from e2e.aws.sts import REGION
from e2e.aws.verifier import Wanted
from e2e.cluster.debian import unpacked
from e2e.cluster.pki import Authority
from e2e.scenarios.support.mariadb import NAME, mariadb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.aws.sts import Sts
    from e2e.scenarios.support.mariadb import MariaDb

# A name that a URL has to escape.
USER, DATABASE = "app@team", NAME
_SERVICE = "e2e-rds"
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RdsMysql:
    """A running server; `authority` is the file with the certificate of who signed its own."""

    host: str
    port: int
    authority: Path
    directory: Directory
    server: MariaDb


@contextlib.contextmanager
def running(host: str, sts: Sts) -> Iterator[RdsMysql]:
    """Run a new server on a free port of `host`."""
    wanted = Wanted(host, 0, USER, REGION)
    with tempfile.TemporaryDirectory(prefix="e2e-rds-") as name, Directory(sts, wanted) as directory:
        folder = Path(name)
        options, within = _prepare(folder, host, directory.port)
        with mariadb(host, *options, within=within) as server:
            directory.wanted = Wanted(host, server.port, USER, REGION)
            server.rows(f"CREATE USER '{USER}' IDENTIFIED VIA pam USING '{_SERVICE}'")
            server.rows(f"GRANT ALL ON {DATABASE}.* TO '{USER}'")
            yield RdsMysql(host, server.port, folder / "ca.pem", directory, server)


def _prepare(folder: Path, host: str, port: int) -> tuple[list[str], list[str]]:
    """Write what the server needs; returns its options, and what starts it with PAM's configuration of its own."""
    signed_by = Authority.create("rds")
    certificate = signed_by.issue("rds", ips=[host])
    (folder / "ca.pem").write_bytes(signed_by.cert_pem)
    (folder / "server.crt").write_bytes(certificate.cert_pem)
    (folder / "server.key").write_bytes(certificate.key_pem)
    pam, scripts = folder / "pam.d", folder / "scripts"
    pam.mkdir()
    scripts.mkdir()
    # pam_exec would cut the token after 511 bytes.
    (module,) = unpacked("libpam-script").glob("lib/*/security/pam_script.so")
    (pam / _SERVICE).write_text(
        f"auth required {module} dir={scripts} onerr=fail\naccount required pam_permit.so\n"
    )
    question = shlex.join([sys.executable, directory_module.__file__, str(port)])
    script = scripts / "pam_script_auth"
    script.write_text(f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(_ROOT))} exec {question}\n")
    script.chmod(0o755)  # for everybody, or it is not run
    plugins = unpacked("mariadb-server") / "usr" / "lib" / "mysql" / "plugin"
    options = [
        f"--plugin-dir={plugins}",
        "--plugin-load-add=auth_pam_v1",
        "--pam-use-cleartext-plugin",
        "--require-secure-transport",
        f"--ssl-cert={folder / 'server.crt'}",
        f"--ssl-key={folder / 'server.key'}",
    ]
    mount = f'mount --bind {pam} /etc/pam.d && exec "$@"'
    return options, ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh"]
