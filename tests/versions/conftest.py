"""Every server with every engine: a test that takes `place` runs once for each pair."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from e2e.cluster import postgres_versions
from e2e.cluster.pki import Authority
from e2e.scenarios.support.mariadb import MariaDb, mariadb
from tests.integration.harness.postgres import Postgres
from tests.versions.databases import OnMariaDb, OnPostgres
from tests.versions.engines import Atlas, Outcome, Psql, Toolkit, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.versions.databases import Database
    from tests.versions.engines import Engine, Run

ENGINES: dict[str, Engine] = {
    "Atlas": Atlas("engine"),
    "Psql": Psql(),
    "Toolkit": Toolkit(),
    "AtlasCLI": Atlas("atlas"),
}
# Atlas's own command line, in the newest version that can be built here, knows no newer ones.
CLI_VERSIONS = (13, 14, 15)
MARIADB = "MariaDB"
ON_POSTGRES = [
    (f"PostgreSQL{version}", engine)
    for version in postgres_versions.VERSIONS
    for engine in ENGINES
    if engine != "AtlasCLI" or version in CLI_VERSIONS
]
EVERYWHERE = [*ON_POSTGRES, *((MARIADB, engine) for engine in ENGINES if engine != "Psql")]


class Servers:
    """Started when a test first needs them, and kept until the last test has run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = Authority.create("database")
        self._running: dict[str, Postgres | MariaDb] = {}
        self._stack = ExitStack()

    def database(self, name: str) -> Database:
        """A new database on the server of that name."""
        if name not in self._running:
            self._running[name] = self._start(name)
        server = self._running[name]
        if isinstance(server, MariaDb):
            return OnMariaDb.create(server)
        return OnPostgres.create(server, self._folder / "ca.crt")

    def _start(self, name: str) -> Postgres | MariaDb:
        pair = self._authority.issue("database", ips=["127.0.0.1"])
        files = {"server.crt": pair.cert_pem, "server.key": pair.key_pem}
        if name == MARIADB:
            for file, content in files.items():
                (self._folder / file).write_bytes(content)
            options = [
                f"--ssl-{word}={self._folder / f'server.{end}'}"
                for word, end in (("cert", "crt"), ("key", "key"))
            ]
            return self._stack.enter_context(mariadb("127.0.0.1", *options))
        (self._folder / "ca.crt").write_bytes(self._authority.cert_pem)
        programs = postgres_versions.programs(int(name.removeprefix("PostgreSQL")))
        server = Postgres(programs, files=files, settings={"ssl": "on"})
        self._stack.callback(server.stop)
        server.start()
        return server

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    try:
        yield servers
    finally:
        servers.stop()


@dataclass(frozen=True)
class Place:
    """An engine, an empty database and an empty folder."""

    name: str
    engine: Engine
    database: Database
    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        """Make the folder hold these files and no others."""
        self.folder.mkdir(exist_ok=True)
        for old in self.folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.engine.hash(self.folder)

    def start(self, parameters: str = "", password: str = "", baseline: str = "") -> Run:
        url = self.database.url(parameters, password)
        return start(self.engine, self.folder, url, baseline)

    def apply(
        self,
        files: Mapping[str, str] | None = None,
        *,
        parameters: str = "",
        password: str = "",
        baseline: str = "",
    ) -> Outcome:
        """Run the engine to its end, on `files` if they are given; no password is in what it prints."""
        if files is not None:
            self.write(files)
        outcome = self.start(parameters, password, baseline).finish()
        for secret in (self.database.password, password):
            assert not secret or secret not in outcome.output
            assert not secret or quote(secret, safe="") not in outcome.output
        return outcome


@pytest.fixture
def place(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Place:
    server, engine = request.param
    return Place(engine, ENGINES[engine], servers.database(server), tmp_path / "migrations")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that takes `place` all pairs, or those that its mark `on_postgres` leaves."""
    if "place" in metafunc.fixturenames:
        chosen = ON_POSTGRES if metafunc.definition.get_closest_marker("on_postgres") else EVERYWHERE
        metafunc.parametrize("place", chosen, ids="-".join, indirect=True)
