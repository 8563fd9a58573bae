"""The end of a terminal, where lines are replaced in place; on anything else, lines are only ever added."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dbupgrade.cli import style

_CLEAR = "\x1b[J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
"""A line that the terminal would wrap takes more room than is known here (wide characters, for example)."""


class Screen:
    """Lines that stay, and below them those that are replaced. On leaving, the latter are gone."""

    def __init__(self, *, live: bool | None = None) -> None:
        self.live = _is_terminal() if live is None else live
        """Whether lines can be replaced."""
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.show([])

    def add(self, line: str) -> None:
        """Print a line that stays."""
        self.show([])
        style.echo(line)

    def show(self, lines: Sequence[str]) -> None:
        """Replace the last lines. Does nothing where lines cannot be replaced."""
        if not self.live or not (lines or self._shown):
            return
        columns, rows = shutil.get_terminal_size()
        fitting = [part for line in lines for part in _fit(line, columns)][: rows - 1]
        back = f"\x1b[{self._shown}A" if self._shown else ""
        sys.stdout.write(back + "\r" + _CLEAR + _NO_WRAP + "".join(line + "\n" for line in fitting) + _WRAP)
        sys.stdout.flush()
        self._shown = len(fitting)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _fit(line: str, columns: int) -> list[str]:
    """A line in lines that are not wider than the terminal; what is continued keeps its indentation."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, max(columns, 20), subsequent_indent=indent, break_on_hyphens=False) or [""]
