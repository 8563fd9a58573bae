"""A server with TLS: what each sslmode asks of it, of our driver as of Atlas's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from e2e.cluster.pki import Authority
from tests.integration.toolkit.conftest import Toolkit, running_server

if TYPE_CHECKING:
    from pathlib import Path


def test_tls(tmp_path: Path) -> None:
    authority = Authority.create("database")
    pair = authority.issue("database", ips=["127.0.0.1"])
    files = {"server.crt": pair.cert_pem, "server.key": pair.key_pem}
    roots = tmp_path / "ca.crt"
    roots.write_bytes(authority.cert_pem)
    with running_server(files, {"ssl": "on"}) as server:
        database = f"t{secrets.token_hex(6)}"
        server.execute("postgres", f"create database {database}")
        folder = tmp_path / "migrations"
        folder.mkdir()
        toolkit = Toolkit(server, database, folder)
        toolkit.write(v1="create table a as select ssl from pg_stat_ssl where pid = pg_backend_pid();")
        url = server.url(database)
        require, full = url.replace("disable", "require"), url.replace("disable", "verify-full")
        assert toolkit.run("apply", DATABASE_URL=require).code == 0
        assert toolkit.fetch("select ssl from a") == [True]
        assert toolkit.run("status", DATABASE_URL=full, PGSSLROOTCERT=str(roots)).code == 0
        assert toolkit.run("status", DATABASE_URL=f"{full}&sslrootcert={roots}").code == 0
        refused = toolkit.run("status", DATABASE_URL=full)
        assert (refused.code, "certificate is not trusted" in refused.text) == (2, True)
