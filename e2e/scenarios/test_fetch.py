"""The way of the files from the image to the runner: by crane in an init container, and as an image volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from e2e.cluster import Folder, Link
from e2e.cluster.images import PLATFORM, Special
from e2e.scenarios.support.images import FIRST, FOURTH, SECOND, THREE, crane, folder
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def _pipe(world: World) -> Contents:
    return {**folder(world.cluster, THREE), "/migrations/2.sql": Special()}


def _device(world: World) -> Contents:
    return {**folder(world.cluster, THREE), "/migrations/2.sql": Special(device=(1, 5))}  # /dev/zero


def _line_end(world: World) -> Contents:
    """A name with a line end, which is not in atlas.sum."""
    return {**folder(world.cluster, THREE), "/migrations/3_a\n4_b.sql": b"DROP TABLE users;"}


def _wrong_checksum(world: World) -> Contents:
    return {**folder(world.cluster, THREE), "/migrations/20250101000000_users.sql": b"DROP TABLE users;"}


def _without_checksum(world: World) -> Contents:
    return {"/migrations/20250101000000_users.sql": b"CREATE TABLE users (id int);"}


EXTRACT, VOLUME = "Extract", "ImageVolume"
deliveries = pytest.mark.parametrize("delivery", [EXTRACT, VOLUME])
# What the kubelet refuses to mount is in test_image_volume; Atlas follows links, and finds that atlas.sum has other contents.
NO_FOLDER = ("MissingFolder", "the image does not contain the folder spec.migrations.dir")
EMPTY = ("EmptyFolder", "the folder contains no migrations")
UNSAFE_FOLDER = ("UnsafeLink", "the folder is a symbolic link")
UNSAFE_LINK = ("UnsafeLink", "a link that points outside of it")
UNREADABLE = ("UnreadableFile", "2.sql")
CHECKSUM = ("ChecksumMismatch", "atlas.sum is missing or does not match the files")


@pytest.mark.parametrize(
    ("delivery", "contents", "told"),
    [
        (EXTRACT, _missing, NO_FOLDER),
        (EXTRACT, _a_file, NO_FOLDER),
        (EXTRACT, _empty, EMPTY),
        (EXTRACT, _without_sql, EMPTY),
        (EXTRACT, _linked_folder, UNSAFE_FOLDER),
        (EXTRACT, _leaving_link, UNSAFE_LINK),
        (EXTRACT, _absolute_link, UNSAFE_LINK),
        (EXTRACT, _leaving_hard_link, UNSAFE_LINK),
        (EXTRACT, _pipe, UNREADABLE),
        (VOLUME, _pipe, UNREADABLE),
        (VOLUME, _device, UNREADABLE),
        (EXTRACT, _line_end, CHECKSUM),
        (EXTRACT, _wrong_checksum, CHECKSUM),
        (EXTRACT, _without_checksum, CHECKSUM),
        (VOLUME, _empty, EMPTY),
        (VOLUME, _without_sql, EMPTY),
        (VOLUME, _leaving_link, CHECKSUM),
        (VOLUME, _absolute_link, UNREADABLE),
        (VOLUME, _leaving_hard_link, CHECKSUM),
        (VOLUME, _wrong_checksum, CHECKSUM),
        (VOLUME, _without_checksum, CHECKSUM),
    ],
)
def test_a_folder_that_cannot_be_trusted_stalls_with_its_reason(
    world: World, delivery: str, contents: Callable[[World], Contents], told: tuple[str, str]
) -> None:
    world.secret()
    world.upgrade(world.push(contents(world)), migrations={"delivery": delivery})
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == told[0]
    assert told[1] in upgrade.message
    assert KINDS[Failure(told[0])].advise() in upgrade.message
    assert world.database.tables == []
    assert world.created_jobs() == [upgrade.run["jobName"]]


def test_a_device_cannot_be_extracted_and_is_told(world: World) -> None:
    world.secret()
    world.upgrade(world.push(_device(world)))
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (RETRIED, "FetchFailed")
    assert world.database.tables == []


def test_a_folder_that_is_too_large_stalls(world: World, tmp_path: Path) -> None:
    with (tmp_path / "dump").open("wb") as dump:
        dump.truncate(257 << 20)
    world.secret()
    world.upgrade(world.push({**folder(world.cluster, FIRST), "/migrations/dump": tmp_path / "dump"}))
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (STALLED, "FolderTooLarge")
    assert "larger than 256 MiB" in upgrade.message
    assert world.database.tables == []


@deliveries
def test_of_an_image_for_several_platforms_that_of_the_node_is_taken(world: World, delivery: str) -> None:
    here, elsewhere = PLATFORM, "linux/amd64" if PLATFORM == "linux/arm64" else "linux/arm64"
    other = world.push(folder(world.cluster, {**FIRST, **FOURTH}), elsewhere)
    ours = world.push(folder(world.cluster, {**FIRST, **SECOND}), here)
    world.secret()
    world.upgrade(world.push_index(other, ours), migrations={"delivery": delivery})
    upgrade = world.wait_for(DONE)
    assert world.database.tables == ["orders", "users"]
    if delivery == EXTRACT:
        assert upgrade.run["digest"] == crane(world.cluster, "digest", ours)


def test_an_image_that_has_not_the_nodes_platform_is_not_taken(world: World) -> None:
    elsewhere = "linux/amd64" if PLATFORM == "linux/arm64" else "linux/arm64"
    world.secret()
    world.upgrade(world.push_index(world.push(folder(world.cluster, FIRST), elsewhere)))
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (RETRIED, "FetchFailed")
    assert "the image is not available for the node's architecture" in upgrade.message
    assert world.database.tables == []


def test_an_image_that_is_not_there_is_tried_again_and_a_correction_runs_at_once(world: World) -> None:
    world.secret()
    world.upgrade(f"{world.cluster.registry}/{world.namespace}/nothing:1")
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "FetchFailed"
    assert "the registry does not have this repository" in upgrade.message
    assert "Attempt 2 starts at " in upgrade.message

    world.upgrade(world.image(THREE))
    upgrade = world.wait_for(DONE)
    assert upgrade.run["attempt"] == 1


@deliveries
def test_links_inside_the_folder_are_fine(world: World, delivery: str) -> None:
    contents = folder(world.cluster, {**FIRST, **SECOND})
    text = contents["/migrations/20250102000000_orders.sql"]
    contents |= {"/migrations/parts/two": text, "/migrations/20250102000000_orders.sql": Link("parts/two")}
    world.secret()
    world.upgrade(world.push(contents), migrations={"delivery": delivery})
    world.wait_for(DONE)
    assert world.database.tables == ["orders", "users"]


@deliveries
def test_a_database_with_tables_but_no_history_needs_a_baseline(world: World, delivery: str) -> None:
    world.database.rows("CREATE TABLE users (id int PRIMARY KEY)")
    world.secret()
    image = world.image(THREE)
    world.upgrade(image, migrations={"delivery": delivery})
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == "NotClean"
    assert "Set spec.migrations.baseline" in upgrade.message
    assert world.database.tables == ["users"]

    world.upgrade(image, migrations={"delivery": delivery, "baseline": "2024"})
    upgrade = world.wait_for(
        lambda upgrade: upgrade.run.get("failure") == "BaselineNotFound", what="it looked"
    )
    assert upgrade.verdict == STALLED
    assert "no file with the version in spec.migrations.baseline" in upgrade.message

    world.upgrade(image, migrations={"delivery": delivery, "baseline": "20250101000000"})
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert world.database.tables == ["orders", "users"]


@deliveries
def test_a_baseline_passes_nothing_over_in_a_new_database(world: World, delivery: str) -> None:
    world.secret()
    world.upgrade(world.image(THREE), migrations={"delivery": delivery, "baseline": "20250102000000"})
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["appliedCount"], upgrade.run["attempt"]) == (3, 1)
    assert world.database.tables == ["orders", "users"]


@deliveries
def test_a_file_that_is_half_applied_and_then_changed_is_another_history(world: World, delivery: str) -> None:
    """Without a transaction around the file, what came before the failing statement stays."""
    name, keep = "20250102000000_orders.sql", "-- atlas:txmode none\n\n"
    first, changed = "CREATE TABLE orders (id int);\n", "CREATE TABLE invoices (id int);\n"
    world.secret()
    world.upgrade(
        world.image({**FIRST, name: keep + first + "SELECT 1/0;\n"}), migrations={"delivery": delivery}
    )
    assert world.wait_run(1).run["failure"] == "SQLError"
    world.upgrade(
        world.image({**FIRST, name: keep + changed + "SELECT 1;\n"}), migrations={"delivery": delivery}
    )
    upgrade = world.wait_run(2)
    assert (upgrade.verdict, upgrade.run["failure"]) == (STALLED, "HistoryDiverged")
    assert "ship an image that continues that history" in upgrade.message
    assert world.database.tables == ["orders", "users"]
