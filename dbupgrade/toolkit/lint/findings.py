"""What breaks production, found in migration files. Pure: squawk's findings come as data.

squawk knows most rules. It looks into no DO block and knows no TRUNCATE or DELETE: the statements of blocks are given to it as
texts of their own, and the rest is found in the trees of PostgreSQL's parser.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pglast import ast, enums, parser
from pglast.visitors import Visitor

from dbupgrade.toolkit.lint import pglast_statements as sql
from dbupgrade.toolkit.lint.pglast_statements import Name, Statement
from dbupgrade.toolkit.lint.rules import RULES, Level, Rule
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.sql.concurrently import File


@dataclass(frozen=True)
class Finding:
    """Something in a file."""

    file: str
    line: int
    rule: Rule
    level: Level
    detail: str = ""

    @property
    def message(self) -> str:
        """What, why and what instead, in one line."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.rule.what}{detail}: {self.rule.why}; safer: {self.rule.safer}"


@dataclass(frozen=True)
class Text:
    """What squawk is given: a file, or a statement of a block in it."""

    file: str
    text: str
    line: int = 1
    """Line of the file at which it begins."""
    fixed: bool = False
    """Whether all of it counts as that one line, as the text of a dynamic statement."""


@dataclass(frozen=True)
class Hit:
    """A finding of squawk."""

    text: int
    """Which of the texts."""
    line: int
    rule: str


@dataclass(frozen=True)
class _Inner:
    """A statement that is run: of the file, or of a block in it."""

    tree: Any
    line: int
    made: tuple[Name, ...]
    """Tables that statements before it have made, and their indexes."""

    def makes(self, name: Name) -> bool:
        """Whether a table or an index is nobody's yet."""
        return any(name.may_be(other) for other in self.made)


def texts(files: Sequence[File]) -> list[Text]:
    """What squawk has to look at."""
    found = []
    for file in files:
        try:
            statements = sql.statements(file.text)
        except sql.ParseError:
            continue
        found.append(Text(file.name, file.text))
        for statement in statements:
            if isinstance(statement.tree, ast.DoStmt):
                found += [
                    Text(file.name, text, line, fixed=True) for text, line in _block(file.text, statement)
                ]
    return found


def findings(
    files: Sequence[File],
    looked_at: Sequence[Text],
    hits: Sequence[Hit],
    settings: LintSettings,
    *,
    empty: bool = False,
) -> list[Finding]:
    """All findings that are not suppressed, in the order of the files.

    `empty`: nothing is there before the first file, so that what a file makes is nobody's in the files after it either.
    """
    by_file: dict[str, list[tuple[int, Rule, str]]] = {file.name: [] for file in files}
    for hit in hits:
        text = looked_at[hit.text]
        if hit.rule in RULES:
            line = text.line if text.fixed else text.line + hit.line - 1
            by_file[text.file].append((line, RULES[hit.rule], ""))
    found = []
    made: tuple[Name, ...] = ()
    for file in files:
        try:
            statements = sql.statements(file.text)
        except sql.ParseError as error:
            found.append(
                Finding(file.name, 1, RULES["syntax-error"], Level.ERROR, str(error).partition(":")[0])
            )
            continue
        inner = _in_order(_inner(file.text, statements), made if empty else ())
        made = _made_by(inner[-1]) if inner else made
        raw = by_file[file.name] + list(_own(inner, settings))
        quiet = _Suppressed(file.text, statements)
        for line, rule, detail in sorted(set(raw), key=lambda item: (item[0], item[1].name, item[2])):
            if not quiet.covers(line, rule) and not _of_new_table(rule, line, inner):
                found.append(Finding(file.name, line, rule, _level(rule, settings), detail))
    return found


def skipped(names: Sequence[str], current: str) -> list[Finding]:
    """Files that will never be applied: the database is at `current`. No comment in them is a reason to say nothing."""
    rule = RULES["skipped-file"]
    return [Finding(name, 1, rule, rule.level, current) for name in names]


def _level(rule: Rule, settings: LintSettings) -> Level:
    error = settings.errors.get(rule.category)
    return rule.level if error is None else Level.ERROR if error else Level.WARNING


def _in_order(found: Iterable[tuple[Any, int]], made: tuple[Name, ...]) -> list[_Inner]:
    """The statements, each with what those before it have made."""
    inner = []
    for tree, line in found:
        item = _Inner(tree, line, made)
        inner.append(item)
        made = _made_by(item)
    return inner


