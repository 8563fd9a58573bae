"""What a server says of the session that executes a file."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dbupgrade.toolkit.progress.place import Place
from dbupgrade.toolkit.progress.waits import Wait


@dataclass(frozen=True)
class Look:
    """What was seen at one time."""

    place: Place
    """With the statement, where only the server knows it."""
    wait: Wait | None = None
    progress: Mapping[str, Any] | None = None
    """How far the statement is: phase, relation, done, total, rows."""


Looker = Callable[[Place], Awaitable[Look]]
"""Observes the session of a place."""


class CannotLookError(Exception):
    """The server did not answer; the message names the kind of error, and nothing else."""
