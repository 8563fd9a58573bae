"""Files in the format of another migration tool, whose parts that undo a migration would be applied too."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Files, Problem, line_of

_DOWN = re.compile(r"(.+)[._-]down\.sql", re.IGNORECASE)
_FLYWAY = re.compile(r"(?:[VU]\d[\d._]*|R)__.+\.sql")


@dataclass(frozen=True)
class _Section:
    """A comment with which a tool separates the parts of a file."""

    tool: str
    pattern: re.Pattern[bytes]


def _section(tool: str, words: bytes) -> _Section:
    return _Section(tool, re.compile(rb"^[ \t]*--[ \t]*" + words, re.MULTILINE | re.IGNORECASE))


_SECTIONS = (
    _section("goose", rb"\+goose[ \t]+(?:up|down)\b"),
    _section("dbmate", rb"migrate:(?:up|down)\b"),
    _section("sql-migrate", rb"\+migrate[ \t]+(?:up|down)\b"),
    _section("rambler", rb"rambler[ \t]+(?:up|down)\b"),
    _section("tern", rb"--[ \t]*create above / drop below[ \t]*--"),
    _section("MyBatis Migrations", rb"//[ \t]*@undo\b"),
)


def look(folder: Files) -> Iterator[Problem]:
    """The files of another tool, by their names or by the comments in them."""
    names = set(folder.names)
    for name, data in folder.files:
        if down := _DOWN.fullmatch(name):
            ups = [other for other in _ups(down[1]) if other in names]
            pair = f" of {ups[0]}" if ups else ""
            what = (
                f"is the down file{pair} in the format of golang-migrate: it would be applied, and undo the migration. "
                "Keep only the up files, named VERSION_NAME.sql"
            )
            yield Problem(Failure.FOREIGN_FORMAT, (name, *ups), what)
        elif _FLYWAY.fullmatch(name):
            what = (
                "is named as for Flyway: here, versions are compared as text, and undo and repeatable migrations are not supported. "
                "Name the files VERSION_NAME.sql, with versions of equal length"
            )
            yield Problem(Failure.FOREIGN_FORMAT, (name,), what)
        elif found := _first_section(data):
            tool, place = found
            what = (
                f"is divided into sections of {tool}, which would all be applied, one after the other. Keep only the part that "
                "migrates up, without the comment"
            )
            yield Problem(Failure.FOREIGN_FORMAT, (name,), what, line_of(data, place))


def _ups(stem: str) -> list[str]:
    return [f"{stem}.up.sql", f"{stem}_up.sql", f"{stem}-up.sql", f"{stem}.sql"]


def _first_section(data: bytes) -> tuple[str, int] | None:
    if b"--" not in data:
        return None
    found = ((section, section.pattern.search(data)) for section in _SECTIONS)
    return next(((section.tool, match.start()) for section, match in found if match), None)
