"""A migration of a table that a long transaction uses: nobody waits behind it for long, and it succeeds in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.images import FIRST
from e2e.scenarios.support.upgrade import DONE, RETRIED
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

ALTER = {"20250102000000_alter.sql": "ALTER TABLE users ADD COLUMN more int;"}
READ = "SELECT count(*) FROM users"
EARLY = {"activeDeadlineSeconds": 61}


def test_readers_pass_a_migration_that_waits_behind_a_long_transaction(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    with world.database.transaction(READ):
        world.upgrade(world.image({**FIRST, **ALTER}), policy={"lockTimeout": "1s"})
        job = world.wait_migrating().run["jobName"]

        def tries() -> int:
            return world.kubectl("logs", f"job/{job}", "--container=migrate").count('"lock_timeout"')

        wait_until(lambda: tries() > 1, "it is tried again")
        assert world.database.rows(READ)  # whoever had to wait behind it would do so to the end of the block
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 1
    assert len(world.created_jobs()) == 2


def test_a_run_that_gets_no_lock_before_its_deadline_is_tried_again_by_the_operator(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    with world.database.transaction(READ):
        world.upgrade(world.image({**FIRST, **ALTER}), policy={"lockTimeout": "500ms"}, runner=EARLY)
        upgrade = world.wait_run(2)
        assert (upgrade.verdict, upgrade.run["failure"]) == (RETRIED, "LockTimeout")
        assert upgrade.run["failedFile"] == "20250102000000_alter.sql"
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 1
