"""One database, several resources: one after the other, and never two pods at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, FOURTH, SECOND
from e2e.scenarios.support.upgrade import DONE, held

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

WAIT = {"20250103000000_wait.sql": WAIT_AT_GATE}
BUSY = held("DatabaseBusy")


def test_a_second_resource_on_the_same_secret_waits_for_the_first(world: World) -> None:
    world.secret()
    slow, more = world.image({**FIRST, **WAIT}), world.image({**FIRST, **WAIT, **FOURTH})
    with world.database.closed_gate() as gate:
        world.upgrade(slow, "first")
        world.wait_migrating("first")
        world.upgrade(more, "second")
        world.upgrade(more, "third")
        for name in ("second", "third"):
            upgrade = world.wait_for(BUSY, name)
            assert upgrade.message.startswith("waiting for the database: ")
            assert "first" in upgrade.message
            assert upgrade.run == {}
        assert len(world.created_jobs()) == 1
        gate.open()
    applied = {name: world.wait_for(DONE, name).run["appliedCount"] for name in ("first", "second", "third")}
    assert applied["first"] == 2
    assert sorted((applied["second"], applied["third"])) == [0, 1]
    assert len(world.created_jobs()) == 3
    assert world.live_pods_at_most() == 1


def test_resources_on_other_databases_do_not_wait(world: World) -> None:
    another = f"{world.database.name}_another"
    world.database.create_another(another)
    world.secret()
    world.secret(world.database.url(database=another), name="another")
    with world.database.closed_gate() as gate:
        world.upgrade(world.image({**FIRST, **WAIT}), "slow")
        world.wait_migrating("slow")
        database = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "another"}}}
        world.upgrade(world.image({**FIRST, **SECOND}), "free", database=database)
        world.wait_for(DONE, "free")
        gate.open()
    world.wait_for(DONE, "slow")
