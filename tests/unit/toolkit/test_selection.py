"""New files, by a real git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.selection import new_files

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A branch with one file added, one changed, one not in git; its base has gone on meanwhile."""
    git(tmp_path, "init", "-b", "main")
    folder = tmp_path / "db"
    folder.mkdir()
    for name in ("1.sql", "2.sql"):
        (folder / name).write_text("select 1;")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "base")
    git(tmp_path, "checkout", "-b", "branch")
    (folder / "2.sql").write_text("select 2;")
    (folder / "4 ä.sql").write_text("select 4;")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "branch")
    git(tmp_path, "checkout", "main")
    (folder / "3.sql").write_text("select 3;")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "meanwhile")
    git(tmp_path, "checkout", "branch")
    (folder / "5.sql").write_text("select 5;")
    return folder


def test_what_the_base_has_not_is_new(folder: Path) -> None:
    assert new_files(folder, None) == {"2.sql", "4 ä.sql", "5.sql"}
    assert new_files(folder, "HEAD") == {"5.sql"}


def test_a_base_that_does_not_exist(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BadEnvironmentError, match="not a commit that shares a history"):
        new_files(folder, "nowhere")
    with pytest.raises(BadEnvironmentError, match="not in a Git repository"):
        new_files(tmp_path_factory.mktemp("plain"), "main")


def test_without_git_nobody_knows(tmp_path: Path) -> None:
    assert new_files(tmp_path, None) is None
