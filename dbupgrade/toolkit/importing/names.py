"""Names for imported files: versions are compared as text, so all of them get the same length. Pure."""

import re
from collections.abc import Iterator, Sequence

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Problem
from dbupgrade.toolkit.importing.model import Key, Migration

_WIDTH, _NEXT_WIDTH = 6, 3
"""Of the first number of a version, and of those behind it; a timestamp is wider."""
_UNUSUAL = re.compile(r"[^A-Za-z0-9.+=,@()-]+")
_LIKE_A_DOWN_FILE = re.compile(r"[._-](?=down\Z)", re.IGNORECASE)


def file_names(migrations: Sequence[Migration]) -> list[str]:
    """The name of the file for each migration, in the same order."""
    versions = _versions([migration.key for migration in migrations])
    labels = [
        _LIKE_A_DOWN_FILE.sub("", _UNUSUAL.sub("_", migration.label).strip("_")) for migration in migrations
    ]
    return [
        f"{version}_{label}.sql" if label else f"{version}.sql"
        for version, label in zip(versions, labels, strict=True)
    ]


def _versions(keys: Sequence[Key]) -> list[str]:
    length = max(map(len, keys), default=0)
    rows = [(*key, *(0,) * (length - len(key))) for key in keys]
    widths = [
        max(_NEXT_WIDTH if place else _WIDTH, *(len(str(row[place])) for row in rows))
        for place in range(length)
    ]
    return [
        ".".join(str(number).zfill(width) for number, width in zip(row, widths, strict=True)) for row in rows
    ]


def duplicates(migrations: Sequence[Migration]) -> Iterator[Problem]:
    """The migrations that have the version of one before them."""
    first: dict[Key, str] = {}
    for migration in migrations:
        other = first.setdefault(migration.key, migration.source)
        if other != migration.source:
            what = f"has the same version as {other}: remove one of them"
            yield Problem(Failure.DUPLICATE_VERSION, (migration.source,), what)
