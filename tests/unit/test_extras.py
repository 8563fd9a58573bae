"""`pip install dbupgrade[toolkit]` brings the same packages as the toolkit's image has."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def test_the_extra_and_the_group_are_the_same_beside_what_every_installation_has() -> None:
    always = set(PROJECT["project"]["dependencies"])
    for_the_image = set(PROJECT["dependency-groups"]["toolkit"])
    extra = set(PROJECT["project"]["optional-dependencies"]["toolkit"])
    names = {requirement.partition(">")[0] for requirement in always}
    assert extra == {each for each in for_the_image if each.partition(">")[0] not in names}


WITHOUT = "import sys; sys.modules[{!r}] = None; from dbupgrade.__main__ import main; sys.exit(main({}))"


@pytest.mark.parametrize(
    ("package", "words"), [("asyncpg", ["migrate", "status"]), ("postgast", ["migrate", "lint"])]
)
def test_without_the_extra_one_sentence_says_what_to_install(
    package: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "1_one.sql").write_text("CREATE INDEX CONCURRENTLY i ON t (a);")
    (tmp_path / "atlas.sum").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package, words)],
        env={**os.environ, "MIGRATION_DIR": str(tmp_path), "DATABASE_URL": "postgres://u:p@localhost:1/d"},
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 2
    told = f"dbupgrade: `migrate` needs the package {package}: pip install 'dbupgrade[toolkit]'\n"
    assert done.stderr == told
