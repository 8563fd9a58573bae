"""Liquibase: the output of `liquibase update-sql`, which has each changeset as SQL, whatever format it is written in. Pure."""

import re
from collections.abc import Sequence

from dbupgrade.toolkit.importing.model import (
    Applied,
    Format,
    Found,
    HistoryError,
    LeftOut,
    Migration,
    Row,
    Source,
    line_of,
    trimmed,
)

_CHANGESET = re.compile(r"^-- Changeset (?P<file>.+)::(?P<id>.+)::(?P<author>.+?)[ \t\r]*$", re.MULTILINE)
_CHANGELOG = re.compile(r"\.(?:xml|ya?ml|json)$")
_OWN_TABLES = re.compile(r"^[^\n]*\bdatabasechangelog(?:lock)?\b", re.IGNORECASE | re.MULTILINE)
_HOW = (
    "write the SQL of all changesets to a file and import that: "
    "`liquibase update-sql --url=offline:postgresql --output-file=all.sql`"
)


def _read(sources: Sequence[Source]) -> Found:
    """One file for each changeset, numbered in the order in which Liquibase applies them."""
    found = Found()
    for source in sources:
        starts = list(_CHANGESET.finditer(source.text))
        if starts:
            for start, end in zip(starts, [*starts[1:], None], strict=True):
                _add(found, source, start, end.start() if end else len(source.text))
        elif _CHANGELOG.search(source.name) or "liquibase formatted sql" in source.text[:200].lower():
            _refuse(found, source, "is a changelog")
        elif source.name.endswith(".sql"):
            found.left_out.append(LeftOut(source.path, "it contains no changeset as update-sql writes them"))
    return found


def _refuse(found: Found, source: Source, what: str, line: int | None = None) -> None:
    """Only the first: what there is to do is the same for all of them."""
    if not found.problems:
        found.refuse(source.path, f"{what}: {_HOW}", line)


def _add(found: Found, source: Source, start: re.Match[str], end: int) -> None:
    text, begins = trimmed(source.text, start.end(), end)
    file, name, author = start["file"], start["id"], start["author"]
    identity, line = f"{file}::{name}::{author}", line_of(source.text, start.start())
    if match := _OWN_TABLES.search(source.text, start.end(), end):
        _refuse(found, source, "writes Liquibase's own history", line_of(source.text, match.start()))
    elif text.strip():
        number = len(found.migrations) + 1
        found.migrations.append(
            Migration(
                f"{source.path} ({identity})", (number,), f"{author}_{name}", text, identity, line=begins
            )
        )
    else:
        found.left_out.append(
            LeftOut(
                f"{source.path}:{line} ({identity})",
                "it has no SQL: what it does is written in Java, or nothing",
            )
        )


def _applied(rows: Sequence[Row]) -> Applied:
    known = {}
    for name, author, file, kind in rows:
        identity = f"{str(file).removeprefix('classpath:')}::{name}::{author}"
        if kind == "FAILED":
            raise HistoryError(f"{identity} failed: correct it and run `liquibase update` again")
        known[identity] = ""
    return Applied(known)


FORMAT = Format(
    tool="Liquibase",
    read=_read,
    table="databasechangelog",
    columns="id, author, filename, exectype",
    order="orderexecuted",
    applied=_applied,
)
