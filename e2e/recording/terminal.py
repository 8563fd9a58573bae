"""What a terminal shows after some output: as much of one as kubectl and `kubectl dbupgrade` need. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby

Cell = tuple[str, str]
"""A character and its style: words out of STYLES, separated by blanks."""
Row = tuple[Cell, ...]
"""A run of characters with its style, and so on; without blanks at the end."""

STYLES = {"1": "bold", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
_PIECE = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<letter>[A-Za-z])|(?P<character>.)", re.DOTALL)


@dataclass
class Terminal:
    """Rows of some width, without an end, since nothing is scrolled away."""

    columns: int
    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: str = ""
    wraps: bool = True

    def write(self, text: str) -> None:
        """Take what a program printed. Raises ValueError for what only a whole terminal knows."""
        for piece in _PIECE.finditer(text):
            if character := piece["character"]:
                self._put(character)
            else:
                self._obey(piece["letter"], piece["numbers"])

    def shown(self) -> tuple[Row, ...]:
        """The rows, as runs of one style."""
        rows = [_runs(row) for row in self.rows]
        while rows and not rows[-1]:
            rows.pop()
        return tuple(rows)

    def _put(self, character: str) -> None:
        if character == "\n":
            self.row += 1
            while len(self.rows) <= self.row:
                self.rows.append([])
        elif character == "\r":
            self.column = 0
        elif self.column < self.columns or self.wraps:
            if self.column == self.columns:
                self._put("\n")
                self._put("\r")
            row = self.rows[self.row]
            row.extend([(" ", "")] * (self.column + 1 - len(row)))
            row[self.column] = (character, self.style)
            self.column += 1

    def _obey(self, letter: str, numbers: str) -> None:
        match letter:
            case "A":
                self.row = max(0, self.row - int(numbers or 1))
            case "J" if numbers in ("", "0"):
                del self.rows[self.row + 1 :]
                del self.rows[self.row][self.column :]
            case "m":
                self._paint(numbers)
            case "h" | "l" if numbers == "?7":
                self.wraps = letter == "h"
            case _:
                raise ValueError(f"the terminal of the recording does not know ESC [ {numbers} {letter}")

    def _paint(self, numbers: str) -> None:
        for number in numbers.split(";"):
            if number in ("", "0"):
                self.style = ""
            else:
                self.style = f"{self.style} {STYLES[number]}".strip()


def _runs(row: list[Cell]) -> Row:
    """Neighbours of one style as one."""
    runs = [
        ("".join(character for character, _ in cells), style)
        for style, cells in groupby(row, key=lambda cell: cell[1])
    ]
    if runs and not runs[-1][1]:
        runs[-1] = (runs[-1][0].rstrip(), "")
    return tuple(run for run in runs if run[0])
