"""The way of the files as an image volume: no copy, no shell, the kubelet's own pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.cluster import Link
from e2e.scenarios.support.images import FIRST, THREE, folder
from e2e.scenarios.support.upgrade import DONE, RETRIED

if TYPE_CHECKING:
    from e2e.cluster.images import Content
    from e2e.scenarios.support.world import World

# A run that cannot start is given up 15 s before the Job's own deadline, if that comes before its grace of 60 s.
SHORT = {"activeDeadlineSeconds": 40}


def test_migrations_in_an_image_volume_are_applied_without_an_init_container(world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE, at="/db/migrations"), migrations=_volume("/db/migrations"))
    upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 3
    assert world.database.rows("SELECT count(*) FROM users") == [10]
    (pod,) = world.record.latest("pods").values()
    assert "initContainers" not in pod["spec"]


NO_FOLDER: dict[str, dict[str, Content]] = {
    "nothing": {},
    "a file": {"/migrations": b"text"},
    "a link": {"/migrations": Link("/elsewhere")},
}


@pytest.mark.parametrize("contents", NO_FOLDER.values(), ids=NO_FOLDER)
def test_what_is_no_folder_of_the_image_is_told_and_a_correction_runs(
    world: World, contents: dict[str, Content]
) -> None:
    contents = {**folder(world.cluster, FIRST, "/elsewhere"), **contents}
    world.secret()
    world.upgrade(world.push(contents), migrations=_volume(), runner=SHORT)
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "PodSettings"
    assert world.jobs() == {}

    world.upgrade(world.image(FIRST), migrations=_volume())
    world.wait_for(DONE)


def test_an_image_that_does_not_exist_is_given_up_at_once_its_job_removed_and_a_correction_runs(
    world: World,
) -> None:
    world.secret()
    missing = f"{world.cluster.registry}/{world.namespace}/nothing:1"
    world.upgrade(missing, migrations=_volume())
    upgrade = world.wait_run(1, seconds=45)  # less than the minute for what may pass
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "ImagePull"
    assert world.jobs() == {}

    world.upgrade(world.image(FIRST), migrations=_volume())
    world.wait_for(DONE)


def _volume(at: str = "/migrations") -> dict[str, str]:
    return {"dir": at, "delivery": "ImageVolume"}
