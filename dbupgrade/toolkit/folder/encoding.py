"""Files that are not text as a database reads it: byte order marks, other encodings, conflict markers."""

import re
from collections.abc import Iterator

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit.folder.problem import SUM, Files, Problem, line_of

_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OURS = re.compile(rb"^<{7}(?: .*)?\r?$", re.MULTILINE)
_THEIRS = re.compile(rb"^>{7}(?: .*)?\r?$", re.MULTILINE)


def look(folder: Files) -> Iterator[Problem]:
    """The files that no engine reads."""
    if (place := _conflict(folder.sums)) is not None:
        what = (
            "contains conflict markers: resolve the conflict in the folder, then run `dbupgrade migrate hash`"
        )
        yield Problem(Failure.CHECKSUM, (SUM,), what, line_of(folder.sums, place))
    for name, data in folder.files:
        if data.startswith(_UTF_16):
            yield _unreadable(name, "is UTF-16: save the file as UTF-8")
        elif (place := data.find(b"\0")) >= 0:
            what = "contains a NUL character, at which a database stops reading: save the file as UTF-8 without it"
            yield _unreadable(name, what, line_of(data, place))
        elif (conflict := _conflict(data)) is not None:
            what = "contains conflict markers: resolve the conflict, then run `dbupgrade migrate hash`"
            yield _unreadable(name, what, line_of(data, conflict))


def look_for_atlas(folder: Files) -> Iterator[Problem]:
    """The files that psql reads and Atlas does not."""
    for name, data in folder.files:
        if data.startswith(_MARK):
            what = "begins with a byte order mark, an invisible character that is not SQL: save the file as UTF-8 without it"
            yield _unreadable(name, what, 1)
            continue
        try:
            data.decode()
        except UnicodeDecodeError as error:
            yield _unreadable(name, "is not UTF-8: save the file as UTF-8", line_of(data, error.start))


def _unreadable(name: str, what: str, line: int | None = None) -> Problem:
    return Problem(Failure.UNREADABLE_FILE, (name,), what, line)


def _conflict(data: bytes) -> int | None:
    """Where the first conflict begins; both of its marks are needed, since a text may hold one."""
    if b"<<<<<<<" not in data:
        return None
    ours = _OURS.search(data)
    return ours.start() if ours and _THEIRS.search(data, ours.end()) else None
