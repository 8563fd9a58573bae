"""What psql says on standard error, read as it comes. Pure.

A file decides much of it, also lines that look like psql's own: only a path that no file can know makes an error of the file
certain. All of it is kept within bounds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_HEAD = re.compile(
    r"psql:(?:(?P<path>.*?):(?P<line>\d+):)? ?(?P<kind>[A-Za-z0-9]+): +(?P<text>.*)", re.DOTALL
)
_ERRORS = {"ERROR", "FATAL", "PANIC", "error"}
_STATEMENT = "STATEMENT"
_MAX_CHARACTERS = 12_000


@dataclass
class Error:
    """An error, and the statement that psql repeats after it."""

    text: str
    path: str = ""
    line: int | None = None
    statement: str = ""
    is_last: bool = True
    """Whether the file has not gone on to others."""


@dataclass
class Transcript:
    """One step of a session: its first error, and what else was said."""

    root: str
    """What the paths of the migrations begin with; nothing that runs knows it."""
    other: Callable[[str], None]
    """Takes each line that is not of an error."""
    error: Error | None = None
    _into: str = field(default="")
    """Where lines that belong to the line before go."""

    def add(self, line: str) -> None:
        """Read the next line."""
        before, ours, after = line.partition(f"psql:{self.root}")
        if ours and before:  # a file has printed the beginning of a line
            self.add(before)
            line = ours + after
        head = _HEAD.fullmatch(line)
        is_certain = self.error is not None and self.error.path.startswith(self.root)
        is_ours = head is not None and (head["path"] or "").startswith(self.root)
        if head and head["kind"] in _ERRORS and not is_certain:
            number = int(head["line"]) if head["line"] and len(head["line"]) < 10 else None  # noqa: PLR2004
            self.error, self._into = Error(head["text"], head["path"] or "", number), "text"
        elif (
            head
            and head["kind"] == _STATEMENT
            and is_ours is is_certain
            and self._into == "text"
            and self.error
        ):
            self.error.statement, self._into = head["text"], "statement"
        elif self._into and self.error and not is_ours:
            text = f"{getattr(self.error, self._into)}\n{line}"
            setattr(self.error, self._into, text[:_MAX_CHARACTERS])
        else:
            self._into = ""
            if self.error and head and head["kind"] in _ERRORS:
                self.error.is_last = False
            self.other(line)
