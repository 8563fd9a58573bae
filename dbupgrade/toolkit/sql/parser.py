"""The statements of a file, as PostgreSQL's own parser reads them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

_LONG = 2048
_CACHED = 64
_COPY = re.compile(r"copy\b", re.IGNORECASE)
_NAME = r'(?:"[^"]*"|[\w$]+)'
_INSERT = re.compile(
    rf"INSERT\s+INTO\s+{_NAME}(?:\s*\.\s*{_NAME})?\s*(?:\([^()]*\)\s*)?VALUES(?=\s*\()", re.IGNORECASE
)
_GAP = re.compile(r"[ \t\n\r\f\v;]*")
_LINE_COMMENT = re.compile(r"--[^\n\r]*")
_COMMENT_MARK = re.compile(r"/\*|\*/")


class ParseError(Exception):
    """Not PostgreSQL's SQL; the message says where, and holds none of it."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands."""

    begin: int
    """Where what belongs to it begins, the comments before it included."""
    start: int
    """Where its first word begins."""
    stop: int
    """Where its semicolon is, or the end of the text."""
    end: int
    """Where what belongs to it ends, semicolon and a comment on the same line included."""
    line: int
    """Line of its first word, from 1."""


@dataclass(frozen=True, slots=True)
class Statement(Place):
    """One statement: where it stands, and what it says."""

    source: str = field(repr=False)
    """The whole text."""

    @property
    def tree(self) -> Any:
        """Its tree, parsed again unless it was the last one requested: the trees of a large file do not fit into memory.

        It is not to be changed. The rows of a long INSERT … VALUES are left out of it.
        """
        return _tree(self.source[self.start : self.stop])


def statements(text: str) -> list[Statement]:
    """The statements of a file; what belongs to them makes up the whole text. Raises ParseError."""
    found_at = places(text)
    found, begin, line, counted = [], 0, 1, 0
    for index, (start, stop) in enumerate(found_at):
        end = len(text) if index == len(found_at) - 1 else _line_end(text, stop + 1)
        line, counted = line + text.count("\n", counted, start), start
        found.append(Statement(begin, start, stop, end, line, text))
        begin = end
    return found


def empty_statement(text: str) -> int | None:
    """The line of the first semicolon that ends nothing: Atlas counts it as a statement, PostgreSQL does not."""
    end = 0
    for start, stop in [*places(text), (len(text), len(text))]:
        place = end
        while place < start:
            if text[place] == ";":
                return line_of(text, place)
            place = max(_behind_comment(text, place), place + 1)
        end = stop + 1
    return None


def tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first and last place of each token."""
    data = text.encode()
    for token in postgast.scan(text).tokens:
        start = len(data[: token.start].decode())
        yield pb.Token.Name(token.token), start, start + len(data[token.start : token.end].decode())


def head_of_insert(text: str, place: int) -> str | None:
    """What stands at `place` up to its rows, if that is INSERT … VALUES: it can be told without the parser."""
    found = _INSERT.match(text, place)
    return found[0] if found else None


def line_of(text: str, place: int) -> int:
    """The line of a place in `text`, from 1."""
    return text.count("\n", 0, place) + 1


def places(text: str) -> list[tuple[int, int]]:
    """Where each statement starts, and where its semicolon is. Raises ParseError."""
    if "\0" in text:
        raise ParseError("a NUL character, at which PostgreSQL would stop reading", _first(text, "\0"))
    try:
        pieces = postgast.split(text)
    except postgast.PgQueryError as error:
        line = line_of(text, max(error.cursorpos - 1, 0))
        raise ParseError("the SQL cannot be read by PostgreSQL's parser", line) from None
    found, end = [], 0
    for piece in pieces:
        start = skip(text, end)
        end = start + len(piece)
        found.append((start, end))
    return found


def skip(text: str, place: int) -> int:
    """`place`, behind white space, semicolons and comments that end."""
    while True:
        match = _GAP.match(text, place)
        place = match.end() if match else place
        behind = _behind_comment(text, place)
        if behind == place:
            return place
        place = behind


def _behind_comment(text: str, place: int) -> int:
    """The place behind a comment, which may hold others; `place` if none begins there, or if it never ends."""
    if match := _LINE_COMMENT.match(text, place):
        return match.end()
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, place) if text.startswith("/*", place) else ():
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return place


def copy_from_stdin(text: str) -> int | None:
    """The line of the first COPY whose data would follow it. Raises ParseError."""
    for start, stop in places(text):
        tree = _tree(text[start:stop]) if _COPY.match(text, start) else None
        if isinstance(tree, pb.CopyStmt) and tree.is_from and not (tree.filename or tree.is_program):
            return line_of(text, start)
    return None


def unwrap(node: pb.Node) -> Any:
    """What a node holds; None when it is empty."""
    kind = node.WhichOneof("node")
    return getattr(node, kind) if kind else None


def _first(text: str, character: str) -> int:
    return line_of(text, text.index(character))


@lru_cache(maxsize=_CACHED)
def _tree(text: str) -> Any:
    """The tree of one statement."""
    if len(text) > _LONG and (head := _INSERT.match(text)):
        text = f"{head[0]} (NULL)"
    return unwrap(postgast.parse(text).stmts[0].stmt)


def _line_end(text: str, end: int) -> int:
    """`end`, or behind the line break when only comments are between the two."""
    place = end
    while place < len(text) and text[place] in " \t\r":
        place += 1
    behind = _behind_comment(text, place)
    if behind > place and "\n" not in text[place:behind]:
        return _line_end(text, behind)
    return place + 1 if place < len(text) and text[place] == "\n" else end
