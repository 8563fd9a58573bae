"""A migration file as PostgreSQL's own parser reads it. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from pglast import ast, enums, parser

_COMMENTS = ("SQL_COMMENT", "C_COMMENT")
_DIRECTIVE = re.compile(r"--\s*(atlas|dbupgrade):(\S+)[ \t]*(.*?)\s*$")


class ParseError(Exception):
    """Not PostgreSQL's SQL; the message says where, and holds none of it."""


@dataclass(frozen=True)
class Statement:
    """One statement: its tree, and where it stands."""

    tree: Any
    begin: int
    """Where what belongs to it begins, the comments before it included."""
    start: int
    """Where its first word begins."""
    end: int
    """Where what belongs to it ends, semicolon and a comment on the same line included."""
    line: int
    """Line of its first word, from 1."""


@dataclass(frozen=True)
class Directive:
    """A comment that says something to tools: `-- atlas:txmode none`."""

    tool: str
    key: str
    value: str
    line: str


def statements(text: str) -> list[Statement]:
    """The statements of a file; what belongs to them makes up the whole text. Raises ParseError."""
    try:
        raw = parser.parse_sql(text)
        tokens = parser.scan(text)
    except parser.ParseError as error:
        location = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
        raise ParseError(
            f"line {line_of(text, location)}: the SQL cannot be read by PostgreSQL's parser"
        ) from None
    semicolons = [token.start for token in tokens if token.name == "ASCII_59"]
    comments = {token.start: token.end for token in tokens if token.name in _COMMENTS}
    found, begin = [], 0
    for index, item in enumerate(raw):
        start = item.stmt_location or 0
        stop = start + item.stmt_len if item.stmt_len else len(text)
        end = next((place + 1 for place in semicolons if place >= stop), len(text))
        end = len(text) if index == len(raw) - 1 else _line_end(text, end, comments)
        found.append(Statement(item.stmt, begin, start, end, line_of(text, start)))
        begin = end
    return found


def empty_statement(text: str) -> int | None:
    """The line of the first semicolon that ends nothing: Atlas counts it as a statement, PostgreSQL does not."""
    before = ";"
    for token in parser.scan(text):
        if token.name in _COMMENTS:
            continue
        if text[token.start] == before == ";":
            return line_of(text, token.start)
        before = text[token.start]
    return None


def _line_end(text: str, end: int, comments: dict[int, int]) -> int:
    """`end`, or behind the line break when only comments are between the two."""
    place = end
    while place < len(text) and text[place] in " \t\r":
        place += 1
    if place in comments and "\n" not in text[place : comments[place]]:
        return _line_end(text, comments[place] + 1, comments)
    return place + 1 if place < len(text) and text[place] == "\n" else end


def line_of(text: str, place: int) -> int:
    """The line of a place in `text`, from 1."""
    return text.count("\n", 0, place) + 1


def head(text: str) -> list[Directive]:
    """The directives in the comments at the top of a file."""
    found = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("--"):
            break
        if match := _DIRECTIVE.match(line.strip()):
            found.append(Directive(match[1], match[2], match[3], line.strip()))
    return found


def header(text: str) -> list[str]:
    """The comment lines in which Atlas looks for directives of the file: from its first character to an empty line."""
    lines = []
    while text.startswith(("--", "#")):
        line, found, text = text.partition("\n")
        lines.append(line.strip())
        if not found:
            break
    return lines if text.startswith("\n") else []


def has_no_transaction(text: str) -> bool:
    """Whether Atlas runs the file without a transaction."""
    return any(re.fullmatch(r"[ -~]*atlas:txmode +none", line) for line in header(text))


@dataclass(frozen=True)
class Name:
    """The name of a table or an index, as it was written."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def may_be(self, other: "Name") -> bool:
        """Whether both may mean the same: without a schema, the search path decides."""
        return self.name == other.name and (
            self.schema == other.schema or not self.schema or not other.schema
        )


def name_of(relation: Any) -> Name:
    """The name in a RangeVar."""
    return Name(relation.schemaname or "", relation.relname)


def names_of_objects(tree: ast.DropStmt) -> list[Name]:
    """The names that a DROP lists."""
    found = []
    for item in tree.objects or ():
        words = [part.sval for part in item]
        found.append(Name(words[-2] if len(words) > 1 else "", words[-1]))
    return found


def is_concurrent(tree: Any) -> bool:
    """Whether a statement says CONCURRENTLY, as far as migrations are concerned."""
    match tree:
        case ast.IndexStmt() | ast.RefreshMatViewStmt():
            return bool(tree.concurrent)
        case ast.DropStmt():
            return bool(tree.concurrent) and tree.removeType == enums.ObjectType.OBJECT_INDEX
        case ast.ReindexStmt():
            return any(_says_yes(option) for option in tree.params or () if option.defname == "concurrently")
        case _:
            return False


def _says_yes(option: ast.DefElem) -> bool:
    """`REINDEX (CONCURRENTLY off)` is not concurrent."""
    value = getattr(option.arg, "sval", getattr(option.arg, "boolval", getattr(option.arg, "ival", True)))
    return str(value).lower() not in ("false", "off", "0")


def created_table(tree: Any) -> Name | None:
    """The table or materialized view that a statement makes."""
    match tree:
        case ast.CreateStmt():
            return name_of(tree.relation)
        case ast.CreateTableAsStmt() if tree.into:
            return name_of(tree.into.rel)
        case _:
            return None


def without_concurrently(text: str) -> str:
    """`text`, one CREATE INDEX, without the word CONCURRENTLY."""
    token = next(token for token in parser.scan(text) if token.name == "CONCURRENTLY")
    rest = text[token.end + 1 :]
    return text[: token.start] + rest.lstrip(" \t")