def _made_by(item: _Inner) -> tuple[Name, ...]:
    """What is new after a statement."""
    tree = item.tree
    match tree:
        case ast.IndexStmt() if tree.idxname and item.makes(sql.name_of(tree.relation)):
            return *item.made, Name(sql.name_of(tree.relation).schema, tree.idxname)
        case ast.RenameStmt() if tree.renameType == enums.ObjectType.OBJECT_TABLE and item.makes(
            sql.name_of(tree.relation)
        ):
            return *item.made, Name(sql.name_of(tree.relation).schema, str(tree.newname))
        case _:
            table = sql.created_table(tree)
            return (*item.made, table) if table else item.made


def _own(inner: Sequence[_Inner], settings: LintSettings) -> Iterator[tuple[int, Rule, str]]:
    for item in inner:
        for rule, table in _losses(item.tree):
            if not item.makes(table):
                yield item.line, RULES[rule], str(table)
        if isinstance(item.tree, ast.ReindexStmt) and not sql.is_concurrent(item.tree):
            yield item.line, RULES["require-concurrent-reindex"], ""
        for resource, name in _new_names(item.tree):
            rule_of_name = settings.naming.get(resource)
            if rule_of_name and not rule_of_name.match.search(name):
                kind = resource.replace("_", " ")
                yield item.line, RULES["naming"], f"{kind} {name}: {rule_of_name.message}"


