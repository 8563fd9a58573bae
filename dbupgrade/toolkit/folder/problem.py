"""What is wrong with a folder of migrations."""

from dataclasses import dataclass
from functools import cached_property

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.sql.splitting import LIBRARY, Rules

SUM = "atlas.sum"


@dataclass(frozen=True)
class Problem:
    """One fault."""

    failure: Failure
    files: tuple[str, ...]
    """The files that it concerns; the first one is at fault."""
    what: str
    """What is wrong and what to do, to follow the file's name."""
    line: int | None = None

    @property
    def file(self) -> str:
        """The file at fault."""
        return self.files[0]

    @property
    def text(self) -> str:
        """The fault as a line for people."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}"


@dataclass(frozen=True)
class Files:
    """The migrations as they are in the folder, in the order of their names, and how the engine reads them."""

    files: tuple[tuple[str, bytes], ...]
    sums: bytes = b""
    """The content of atlas.sum."""
    rules: Rules | None = LIBRARY
    """Where the engine ends a statement; None if it receives the positions."""

    def without(self, names: set[str]) -> "Files":
        """The same without some of the files."""
        return Files(tuple(file for file in self.files if file[0] not in names), self.sums, self.rules)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(name for name, _ in self.files)

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """Those that are text."""
        found = ((name, decoded(data)) for name, data in self.files)
        return [(name, text) for name, text in found if text is not None]


def version(name: str) -> str:
    """What Atlas takes for a file's version."""
    return name.removesuffix(".sql").partition("_")[0]


def line_of(data: bytes, place: int) -> int:
    """The line of a place, from 1."""
    return data.count(b"\n", 0, place) + 1


def decoded(data: bytes) -> str | None:
    """A file as text; None for one that is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
