"""Colours by meaning. They are left out where the output is not a terminal, or where NO_COLOR is set (no-color.org)."""

import os
from enum import Enum
from typing import IO, Any

import click


class Meaning(Enum):
    """What a colour says; the value holds the arguments of `click.style`."""

    GOOD = ("green", False)
    BAD = ("red", False)
    BUSY = ("cyan", False)
    WAITING = ("yellow", False)
    HEADING = (None, True)


_MEANINGS = {
    "Ready": Meaning.GOOD,
    "Holds": Meaning.GOOD,
    "Succeeded": Meaning.GOOD,
    "Running": Meaning.BUSY,
    "Failed": Meaning.BAD,
    "Fails": Meaning.BAD,
    "error": Meaning.BAD,
    "warning": Meaning.WAITING,
    "Waiting": Meaning.WAITING,
    "Planned": Meaning.WAITING,
    "Suspended": Meaning.WAITING,
    "Unseen": Meaning.WAITING,
}


def paint(text: str, meaning: Meaning) -> str:
    """`text` in the colour of its meaning."""
    colour, bold = meaning.value
    return click.style(text, fg=colour, bold=bold or None)


def word(name: str) -> str:
    """A state, verdict or result in its colour."""
    meaning = _MEANINGS.get(name)
    return paint(name, meaning) if meaning else name


def echo(line: str, *, file: IO[Any] | None = None, error: bool = False) -> None:
    """Print a line at once, with its colours only if they are wanted."""
    click.echo(line, file=file, err=error, color=False if os.environ.get("NO_COLOR") else None)
