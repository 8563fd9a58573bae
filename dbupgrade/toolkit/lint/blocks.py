"""The statements in a DO block."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.names import strings
from dbupgrade.toolkit.sql.parser import ParseError, Statement, line_of, unwrap

COMPUTED = "…"
"""Stands for what a block computes at run time; to PostgreSQL it is a name like any other."""


@dataclass(frozen=True)
class Inner:
    """A statement in a block."""

    line: int
    """In the file."""
    tree: Any
    """None if it cannot be determined in advance."""


def inner(text: str, statement: Statement) -> Iterator[Inner]:
    """The statements of a DO block."""
    source = text[statement.start : statement.stop]
    options = {unwrap(each).defname: unwrap(unwrap(each).arg) for each in statement.tree.args}
    language = options.get("language")
    if language is not None and language.sval.lower() != "plpgsql":
        yield Inner(statement.line, None)
        return
    try:
        tree = postgast.parse_plpgsql(source)
    except (postgast.PgQueryError, ValueError):
        yield Inner(statement.line, None)
        return
    start = next((start for name, start, _ in parser.tokens(source) if name == "SCONST"), 0)
    first = line_of(text, statement.start + start)
    for line, query, dynamic in _queries(tree):
        place = first + line - 1
        try:
            found = parser.statements(_dynamic(query) if dynamic else query)
        except ParseError:
            found = []
        if found:
            yield from (Inner(place, each.tree) for each in found)
        else:
            yield Inner(place, None)


_QUERIES = {
    "PLpgSQL_stmt_execsql": ("sqlstmt", False),
    "PLpgSQL_stmt_dynexecute": ("query", True),
    "PLpgSQL_stmt_dynfors": ("query", True),
    "PLpgSQL_stmt_perform": ("expr", False),
    "PLpgSQL_stmt_call": ("expr", False),
    "PLpgSQL_stmt_fors": ("query", False),
}


def _queries(node: Any) -> Iterator[tuple[int, str, bool]]:
    """Line, text and whether it is an expression that gives the text."""
    if isinstance(node, list):
        for item in node:
            yield from _queries(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _QUERIES:
                name, dynamic = _QUERIES[key]
                yield value.get("lineno", 1), value[name]["PLpgSQL_expr"]["query"], dynamic
                rest = {other: each for other, each in value.items() if other != name}
                yield from _queries(rest)
            else:
                yield from _queries(value)


def _dynamic(expression: str) -> str:
    """The text of EXECUTE as far as it is written there; a name stands for what is computed."""
    tree = parser.statements(f"select {expression}")[0].tree
    return _constant(unwrap(unwrap(tree.target_list[0]).val))


def _constant(node: Any) -> str:
    match node:
        case pb.A_Const():
            return str(node.sval.sval) if node.HasField("sval") else COMPUTED
        case pb.A_Expr() if strings(node.name) == ["||"]:
            return _constant(unwrap(node.lexpr)) + _constant(unwrap(node.rexpr))
        case pb.FuncCall() if strings(node.funcname)[-1] == "format" and node.args:
            pattern = _constant(unwrap(node.args[0]))
            return re.sub(r"%(?:\d+\$)?[-\d]*([sIL])", _filled, pattern).replace("%%", "%")
        case _:
            return COMPUTED


def _filled(match: re.Match[str]) -> str:
    return f"'{COMPUTED}'" if match[1] == "L" else COMPUTED
