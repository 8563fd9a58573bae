"""The folder of migrations."""

import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import SUM, Files, Problem

_MAX_FILE_BYTES = 256 << 20  # what the fetch takes of a whole folder


class FolderError(Exception):
    """The folder cannot be used."""


class Named(Protocol):
    """A file's name and text."""

    @property
    def name(self) -> str:
        """As in the folder."""

    @property
    def version(self) -> str:
        """What Atlas takes for its version."""

    @property
    def text(self) -> str:
        """All of it."""


def check(folder: Path) -> None:
    """Raise FolderError unless there are migrations: to Atlas an empty folder is a success."""
    if not folder.is_dir():
        raise FolderError(f"folder {folder} does not exist")
    if not sql_files(folder):
        raise FolderError(f"folder {folder} contains no *.sql files")


def sql_files(folder: Path) -> list[Path]:
    """The migrations, in the order of Atlas."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".sql" and path.is_file())


def contents(folder: Path) -> tuple[Files, list[Problem]]:
    """The migrations as they are, and those entries that cannot be read."""
    files, problems = [], []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".sql"):
        if path.suffix != ".sql":
            what = f"would be ignored, since only names that end in .sql count: rename it to {path.stem}.sql"
            problems.append(Problem(Failure.UNREADABLE_FILE, (path.name,), what))
            continue
        try:
            if what := _unusable(path):
                problems.append(Problem(Failure.UNREADABLE_FILE, (path.name,), what))
            else:
                files.append((path.name, path.read_bytes()))
        except OSError as error:
            what = (
                f"cannot be read ({error.strerror}): it must be a file that the user of this process may read"
            )
            problems.append(Problem(Failure.UNREADABLE_FILE, (path.name,), what))
    try:
        what = _unusable(folder / SUM)
        sums = b"" if what else (folder / SUM).read_bytes()
    except OSError:
        what, sums = "", b""  # for the engine to say
    if what:
        problems.append(Problem(Failure.CHECKSUM, (SUM,), what))
    return Files(tuple(files), sums), problems


def _unusable(path: Path) -> str:
    """Why the file must not even be opened: a pipe may never end, and a device has no end. Raises OSError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file, but a pipe, a device, a socket or a folder: put a file with SQL in its place"
    if status.st_size > _MAX_FILE_BYTES:
        return f"is larger than {_MAX_FILE_BYTES >> 20} MiB: load the data by other means than a migration"
    return ""


def ignored(folder: Path) -> list[str]:
    """The names of the subfolders that contain *.sql files, which are not migrations to any engine."""
    inside = (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink())
    return [path.name for path in inside if next(path.rglob("*.sql"), None)]


def read(folder: Path) -> list[tuple[str, str]]:
    """Name and text of the migrations, line ends as they are. Raises FolderError."""
    try:
        return [(path.name, path.read_bytes().decode()) for path in sql_files(folder)]
    except UnicodeDecodeError:
        raise FolderError(f"a file in {folder} is not UTF-8") from None


def copy_with(folder: Path, target: Path, changed: Mapping[str, Sequence[Named]]) -> None:
    """Copy the migrations to `target`, those of `changed` as their parts."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in sql_files(folder):
        if path.name in changed:
            write(target, changed[path.name])
        else:
            shutil.copyfile(path, target / path.name)


def write(folder: Path, files: Iterable[Named]) -> None:
    """Write files, the last one first: the first has the name of what it replaces, and goes when all others are there."""
    for file in reversed(list(files)):
        new = folder / f".{file.name}.new"
        new.write_bytes(file.text.encode())
        new.replace(folder / file.name)


def write_sums(folder: Path, content: bytes) -> None:
    """Write atlas.sum. Raises FolderError where the folder cannot be written."""
    new = folder / f".{SUM}.new"
    try:
        new.write_bytes(content)
        new.replace(folder / SUM)
    except OSError as error:
        raise FolderError(
            f"{folder / SUM} cannot be written ({error.strerror}): the user of this process must be able to write to the folder"
        ) from None
