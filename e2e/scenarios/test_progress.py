"""A run that takes long says what it is doing, and who keeps it waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from e2e.scenarios.support.images import FIRST
from e2e.scenarios.support.upgrade import DONE

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

ALTER = {"20250105000000_age.sql": "SET lock_timeout = '10min';\nALTER TABLE users ADD COLUMN age int;\n"}


def test_a_lock_that_is_waited_for_is_in_the_status(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    with asyncio.Runner() as runner:
        reader = runner.run(asyncpg.connect(f"{world.database.url()}&application_name=reporting"))
        runner.run(reader.execute("BEGIN; SELECT count(*) FROM users"))
        try:
            world.upgrade(world.image({**FIRST, **ALTER}))
            waiting = world.wait_for(
                lambda upgrade: upgrade.verdict.reason == "WaitingForLock",
                what="the status says that it waits",
            )
        finally:
            runner.run(reader.close())
    progress = waiting.run["progress"]
    assert (progress["file"], progress["number"], progress["of"], progress["statement"]) == (
        "20250105000000_age.sql",
        1,
        1,
        2,
    )
    assert waiting.message == progress["message"]
    assert "for a lock on users, held by application 'reporting' (pid " in waiting.message
    assert "progress" not in world.wait_for(DONE).run
