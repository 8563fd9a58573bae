"""The database refuses, is not there, or is somebody else's at the moment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, THREE
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED, held

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

RETRY_SECONDS = 300  # two tries, with ten seconds and more between them, on a busy machine


def test_a_wrong_password_stalls_until_the_secret_is_corrected(world: World) -> None:
    wrong = f"hunter2-{world.namespace}"
    world.secrets.add(wrong)
    world.secret(world.database.url(password=wrong))
    world.upgrade(world.image(THREE))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == "AuthenticationFailed"
    assert "Correct Secret " in upgrade.message

    world.secret()
    upgrade = world.wait_for(DONE, seconds=RETRY_SECONDS)
    assert [run["result"] for run in upgrade.history] == ["Succeeded", "Failed"]
    assert len(world.created_jobs()) == 2


def test_an_unreachable_server_is_tried_again_and_never_stalls(world: World) -> None:
    host = world.database.server.partition(":")[0]
    world.secret(world.database.url(server=f"{host}:1"))
    world.upgrade(world.image(THREE))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "DatabaseUnreachable"
    assert re.search(r"\. Attempt 2 starts at \d\d:\d\d:\d\d UTC\.$", upgrade.message)

    upgrade = world.wait_run(2, seconds=RETRY_SECONDS)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["attempt"] == 2
    assert len(upgrade.history) == 1  # a try that fails as the one before it takes its place
    assert len(world.created_jobs()) == 2
    # One Event for the transition, none for each retry.
    world.wait_events({"MigrationStarted": 1, "MigrationFailed": 1})


def test_a_database_that_does_not_exist_is_tried_again_until_it_does(world: World) -> None:
    missing = f"{world.database.name}_later"
    world.secret(world.database.url(database=missing))
    world.upgrade(world.image(FIRST))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "DatabaseUnreachable"
    assert "Check host, port and database name" in upgrade.message

    world.database.create_another(missing)
    upgrade = world.wait_for(DONE, seconds=RETRY_SECONDS)
    assert upgrade.run["sequence"] > 1


def test_atlas_own_lock_of_another_secret_means_busy_and_a_later_try(world: World) -> None:
    other = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "other"}}}
    world.secret()
    world.secret(name="other")
    image = world.image({**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE})
    with world.database.closed_gate() as gate:
        world.upgrade(image, "holder")
        world.wait_migrating("holder")
        world.upgrade(image, "waiter", database=other)
        upgrade = world.wait_run(1, "waiter", seconds=RETRY_SECONDS)
        assert upgrade.verdict == held("DatabaseBusy")
        assert upgrade.run["failure"] == "DatabaseLocked"
        gate.open()
    world.wait_for(DONE, "holder")
    upgrade = world.wait_for(DONE, "waiter", seconds=RETRY_SECONDS)
    assert upgrade.run["appliedCount"] == 0
