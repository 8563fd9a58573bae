"""The folder of migrations."""

from pathlib import Path

SUM = "atlas.sum"


class FolderError(Exception):
    """The folder cannot be used."""


def check(folder: Path) -> None:
    """Raise FolderError unless there are migrations: to Atlas an empty folder is a success."""
    if not folder.is_dir():
        raise FolderError(f"there is no folder {folder}")
    if not sql_files(folder):
        raise FolderError(f"the folder {folder} holds no *.sql")


def sql_files(folder: Path) -> list[Path]:
    """The migrations, in the order of Atlas."""
    return sorted(path for path in folder.iterdir() if path.suffix == ".sql" and path.is_file())
