"""What only psql understands: its commands, and the data of COPY … FROM stdin."""

import re
from collections.abc import Iterator

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Files, Problem

_COPY = re.compile(r"\bcopy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE)
_COMMAND = re.compile(r"^[ \t]*\\(?:[a-zA-Z!?]+|\.)", re.MULTILINE)
_LOOK = re.compile(rb"^[ \t]*\\(?:[a-zA-Z!?]|\.)|\bfrom\s+stdin\b", re.MULTILINE | re.IGNORECASE)


def look(folder: Files) -> Iterator[Problem]:
    """The files that only psql can run."""
    for name, data in folder.files:
        if _LOOK.search(data) and (found := _found(data.decode())):
            what, line = found
            yield Problem(Failure.UNREADABLE_FILE, (name,), what, line)


def _found(text: str) -> tuple[str, int] | None:
    """What is psql's and where; a literal or a comment may hold the same words."""
    from dbupgrade.toolkit.sql import parser  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    copy = "contains data of COPY … FROM stdin, which only psql supports: use INSERT, or engine Psql"
    try:
        found = parser.copy_from_stdin(text)
    except parser.ParseError as error:
        broken = error.line
    else:
        return (copy, found) if found else None
    for pattern in (_COPY, _COMMAND):
        match = pattern.search(text)
        if match and (line := parser.line_of(text, match.start())) <= broken:
            command = f"contains the psql command {match[0].strip()}: use plain SQL, or engine Psql"
            return (copy if pattern is _COPY else command), line
    return None
