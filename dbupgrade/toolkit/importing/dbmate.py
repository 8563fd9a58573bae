"""dbmate: VERSION_NAME.sql with the sections `-- migrate:up` and `-- migrate:down`. Pure."""

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

_NAME = re.compile(r"(\d+)_?(.*)\.sql")
_SECTION = re.compile(r"^[ \t]*--[ \t]*migrate:(up|down)\b([^\n]*)\n?", re.MULTILINE)
_OPTION = re.compile(r"(\w+):(\w+)")


def _read(sources: Sequence[Source]) -> Found:
    found = Found()
    for source in sources:
        if match := _NAME.fullmatch(source.name):
            _add(found, source, int(match[1]), match[2])
        elif source.name.endswith(".sql"):
            found.left_out.append(LeftOut(source.path, "dbmate ignores files with such a name"))
    return found


def _add(found: Found, source: Source, number: int, label: str) -> None:
    parts = sections(source.text, _SECTION)
    ups = [part for part in parts if part.head[1] == "up"]
    if len(ups) != 1:
        found.refuse(source.path, f"has {len(ups)} sections `-- migrate:up`: it must have one")
        return
    options = dict(_OPTION.findall(ups[0].head[2]))
    if unknown := sorted(set(options) - {"transaction"}):
        line = line_of(source.text, ups[0].head.start())
        found.refuse(source.path, f"has the option {unknown[0]}, which cannot be converted: remove it", line)
    text, line = trimmed(source.text, ups[0].start, ups[0].end)
    outside = options.get("transaction") == "false"
    found.migrations.append(
        Migration(source.path, (number,), label, text, str(number), no_transaction=outside, line=line)
    )


def _applied(rows: Sequence[Row]) -> Applied:
    return Applied.of_versions([int(str(version)) for (version,) in rows])


FORMAT = Format(
    tool="dbmate",
    read=_read,
    table="schema_migrations",
    columns="version",
    order="version",
    applied=_applied,
)
