"""`pip install dbupgrade[toolkit]` brings the same packages as the toolkit's image has."""

from __future__ import annotations

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


def test_the_extra_and_the_group_are_the_same_beside_what_every_installation_has() -> None:
    always = set(PROJECT["project"]["dependencies"])
    for_the_image = set(PROJECT["dependency-groups"]["toolkit"])
    extra = set(PROJECT["project"]["optional-dependencies"]["toolkit"])
    names = {requirement.partition(">")[0] for requirement in always}
    assert extra == {each for each in for_the_image if each.partition(">")[0] not in names}
