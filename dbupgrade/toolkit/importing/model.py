"""What is read from another tool's folder and from its history. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Self

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Problem

Key = tuple[int, ...]
"""A version as numbers: they are compared one by one, as those of Flyway's 1.10 are."""
Row = Sequence[str | None]
"""A row of a history; booleans are "1" and "0"."""


class HistoryError(Exception):
    """The history says that the database cannot be taken over as it is; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """A file of the other tool."""

    path: str
    """Relative to the folder, with forward slashes."""
    text: str

    @property
    def name(self) -> str:
        """The name alone."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Migration:
    """What becomes a file."""

    source: str
    """Where it stands, for people."""
    key: Key
    label: str
    """The rest of its name."""
    text: str = field(repr=False)
    identity: str = ""
    """By what the history knows it; empty for what is not in it."""
    checksum: str = ""
    """What the history has of its content, if anything."""
    no_transaction: bool = False
    line: int = 1
    """On which line of its source the text begins."""


@dataclass(frozen=True)
class LeftOut:
    """A file that does not become a migration."""

    source: str
    why: str
    expected: bool = False
    """Whether the tool always has such files, so that a warning would be noise."""


@dataclass
class Found:
    """A folder of another tool. What is repeatable comes behind all that has a version."""

    migrations: list[Migration] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, source: str, what: str, line: int | None = None) -> None:
        """Add what cannot be converted."""
        self.problems.append(Problem(Failure.FOREIGN_FORMAT, (source,), what, line))


@dataclass(frozen=True)
class Applied:
    """What a history says."""

    checksums: Mapping[str, str] = field(default_factory=dict)
    """Of each applied migration by its identity; empty where the history has none."""
    up_to: Key | None = None
    """Everything up to this version counts as applied."""
    last: Key | None = None
    """The highest version that was applied; None where versions have no order."""

    @classmethod
    def of_versions(cls, versions: Sequence[int]) -> Self:
        """A history that has numbers and nothing else."""
        return cls({str(version): "" for version in versions}, last=(max(versions),) if versions else None)


@dataclass(frozen=True)
class Format:
    """A tool: how its folder and its history are read."""

    tool: str
    read: Callable[[Sequence[Source]], Found]
    table: str
    columns: str
    """Of the history, as they are selected."""
    order: str
    applied: Callable[[Sequence[Row]], Applied]
    """What the rows say. Raises HistoryError for a failed migration."""


def line_of(text: str, place: int) -> int:
    """The line of a place, from 1."""
    return text.count("\n", 0, place) + 1


def trimmed(text: str, start: int, end: int) -> tuple[str, int]:
    """A part of a text without empty lines around it, and the line on which it begins."""
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip("\r\n"))
    return part.strip("\r\n") + "\n", line_of(text, begin)
