"""MariaDB in PostgreSQL's place: what Atlas says of it is understood, and its own lock holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.ports import free_port
from e2e.scenarios.support.images import FIRST, SECOND
from e2e.scenarios.support.mariadb import WAIT_AT_GATE, mariadb
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED, held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.scenarios.support.mariadb import MariaDb
    from e2e.scenarios.support.world import World

RETRY_SECONDS = 300
FAILING = {
    "20250103000000_cart.sql": "CREATE TABLE cart (id int);\nALTER TABLE missing ADD total int COMMENT 'hunter2-cart';"
}
CORRECTED = {
    "20250103000000_cart.sql": "CREATE TABLE cart (id int);\nALTER TABLE cart ADD total int COMMENT 'hunter2-cart';"
}
TABLES = "SHOW TABLES LIKE '%r%'"


@pytest.fixture
def database(world: World) -> Iterator[MariaDb]:
    with mariadb(world.cluster.host_ip) as server:
        world.secrets.add(server.password)
        yield server


@pytest.mark.parametrize("scheme", ["mariadb", "mysql"])
def test_a_failed_file_is_told_and_its_correction_goes_on_after_its_last_good_statement(
    world: World, database: MariaDb, scheme: str
) -> None:
    world.secrets.add("hunter2-cart")
    world.secret(database.url(scheme))
    world.upgrade(world.image({**FIRST, **SECOND}))
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert upgrade.status["currentVersion"] == "20250102000000"

    world.upgrade(world.image({**FIRST, **SECOND, **FAILING}))
    upgrade = world.wait_run(2)
    assert upgrade.verdict == STALLED
    assert (upgrade.run["failure"], upgrade.run["failedFile"]) == ("SQLError", "20250103000000_cart.sql")
    assert upgrade.run["error"] == "Error 1146 (42S02): Table 'shop.missing' doesn't exist"
    assert upgrade.run["failedStatement"] == "ALTER TABLE missing ADD total int COMMENT '***';"
    assert "cart" in database.rows(TABLES)  # MariaDB takes back no CREATE TABLE

    world.upgrade(world.image({**FIRST, **SECOND, **CORRECTED}))
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 1
    assert upgrade.status["currentVersion"] == "20250103000000"
    assert database.rows("SHOW COLUMNS FROM cart LIKE 'total'")


def test_a_server_that_cannot_be_used_is_told_with_what_to_do(world: World, database: MariaDb) -> None:
    world.secret(database.url(port=free_port()))
    world.upgrade(world.image(FIRST))
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (RETRIED, "DatabaseUnreachable")

    wrong = f"hunter2-{world.namespace}"
    world.secrets.add(wrong)
    world.secret(database.url(password=wrong))
    upgrade = world.wait_for(STALLED, seconds=RETRY_SECONDS)
    assert upgrade.run["failure"] == "AuthenticationFailed"
    assert "Correct Secret " in upgrade.message

    world.secret(database.url(query="?tls=true"))
    upgrade = world.wait_for(
        lambda found: found.run.get("failure") == "ConnectionSettings",
        what="it says that the server has no TLS",
        seconds=RETRY_SECONDS,
    )
    assert upgrade.verdict == STALLED

    world.secret(database.url())
    world.wait_for(DONE, seconds=RETRY_SECONDS)


def test_atlas_own_lock_of_another_secret_means_busy_and_a_later_try(world: World, database: MariaDb) -> None:
    other = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "other"}}}
    world.secret(database.url())
    world.secret(database.url(), name="other")
    image = world.image({**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE})
    with database.closed_gate():
        world.upgrade(image, "holder")
        world.wait_migrating("holder")
        world.upgrade(image, "waiter", database=other)
        upgrade = world.wait_run(1, "waiter", seconds=RETRY_SECONDS)
        assert upgrade.verdict == held("DatabaseBusy")
        assert upgrade.run["failure"] == "DatabaseLocked"
    world.wait_for(DONE, "holder")
    upgrade = world.wait_for(DONE, "waiter", seconds=RETRY_SECONDS)
    assert upgrade.run["appliedCount"] == 0
