"""Files that Atlas would split at other places than PostgreSQL, whose own parser determines where statements end.

The built-in engine receives these places, so it accepts the files. The Atlas CLI cannot receive them, so the files are rejected for it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import Files, Problem
from dbupgrade.toolkit.sql import directives, splitting
from dbupgrade.toolkit.sql.splitting import Rules, UnsplittableError


@dataclass(frozen=True)
class _Trap:
    """What Atlas may read differently: it decides whether the parser is worth its time, and names the reason."""

    look: re.Pattern[bytes]
    why: str
    instead: str


def _trap(look: bytes, why: str, instead: str) -> _Trap:
    return _Trap(re.compile(look, re.IGNORECASE | re.DOTALL), why, instead)


_ALWAYS = (
    _trap(rb"/\*(?:(?!\*/).)*?/\*", "a comment within a comment", "do not nest comments"),
    _trap(rb"\\['\"]", "a backslash before a quote", "double the quote: 'it''s' instead of E'it\\'s'"),
    _trap(rb"\bbegin\s+atomic\s", "the body of BEGIN ATOMIC", "write the function's body between $$ and $$"),
    _trap(
        rb"(?<![\w$\x80-\xff])[a-z_\x80-\xff][\w\x80-\xff]*\$[\w\x80-\xff]*\$",
        "a name with $ in it",
        "put the name into double quotes",
    ),
    _trap(
        rb"\$(?=[^\s$;]{0,99}\$)[^\s$;\x80-\xff]{0,99}[\x80-\xff]",
        "a dollar quote whose tag is not ASCII",
        "use only letters from a to z in the tag",
    ),
    _trap(rb"`", "a backtick", "remove it"),
    _trap(rb"--[^\n]*\Z", "a comment at the end of the file", "end the file with a newline"),
)
_BEFORE_1 = (
    _trap(rb"#", "the character #", "use Atlas 1.x, or the built-in engine"),
    _trap(
        rb"[-/](?=['\"`($]|/\*)",
        "a minus or a slash before a quote or a parenthesis",
        "put a space between them",
    ),
    _trap(rb"\\", "a backslash in a literal", "use Atlas 1.x, or the built-in engine"),
)


def may_differ(folder: Files) -> bool:
    """Whether the version of Atlas is worth asking for: some version may read a file differently."""
    return any(trap.look.search(data) for trap in (*_BEFORE_1, *_ALWAYS) for _, data in folder.files)


def look(folder: Files) -> Iterator[Problem]:
    """The files that Atlas would cut, or not understand."""
    if folder.rules is None:
        return
    traps = _ALWAYS if folder.rules == splitting.LIBRARY else (*_BEFORE_1, *_ALWAYS)
    for name, data in folder.files:
        found = [trap for trap in traps if trap.look.search(data)]
        if found and (place := _misread(data.decode(), folder.rules)) is not None:
            line, trap = data.decode().count("\n", 0, place) + 1, _reason(found, data, place)
            what = f"{trap.why} is read differently by Atlas, which would split a statement there: {trap.instead}"
            yield Problem(Failure.MISREAD_BY_ENGINE, (name,), what, line)


def places(files: Iterable[tuple[str, bytes]]) -> dict[str, list[tuple[int, int]]]:
    """The positions of the statements in files that the built-in engine would otherwise split at other places.

    By name: first byte of each statement, and the byte behind its semicolon.
    """
    return {
        name: _statements(data.decode())
        for name, data in files
        if any(trap.look.search(data) for trap in _ALWAYS)
        and _is_text(data)
        and _misread(data.decode(), splitting.LIBRARY) is not None
    }


def _statements(text: str) -> list[tuple[int, int]]:
    from dbupgrade.toolkit.sql import parser  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    found, characters, count = [], 0, 0
    for start, stop in parser.places(text):
        begin = count + len(text[characters:start].encode())
        behind = min(stop + 1, len(text))
        characters, count = behind, begin + len(text[start:behind].encode())
        found.append((begin, count))
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _reason(found: list[_Trap], data: bytes, place: int) -> _Trap:
    """The last trap that begins before the place, else the first one."""
    before = len(data.decode()[:place].encode()) + 1
    starts = [(match.start(), trap) for trap in found for match in trap.look.finditer(data, 0, before)]
    return max(starts, key=lambda start: start[0])[1] if starts else found[0]


def _misread(text: str, rules: Rules) -> int | None:
    """Where Atlas first differs from PostgreSQL; None where it does not, or where the file is not PostgreSQL's SQL."""
    from dbupgrade.toolkit.sql import parser  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    if directives.delimiter(text):
        return None  # its statements end where the file says
    try:
        places = parser.places(text)
    except parser.ParseError:
        return None
    stops = dict(places)
    try:
        for start, end in splitting.split(text, rules):
            first = parser.skip(text, start)
            while first < end:
                if first not in stops or stops[first] > end:
                    return first
                first = parser.skip(text, stops[first])
    except UnsplittableError as error:
        return error.place
    return None
