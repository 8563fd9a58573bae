"""What the runner's log says of the statement that it executes: its last line of that kind, as JSON."""

import json
from dataclasses import dataclass

from dbupgrade.pod.redact import printable, shortened

_EVENTS = {"applying", "running", "blocked"}
_NAME_BYTES = 255
_TEXT_BYTES = 1024


@dataclass(frozen=True)
class Seen:
    """Where a run is."""

    file: str
    number: int
    """Of the file among those of the run, from 1."""
    of: int
    message: str
    is_blocked: bool = False
    """Whether the statement waits for a lock."""
    statement: int | None = None
    """Of the file, from 1."""


def read(log: str) -> Seen | None:
    """The last line on progress; None when there is none."""
    for line in reversed(log.splitlines()):
        if seen := _seen(line):
            return seen
    return None


def _seen(line: str) -> Seen | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match event:
        case {
            "event": str(name),
            "file": str(file),
            "number": int(number),
            "of": int(of),
            "message": str(text),
        }:
            statement = event.get("statement")
            return (
                None
                if name not in _EVENTS
                else Seen(
                    file=shortened(printable(file), _NAME_BYTES),
                    number=number,
                    of=of,
                    message=shortened(printable(text), _TEXT_BYTES),
                    is_blocked=name == "blocked",
                    statement=statement if isinstance(statement, int) else None,
                )
            )
    return None
