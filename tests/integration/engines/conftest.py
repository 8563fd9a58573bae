"""The engines on real servers and without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.scenarios.support.mariadb import MariaDb, mariadb
from tests.integration.engines.psql import Runner
from tests.integration.engines.servers import OnMariaDb, OnPostgres, on_postgres
from tests.integration.harness.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engines.atlas import Database
    from tests.integration.engines.servers import Server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def runner(postgres: Postgres, tmp_path: Path) -> Runner:
    """The engine Psql with a database of its own."""
    return Runner.create(postgres, tmp_path)


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> Database:
    """A new database, for engines with Atlas's command line."""
    return on_postgres(postgres, tmp_path)


@pytest.fixture(scope="session")
def maria() -> Iterator[MariaDb]:
    with mariadb("127.0.0.1") as server:
        yield server


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "postgres":
        return OnPostgres(request.getfixturevalue("postgres"))
    return OnMariaDb(request.getfixturevalue("maria"))
