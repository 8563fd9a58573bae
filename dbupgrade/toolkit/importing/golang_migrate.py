"""golang-migrate: VERSION_NAME.up.sql, and VERSION_NAME.down.sql which undoes it. Pure."""

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
)

_NAME = re.compile(r"(\d+)_(.*)\.(up|down)\.(\w+)")


def _read(sources: Sequence[Source]) -> Found:
    found = Found()
    for source in sources:
        match = _NAME.fullmatch(source.name)
        if match and match[3] == "down":
            found.left_out.append(
                LeftOut(source.path, "it undoes a migration, and there is no rollback", expected=True)
            )
        elif match and match[4] != "sql":
            found.refuse(
                source.path,
                f"ends in .{match[4]}: only SQL can be converted; if it is SQL, rename it to .sql",
            )
        elif match:
            number = int(match[1])
            found.migrations.append(Migration(source.path, (number,), match[2], source.text, str(number)))
        elif source.name.endswith(".sql"):
            found.left_out.append(LeftOut(source.path, "golang-migrate ignores files with such a name"))
    return found


def _applied(rows: Sequence[Row]) -> Applied:
    """The table has one row: the version, and whether a migration has failed on the way to it."""
    if not rows:
        return Applied()
    version, dirty = str(rows[-1][0]), rows[-1][1]
    if dirty == "1":
        raise HistoryError(
            f"version {version} is dirty, because a migration failed: complete or undo it by hand, "
            "and set the version that the database then has with `migrate force VERSION`"
        )
    key = (int(version),)
    return Applied({version: ""}, up_to=key, last=key)


FORMAT = Format(
    tool="golang-migrate",
    read=_read,
    table="schema_migrations",
    columns="version, dirty",
    order="version",
    applied=_applied,
)
