"""goose: VERSION_NAME.sql with the sections `-- +goose Up` and `-- +goose Down`. Pure."""

import re
from collections.abc import Sequence

from dbupgrade.toolkit.importing.model import (
    Applied,
    Format,
    Found,
    LeftOut,
    Migration,
    Row,
    Source,
    line_of,
    trimmed,
)
from dbupgrade.toolkit.importing.sections import sections

_NAME = re.compile(r"(\d+)_(.*)\.(sql|go)")
_SECTION = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+(up|down)\b[^\n]*\n?", re.MULTILINE | re.IGNORECASE)
_ANNOTATION = re.compile(
    r"^[ \t]*--[ \t]*\+goose[ \t]+([^\n]*?)[ \t\r]*(?:\n|\Z)", re.MULTILINE | re.IGNORECASE
)
_NO_TRANSACTION = "no transaction"
_GROUPING = {"statementbegin", "statementend"}
"""Where a statement ends need not be told: PostgreSQL's own parser is asked."""


def _read(sources: Sequence[Source]) -> Found:
    found = Found()
    for source in sources:
        match = _NAME.fullmatch(source.name)
        if match and match[3] == "go":
            if not source.name.endswith("_test.go"):
                found.refuse(
                    source.path,
                    "is a migration in Go: write it as SQL, or keep goose and run it with engine Command",
                )
        elif match:
            _add(found, source, int(match[1]), match[2])
        elif source.name.endswith(".sql"):
            found.left_out.append(LeftOut(source.path, "goose ignores files with such a name"))
    return found


def _add(found: Found, source: Source, number: int, label: str) -> None:
    ups = [part for part in sections(source.text, _SECTION) if part.head[1].lower() == "up"]
    if len(ups) != 1:
        found.refuse(source.path, f"has {len(ups)} sections `-- +goose Up`: it must have one")
        return
    said = {match[1].lower(): match.start() for match in _ANNOTATION.finditer(source.text)}
    for word, place in said.items():
        if word not in {*_GROUPING, _NO_TRANSACTION, "up", "down"}:
            found.refuse(
                source.path,
                f"has the annotation {word.upper()}, which cannot be converted: write what it stands for, and remove it",
                line_of(source.text, place),
            )
    before = source.text[: ups[0].start]
    blank = before + _ANNOTATION.sub(
        "\n", source.text[ups[0].start : ups[0].end]
    )  # the lines keep their numbers
    text, line = trimmed(blank, len(before), len(blank))
    outside = _NO_TRANSACTION in said
    found.migrations.append(
        Migration(source.path, (number,), label, text, str(number), no_transaction=outside, line=line)
    )


def _applied(rows: Sequence[Row]) -> Applied:
    """A row for each time that a migration was applied or, before goose 3, undone; version 0 is the table's own."""
    known: dict[int, bool] = {int(str(version)): there == "1" for version, there in rows}
    versions = [version for version, there in known.items() if there and version > 0]
    return Applied.of_versions(versions)


FORMAT = Format(
    tool="goose",
    read=_read,
    table="goose_db_version",
    columns="version_id, is_applied",
    order="id",
    applied=_applied,
)
