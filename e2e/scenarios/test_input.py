"""What users write: hostile input is refused by the API server, odd input that is legal works on a real pod."""

from __future__ import annotations

import itertools
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import Link
from e2e.scenarios.support.api import RefusedError, path
from e2e.scenarios.support.images import FIRST, THREE, folder
from e2e.scenarios.support.upgrade import DONE

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

HOSTILE = (
    "'",
    '"',
    "$(id)",
    "$(IMAGE)",
    "`id`",
    ";id",
    "\n",
    "a b",
    "|id",
    "&id",
    ">x",
    "\\",
    "*",
    "é",
    "\0",
)
ODD_FOLDER = "/opt/app@1.2/db+x=y,z/.hidden/v1..2"


def test_characters_that_mean_something_to_a_shell_are_refused_with_the_field(world: World) -> None:
    legal = {"image": "registry.example/app:1", "dir": "/migrations", "baseline": "1"}
    for (field, begin), words in itertools.product(legal.items(), HOSTILE):
        assert _refused(world, {field: begin + words}) == {f"spec.migrations.{field}"}, (field, words)
    assert world.api.request("GET", path("dbupgrades", world.namespace))["items"] == []
    assert world.created_jobs() == []


def test_folders_that_are_no_plain_absolute_paths_are_refused(world: World) -> None:
    for folder_name in (
        "/../etc",
        "/a/../b",
        "/a/..",
        "/./a",
        "/a/.",
        "a",
        "/",
        "",
        "//a",
        "/a//b",
        "/" + "a" * 512,
    ):
        assert _refused(world, {"dir": folder_name}) == {"spec.migrations.dir"}, folder_name


def test_images_that_begin_like_an_option_or_are_too_long_are_refused(world: World) -> None:
    for value in ("", "-rm", "--platform=all", "/app", "a" * 513):
        assert _refused(world, {"image": value}) == {"spec.migrations.image"}, value


@pytest.mark.parametrize("delivery", ["Extract", "ImageVolume"])
def test_a_folder_with_every_legal_character_works(world: World, delivery: str) -> None:
    world.secret()
    image = world.image(FIRST, at=ODD_FOLDER)
    world.upgrade(image, migrations={"dir": f"{ODD_FOLDER}/", "delivery": delivery})
    world.wait_for(DONE)
    assert world.database.tables == ["users"]


def test_a_name_of_253_characters_works(world: World) -> None:
    world.secret()
    name = ".".join(["a" * 50] * 5)[:253].ljust(253, "b")
    world.upgrade(world.image(THREE), name)
    upgrade = world.wait_for(DONE, name)
    assert len(upgrade.run["jobName"]) <= 63
    assert world.created_jobs() == [upgrade.run["jobName"]]
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1}, name)


def test_names_of_files_are_data_too(world: World) -> None:
    """What an image holds is the application team's, and no shell reads it as more than names."""
    world.secret()
    odd = "20250102000000_$(touch x)`id`;'\".sql"
    files = {**FIRST, odd: "CREATE TABLE odd (id int);"}
    contents = {**folder(world.cluster, files), "/migrations/inside": Link("atlas.sum")}
    world.upgrade(world.push(contents))
    world.wait_for(DONE)
    assert world.database.tables == ["odd", "users"]
    assert world.database.versions == ["20250101000000", "20250102000000"]


def _refused(world: World, migrations: dict[str, str]) -> set[str]:
    """The fields that the API server complains about when it refuses a resource."""
    with pytest.raises(RefusedError) as refusal:
        world.upgrade("registry.example/app:1", migrations=migrations)
    assert refusal.value.code == HTTPStatus.UNPROCESSABLE_ENTITY
    return refusal.value.fields
