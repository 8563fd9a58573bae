"""Flyway: V1.1__NAME.sql, R__NAME.sql for what is applied again after each change, U1.1__NAME.sql, callbacks. Pure."""

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from dbupgrade.toolkit.importing.model import (
    Applied,
    Format,
    Found,
    HistoryError,
    Key,
    LeftOut,
    Migration,
    Row,
    Source,
    line_of,
)

_VERSIONED = re.compile(r"([VUB])(\d+(?:[._]\d+)*)(?:__(.*))?\.(\w+)")
_REPEATABLE = re.compile(r"R__(.*)\.(\w+)")
_CALLBACK = re.compile(r"(?:(?:before|after)[A-Z]\w*|createSchema)\.\w+")
_PLACEHOLDER = re.compile(r"\$\{[^}\n]*\}")
_SETTINGS = ".conf"
_CODE = {"java", "class", "kt", "groovy", "jar", "sh", "bash", "bat", "cmd", "ps1", "py"}
_UNDONE = "it undoes a migration, and there is no rollback"


def _read(sources: Sequence[Source]) -> Found:
    """Flyway reads subfolders too, and orders by version alone."""
    found = Found()
    settings = {source.path: source.text for source in sources if source.name.endswith(".sql" + _SETTINGS)}
    repeatable: list[tuple[str, str, Source]] = []
    for source in sources:
        if match := _VERSIONED.fullmatch(source.name):
            _versioned(found, source, match, settings)
        elif match := _REPEATABLE.fullmatch(source.name):
            repeatable.append((match[1], match[2], source))
        elif _CALLBACK.fullmatch(source.name):
            found.left_out.append(
                LeftOut(source.path, "it is a callback, and nothing runs before or after a run of migrations")
            )
        elif source.name.endswith(".sql"):
            found.left_out.append(LeftOut(source.path, "Flyway ignores files with such a name"))
    found.migrations.sort(key=lambda migration: migration.key)
    _repeatables(found, repeatable, settings)
    return found


def _versioned(found: Found, source: Source, match: re.Match[str], settings: Mapping[str, str]) -> None:
    kind, version, label, extension = match.groups()
    if kind == "U":
        found.left_out.append(LeftOut(source.path, _UNDONE, expected=True))
    elif kind == "B":
        found.refuse(
            source.path,
            f"is a baseline migration: remove it if the files up to version {version} are there; "
            f"if they are not, rename it to V{version}__{label or ''}.sql",
        )
    elif extension in _CODE:
        _refuse_code(found, source)
    elif extension == "sql":
        key = _key(version)
        _add(found, source, key, label or "", settings, identity=_identity(key))


def _repeatables(
    found: Found, repeatable: Sequence[tuple[str, str, Source]], settings: Mapping[str, str]
) -> None:
    """Files with the versions behind the last one: Flyway, too, applies them last, by description."""
    last = found.migrations[-1].key if found.migrations else (0,)
    for label, extension, source in sorted(repeatable, key=lambda each: each[:2]):
        if extension in _CODE:
            _refuse_code(found, source)
        elif extension == "sql":
            last = (*last[:-1], last[-1] + 1)
            _add(found, source, last, label, settings)


def _add(
    found: Found, source: Source, key: Key, label: str, settings: Mapping[str, str], identity: str = ""
) -> None:
    own = _settings(found, source.path + _SETTINGS, settings)
    if own.get("placeholderReplacement") != "false" and (match := _PLACEHOLDER.search(source.text)):
        found.refuse(
            source.path,
            f"contains the placeholder {match[0]}: write its value into a copy of the file. If Flyway does not replace it, "
            f"put placeholderReplacement=false into {source.name}{_SETTINGS}",
            line_of(source.text, match.start()),
        )
    found.migrations.append(
        Migration(
            source.path,
            key,
            label,
            source.text,
            identity,
            str(checksum(source.text)),
            no_transaction=own.get("executeInTransaction") == "false",
        )
    )


def _settings(found: Found, path: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of one file, which stand in a file beside it."""
    known = {}
    for number, line in enumerate(settings.get(path, "").splitlines(), 1):
        name, _, value = (part.strip() for part in line.partition("="))
        if name.removeprefix("flyway.") in {"executeInTransaction", "placeholderReplacement"}:
            known[name.removeprefix("flyway.")] = value.lower()
        elif name and not name.startswith("#"):
            found.refuse(path, f"has the setting {name}, which cannot be converted: remove it", number)
    return known


def _refuse_code(found: Found, source: Source) -> None:
    suffix = PurePosixPath(source.name).suffix
    found.refuse(
        source.path,
        f"is a migration in code: write it as SQL, in {source.name.removesuffix(suffix)}.sql, "
        "or keep Flyway and run it with engine Command",
    )


def _key(version: str) -> Key:
    """The numbers of a version; to Flyway, 1 and 1.0 are the same."""
    numbers = [int(part) for part in re.split(r"[._]", version)]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _identity(key: Key) -> str:
    return ".".join(map(str, key))


def checksum(text: str) -> int:
    """What Flyway keeps of a file: the CRC-32 of its lines without their ends, as a signed number."""
    value = 0
    for line in re.split(r"\r\n|\r|\n", text):
        value = zlib.crc32(line.encode(), value)
    return value - (1 << 32) if value >= 1 << 31 else value


def _applied(rows: Sequence[Row]) -> Applied:
    """A row for each migration in the order in which they were applied, and one for each that was undone."""
    known: dict[str, str] = {}
    up_to: Key | None = None
    for version, kind, script, crc, success in rows:
        if success != "1":
            raise HistoryError(
                f"{script} failed: correct what it left behind, and remove its row with `flyway repair`"
            )
        if version is None:
            continue  # a repeatable migration, or the creation of a schema
        key = _key(version)
        if kind in {"BASELINE", "SQL_BASELINE"}:
            up_to = key
        elif kind == "DELETE" or str(kind).startswith("UNDO"):
            known.pop(_identity(key), None)
        else:
            known[_identity(key)] = crc or ""
    return Applied(known, up_to, max(map(_key, known), default=up_to))


FORMAT = Format(
    tool="Flyway",
    read=_read,
    table="flyway_schema_history",
    columns="version, type, script, checksum, success",
    order="installed_rank",
    applied=_applied,
)
