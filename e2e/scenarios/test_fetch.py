"""The way of the files from the image to the runner, by crane in an init container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.cluster import Folder, Link
from e2e.scenarios.support.images import FIRST, SECOND, THREE, folder
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.cluster.images import Content
    from e2e.scenarios.support.world import World

    Contents = dict[str, Content]


def _missing(world: World) -> Contents:
    return folder(world.cluster, FIRST, "/elsewhere")


def _empty(world: World) -> Contents:
    return {"/migrations": Folder(), "/app": b"app"}


def _without_sql(world: World) -> Contents:
    return {"/migrations/README": b"none yet", "/migrations/deeper/1.sql": b"SELECT 1;"}


def _a_file(world: World) -> Contents:
    return {"/migrations": b"not a folder"}


def _linked_folder(world: World) -> Contents:
    return {**folder(world.cluster, FIRST, "/files"), "/migrations": Link("/files")}


def _leaving_link(world: World) -> Contents:
    return {**folder(world.cluster, FIRST), "/migrations/2.sql": Link("../etc/passwd"), "/etc/passwd": b"x"}


def _absolute_link(world: World) -> Contents:
    return {**folder(world.cluster, FIRST), "/migrations/2.sql": Link("/proc/self/environ")}


def _leaving_hard_link(world: World) -> Contents:
    return {**folder(world.cluster, FIRST), "/other": b"x", "/migrations/2.sql": Link("/other", hard=True)}


def _wrong_checksum(world: World) -> Contents:
    return {**folder(world.cluster, THREE), "/migrations/20250101000000_users.sql": b"DROP TABLE users;"}


def _without_checksum(world: World) -> Contents:
    return {"/migrations/20250101000000_users.sql": b"CREATE TABLE users (id int);"}


@pytest.mark.parametrize(
    ("contents", "failure", "words"),
    [
        (_missing, "MissingFolder", "the image has no such folder"),
        (_a_file, "MissingFolder", "the image has no such folder"),
        (_empty, "EmptyFolder", "the folder holds no migrations"),
        (_without_sql, "EmptyFolder", "the folder holds no migrations"),
        (_linked_folder, "UnsafeLink", "the folder is a symbolic link"),
        (_leaving_link, "UnsafeLink", "a link that leaves it"),
        (_absolute_link, "UnsafeLink", "a link that leaves it"),
        (_leaving_hard_link, "UnsafeLink", "a link that leaves it"),
        (_wrong_checksum, "ChecksumMismatch", "atlas.sum is missing or does not match the files"),
        (_without_checksum, "ChecksumMismatch", "atlas.sum is missing or does not match the files"),
    ],
)
def test_a_folder_that_cannot_be_trusted_stalls_with_its_reason(
    world: World, contents: Callable[[World], Contents], failure: str, words: str
) -> None:
    world.secret()
    world.upgrade(world.push(contents(world)))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == failure
    assert words in upgrade.message
    assert "To do: " in upgrade.message
    assert world.database.tables == []
    assert world.created_jobs() == [upgrade.run["jobName"]]


def test_an_image_that_is_not_there_is_tried_again_and_a_correction_runs_at_once(world: World) -> None:
    world.secret()
    world.upgrade(f"{world.cluster.registry}/{world.namespace}/nothing:1")
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "FetchFailed"
    assert "Tried again at " in upgrade.message

    world.upgrade(world.image(THREE))
    upgrade = world.wait_for(DONE)
    assert upgrade.run["attempt"] == 1


def test_links_inside_the_folder_are_fine(world: World) -> None:
    contents = folder(world.cluster, {**FIRST, **SECOND})
    text = contents["/migrations/20250102000000_orders.sql"]
    contents |= {"/migrations/parts/two": text, "/migrations/20250102000000_orders.sql": Link("parts/two")}
    world.secret()
    world.upgrade(world.push(contents))
    world.wait_for(DONE)
    assert world.database.tables == ["orders", "users"]


def test_a_database_with_tables_but_no_history_needs_a_baseline(world: World) -> None:
    world.database.rows("CREATE TABLE users (id int PRIMARY KEY)")
    world.secret()
    image = world.image(THREE)
    world.upgrade(image)
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == "NotClean"
    assert "set spec.migrations.baseline" in upgrade.message
    assert world.database.tables == ["users"]

    world.upgrade(image, migrations={"baseline": "20250101000000"})
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert world.database.tables == ["orders", "users"]
