"""Entries of a folder that are not files, or that are huge: an image may hold them, and nothing waits for them or reads them."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbupgrade.toolkit.folder import contents

SECONDS = 60
SQL = "create table a (id int);"
LOOK = """
import sys
from pathlib import Path
from dbupgrade.toolkit.folder import contents
files, problems = contents(Path(sys.argv[1]))
print([name for name, _ in files.files], [(problem.failure.value, *problem.files) for problem in problems])
"""


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 << 20)


def link_to_a_pipe(path: Path) -> None:
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


MAKE: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a link to a device": link_to_a_device,
    "a link to a pipe": link_to_a_pipe,
    "a folder": Path.mkdir,
    "300 MiB of zeros": sparse,
}


def looked_at(folder: Path) -> str:
    """What is found there by a process that ends in time, and takes little memory."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(folder)], capture_output=True, text=True, check=True, timeout=SECONDS
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", MAKE)
def test_what_is_not_a_file_is_told_and_not_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "1_a.sql").write_text(SQL)
    MAKE[name](folder / "2_b.sql")
    assert looked_at(folder) == "['1_a.sql'] [('UnreadableFile', '2_b.sql')]"


@pytest.mark.parametrize("name", ["a pipe", "a link to a device", "300 MiB of zeros"])
def test_a_sum_that_is_not_a_file_is_told_and_not_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "1_a.sql").write_text(SQL)
    MAKE[name](folder / "atlas.sum")
    assert looked_at(folder) == "['1_a.sql'] [('ChecksumMismatch', 'atlas.sum')]"


def test_twenty_thousand_files_are_read(tmp_path: Path) -> None:
    for number in range(20_000):
        (tmp_path / f"{number:05d}_x.sql").write_text("select 1;")
    files, problems = contents(tmp_path)
    assert (len(files.files), problems) == (20_000, [])


def test_a_name_with_a_line_end_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "1_a\n2_b.sql").write_text(SQL)
    files, problems = contents(tmp_path)
    assert ([name for name, _ in files.files], problems) == (["1_a\n2_b.sql"], [])