class _Losses(Visitor):
    """Looks for statements that lose rows, also below WITH."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Name]] = []

    def visit_TruncateStmt(self, _: Any, node: Any) -> None:  # noqa: N802 - the visitor's names
        self.found += [("truncate", sql.name_of(relation)) for relation in node.relations or ()]

    def visit_DeleteStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        if node.whereClause is None:
            self.found.append(("delete-without-where", sql.name_of(node.relation)))

    def visit_UpdateStmt(self, _: Any, node: Any) -> None:  # noqa: N802
        if node.whereClause is None:
            self.found.append(("update-without-where", sql.name_of(node.relation)))


def _losses(tree: Any) -> list[tuple[str, Name]]:
    visitor = _Losses()
    visitor(tree)
    return visitor.found


def _of_new_table(rule: Rule, line: int, inner: Sequence[_Inner]) -> bool:
    """Whether a finding is about a table that was made just before: it has no rows and no users."""
    if rule.category in ("naming", "syntax"):
        return False
    nobodys = [item.makes(name) for item in inner if item.line == line for name in _subjects(item.tree)]
    return bool(nobodys) and all(nobodys)


def _subjects(tree: Any) -> list[Name]:
    """The tables that a statement changes, indexes or drops."""
    match tree:
        case ast.DropStmt() if tree.removeType in (
            enums.ObjectType.OBJECT_TABLE,
            enums.ObjectType.OBJECT_MATVIEW,
            enums.ObjectType.OBJECT_INDEX,
        ):
            return sql.names_of_objects(tree)
        case ast.IndexStmt() | ast.AlterTableStmt() | ast.RenameStmt() if tree.relation:
            return [sql.name_of(tree.relation)]
        case _:
            return []


def _new_names(tree: Any) -> Iterator[tuple[str, str]]:
    match tree:
        case ast.CreateStmt():
            yield "table", sql.name_of(tree.relation).name
            for element in tree.tableElts or ():
                yield from _names_of_element(element)
        case ast.IndexStmt() if tree.idxname:
            yield "index", tree.idxname
        case ast.RenameStmt() if tree.newname:
            kinds: dict[Any, str] = {
                enums.ObjectType.OBJECT_TABLE: "table",
                enums.ObjectType.OBJECT_COLUMN: "column",
                enums.ObjectType.OBJECT_INDEX: "index",
            }
            if kind := kinds.get(tree.renameType):
                yield kind, tree.newname
        case ast.AlterTableStmt():
            for command in tree.cmds or ():
                yield from _names_of_element(command.def_)


def _names_of_element(element: Any) -> Iterator[tuple[str, str]]:
    match element:
        case ast.ColumnDef() if element.colname:
            yield "column", element.colname
            for constraint in element.constraints or ():
                yield from _names_of_element(constraint)
        case ast.Constraint() if element.conname:
            kinds: dict[Any, str] = {
                enums.ConstrType.CONSTR_FOREIGN: "foreign_key",
                enums.ConstrType.CONSTR_CHECK: "check",
            }
            if kind := kinds.get(element.contype):
                yield kind, element.conname


# Statements in blocks.


def _inner(text: str, statements: Sequence[Statement]) -> Iterator[tuple[Any, int]]:
    """Each statement that is run, and its line."""
    for statement in statements:
        yield statement.tree, statement.line
        if isinstance(statement.tree, ast.DoStmt):
            for inner, line in _block(text, statement):
                yield from ((found.tree, line) for found in sql.statements(inner))


def _block(text: str, statement: Statement) -> list[tuple[str, int]]:
    """The statements of a DO block that can be read, each with its line in the file."""
    source = text[statement.start : statement.end]
    try:
        tree = parser.parse_plpgsql_json(source)
    except parser.ParseError:
        return []  # another language, or what only the server can complain about
    body = next((token.start for token in parser.scan(source) if token.name == "SCONST"), 0)
    first = sql.line_of(text, statement.start + body)
    found = []
    for line, query, dynamic in _queries(json.loads(tree)):
        candidate = _dynamic(query) if dynamic else query
        if _is_readable(candidate):
            found.append((candidate, first + line - 1))
    return found


def _queries(node: Any) -> Iterator[tuple[int, str, bool]]:
    """Line, text and whether it is an expression that gives the text."""
    if isinstance(node, list):
        for item in node:
            yield from _queries(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_stmt_execsql":
                yield value.get("lineno", 1), value["sqlstmt"]["PLpgSQL_expr"]["query"], False
            elif key == "PLpgSQL_stmt_dynexecute":
                yield value.get("lineno", 1), value["query"]["PLpgSQL_expr"]["query"], True
            else:
                yield from _queries(value)


def _is_readable(text: str) -> bool:
    try:
        return bool(sql.statements(text))
    except sql.ParseError:
        return False


def _dynamic(expression: str) -> str:
    """The text of EXECUTE as far as it is written there; a name stands for what is computed."""
    try:
        tree: Any = sql.statements(f"select {expression}")[0].tree
    except sql.ParseError:
        return ""
    return _constant(tree.targetList[0].val)


def _constant(node: Any) -> str:
    match node:
        case ast.A_Const():
            return str(getattr(node.val, "sval", "dynamic"))
        case ast.A_Expr() if node.name and node.name[0].sval == "||":
            return _constant(node.lexpr) + _constant(node.rexpr)
        case ast.FuncCall() if node.funcname and node.funcname[-1].sval == "format" and node.args:
            return re.sub(r"%(?:\d+\$)?[-\d]*([sIL])", _filled, _constant(node.args[0])).replace("%%", "%")
        case _:
            return "dynamic"


def _filled(match: re.Match[str]) -> str:
    return "'dynamic'" if match[1] == "L" else "dynamic"


# Suppression.

_WORDS = re.compile(r"[\w-]+")


class _Suppressed:
    """`-- dbupgrade:lint-ignore RULE, …: reason` and `-- atlas:nolint CATEGORY …`, before a statement or at the top."""

    def __init__(self, text: str, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._comments = [text[s.begin : s.start] for s in statements]
        self._last_lines = [sql.line_of(text, max(s.end - 1, s.begin)) for s in statements]
        top, blank, _ = text.replace("\r\n", "\n").partition("\n\n")
        alone = blank and all(not line.strip() or line.lstrip().startswith("--") for line in top.splitlines())
        self._everywhere = _directives(top) if alone else []

    def covers(self, line: int, rule: Rule) -> bool:
        words = list(self._everywhere)
        for statement, comments, last in zip(self._statements, self._comments, self._last_lines, strict=True):
            if statement.line <= line <= last:
                words += _directives(comments)
        return any(not named or {rule.name, rule.category} & named for named in words)


def _directives(comments: str) -> list[set[str]]:
    """What each directive names; an empty set means everything."""
    found = []
    for line in comments.splitlines():
        for directive in sql.head(line.strip()):
            if (directive.tool, directive.key) == ("dbupgrade", "lint-ignore"):
                named = set(_WORDS.findall(directive.value.partition(":")[0]))
                if named:
                    found.append(named)
            if (directive.tool, directive.key) == ("atlas", "nolint"):
                found.append(set(_WORDS.findall(directive.value)))
    return found
