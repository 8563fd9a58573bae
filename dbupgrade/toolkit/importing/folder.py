"""The other tool's folder, and that of the imported files, on disk."""

from collections.abc import Mapping
from pathlib import Path

from dbupgrade.toolkit.folder import FolderError, sql_files, write_sums
from dbupgrade.toolkit.history import changes
from dbupgrade.toolkit.importing.model import Source

_MAX_FILE_BYTES = 64 << 20
_BOM = "utf-8-sig"
_READ = {".sql", ".conf"}
"""Of other files, only the names count: a folder may hold a whole repository."""


def read(path: Path) -> list[Source]:
    """The files of a folder and its subfolders in the order of their paths, or one file. Raises FolderError."""
    if path.is_file():
        return [Source(path.name, _text(path))]
    if not path.is_dir():
        raise FolderError(f"{path} does not exist")
    files = sorted(each for each in path.rglob("*") if each.is_file() and not _hidden(each.relative_to(path)))
    return [
        Source(each.relative_to(path).as_posix(), _text(each) if each.suffix in _READ else "")
        for each in files
    ]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _text(path: Path) -> str:
    """The text without its byte order mark."""
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise FolderError(
            f"{path} is larger than {_MAX_FILE_BYTES >> 20} MiB: load data in another way than by a migration"
        )
    try:
        return path.read_bytes().decode(_BOM)
    except UnicodeDecodeError:
        raise FolderError(f"{path} is not UTF-8: convert it, for example with iconv") from None


def write(target: Path, files: Mapping[str, str], *, sums: bool) -> int:
    """Write the files that are not there yet, and atlas.sum; returns how many. Raises FolderError.

    What was imported before may stay, with newer files behind it.
    """
    target.mkdir(parents=True, exist_ok=True)
    there = {path.name: path.read_bytes() for path in sql_files(target)}
    for name, data in there.items():
        if name in files and data != files[name].encode():
            raise FolderError(f"{target / name} exists and has another content: import into an empty folder")
        if name not in files and name < max(files):
            raise FolderError(f"{target / name} exists and was not imported: import into an empty folder")
    new = {name: text.encode() for name, text in files.items() if name not in there}
    for name, data in new.items():
        (target / name).write_bytes(data)
    if sums:
        write_sums(target, changes.sums(sorted({**there, **new}.items())))
    return len(new)
