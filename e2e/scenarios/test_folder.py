"""What the runner finds wrong with a folder, and with a folder that does not fit the history: nothing is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.images import folder
from e2e.scenarios.support.upgrade import DONE, STALLED

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

FIRST = {"20250101_a.sql": "CREATE TABLE a (n int);\n", "20250301_c.sql": "CREATE TABLE c (n int);\n"}
REFUSED = (
    ("20250301_d.sql", "DuplicateVersion", "has the same version as 20250301_c.sql"),
    ("20250401_d.down.sql", "ForeignFormat", "is the down file"),
    ("20250401_d.SQL", "UnreadableFile", "rename it to 20250401_d.sql"),
)
LATE = {"20250201_b.sql": "CREATE TABLE b (n int);\n"}


def test_a_file_out_of_order_is_named_and_applied_only_as_asked(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    assert world.wait_for(DONE).run["appliedCount"] == 2
    image = world.image({**FIRST, **LATE})
    world.upgrade(image)
    upgrade = world.wait_run(2)
    assert (upgrade.verdict, upgrade.run["failure"]) == (STALLED, "OutOfOrder")
    assert upgrade.run["failedFile"] == "20250201_b.sql"
    assert "20250201_b.sql: was never applied, and its version is below 20250301" in upgrade.message
    assert world.database.tables == ["a", "c"]
    world.upgrade(image, migrations={"execOrder": "NonLinear"})
    assert world.wait_for(DONE).run["appliedCount"] == 1
    assert world.database.tables == ["a", "b", "c"]


def test_a_file_that_was_changed_or_cannot_be_taken_is_named(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    world.upgrade(world.image({**FIRST, "20250301_c.sql": "CREATE TABLE c (n int, m int);\n"}))
    changed = world.wait_run(2)
    assert (changed.verdict, changed.run["failure"]) == (STALLED, "AppliedFileChanged")
    assert changed.run["failedFile"] == "20250301_c.sql"
    for number, (file, failure, why) in enumerate(REFUSED, start=3):
        contents = {**folder(world.cluster, FIRST), f"/migrations/{file}": b"CREATE TABLE d (n int);\n"}
        world.upgrade(
            world.push(contents)
        )  # its atlas.sum is that of the others: Atlas writes none for such a folder
        refused = world.wait_run(number)
        assert (refused.verdict, refused.run["failure"], refused.run["failedFile"]) == (
            STALLED,
            failure,
            file,
        )
        assert why in refused.message
    assert world.database.tables == ["a", "c"]
    world.upgrade(world.image({**FIRST, "20250401_d.sql": "/* a /* b */ c; */ CREATE TABLE d (n int);\n"}))
    assert world.wait_for(DONE).run["appliedCount"] == 1
    assert world.database.tables == ["a", "c", "d"]
