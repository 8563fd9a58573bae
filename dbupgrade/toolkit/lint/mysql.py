"""The lint for MySQL and MariaDB, based on sqlglot's parser; what sqlglot cannot parse is reported.

Changes that InnoDB makes INSTANT, or INPLACE with concurrent writes, are not reported.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.simplify import simplify

from dbupgrade.toolkit.lint.mysql_columns import Columns, is_not_null, table_of
from dbupgrade.toolkit.lint.rule import Finding, Hit, Level
from dbupgrade.toolkit.lint.rules import columns, constraints, destructive, files, renames, tables
from dbupgrade.toolkit.lint.rules.mysql import BLOCKS_WRITES, COPIES
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.lint.suppression import Suppressions
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name
from dbupgrade.toolkit.sql.parser import Place

_MOMENT = "a metadata lock, which reads and writes wait for, for a moment"


@dataclass(frozen=True, slots=True)
class _Statement(Place):
    """One statement."""

    tree: Any
    """None where it cannot be read."""


def findings(all_files: Sequence[File], chosen: set[str], settings: LintSettings) -> list[Finding]:
    """All findings in the chosen files that are not suppressed, in their order."""
    known, found = Columns(), []
    for file in all_files:
        try:
            statements = list(statements_of(file.text))
        except SqlglotError:
            statements = None
        if file.name in chosen:
            found += _file(file, statements, settings, known)
        else:
            for each in statements or ():
                known.learn(each.tree)
    return found


def _file(
    file: File, statements: list[_Statement] | None, settings: LintSettings, known: Columns
) -> list[Finding]:
    if statements is None:
        hit = Hit(files.UNREAD, "cannot be parsed: nothing in it was checked", level=Level.WARNING)
        return [_finding(file.name, 1, hit, settings)]
    suppressions = Suppressions(file.text, statements, reasons=settings.reasons)
    new: set[Name] = set()
    found = []
    for number, statement in enumerate(statements):
        text = file.text[statement.start : statement.stop]
        for hit in _look(statement.tree, text, known):
            if hit.table in new:
                continue
            covering = suppressions.covering(number, hit.rule)
            finding = _finding(file.name, statement.line, hit, settings)
            if not covering:
                found.append(finding)
            elif settings.reasons:
                found.append(finding.as_suppressed(covering[0].reason))
        new = _still_new(new, statement.tree)
        known.learn(statement.tree)
    for comment in suppressions.comments:
        found += [
            _finding(file.name, comment.line, Hit(files.UNUSED, what), settings) for what in comment.unused()
        ]
    return sorted(found, key=lambda finding: finding.line)


def _still_new(new: set[Name], tree: Any) -> set[Name]:
    """The tables that were certainly not there before the file."""
    if isinstance(tree, exp.Create) and tree.kind == "TABLE" and not tree.args.get("exists"):
        return new | {table_of(tree)}
    if isinstance(tree, exp.Drop | exp.Alter):
        renamed = any(isinstance(each, exp.AlterRename) for each in tree.args.get("actions") or ())
        return new - {table_of(tree)} if isinstance(tree, exp.Drop) or renamed else new
    return set() if tree is None or isinstance(tree, exp.Use | exp.Command) else new


def _finding(file: str, line: int, hit: Hit, settings: LintSettings) -> Finding:
    rule = hit.rule
    if rule.lock and rule not in (COPIES, BLOCKS_WRITES):
        rule = replace(rule, lock=_MOMENT)
    level, error = hit.level or rule.level, settings.errors.get(rule.category)
    if level is not Level.INFO and error is not None:
        level = Level.ERROR if error else Level.WARNING
    why = rule.why.replace("{table}", str(hit.table) if hit.table else "the table")
    return Finding(file, line, rule, level, hit.what, why, hit.instead)


def statements_of(text: str) -> Iterator[_Statement]:
    """Each statement; its tree is None where it cannot be read. Raises SqlglotError for a file that cannot be split.

    One after the other, without the parser: its tokens of a large file take a hundred times as much memory.
    """
    text = _EXECUTED.sub(lambda found: f"{' ' * len(found[1])}{found[2]}  ", text)
    dialect, begin, line, counted = MySQL(), 0, 1, 0
    for end in (*_ends(text), len(text)):
        start = _behind_comments(text, begin)
        if start < end and text[start] != ";":
            line, counted = line + text.count("\n", counted, start), start
            if _BODY.match(_words(text[start:end])):
                # Its body has semicolons of its own: where it ends cannot be seen.
                yield _Statement(begin, start, len(text), len(text), line, None)
                return
            stop = end - 1 if text[end - 1] == ";" else end
            yield _Statement(begin, start, stop, end, line, _tree(dialect, text[start:stop]))
        begin = end


_EXECUTED = re.compile(r"(/\*M?!\d*)(.*?)\*/", re.DOTALL)
"""A comment that MySQL, or MariaDB, executes."""
_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?\*/|(?P<end>;)|(?P<open>['"`]|/\*)""",
    re.DOTALL,
)
_GAP = re.compile(r"(?:\s+|--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_ROWS = re.compile(r"INSERT\s+(?:IGNORE\s+)?INTO\s+[`\w$.]+\s*(?:\([^()']*\)\s*)?VALUES\s*\(", re.IGNORECASE)


def _ends(text: str) -> Iterator[int]:
    """The places behind the semicolons that end statements."""
    for match in _TOKEN.finditer(text):
        if match["open"]:
            raise SqlglotError("a literal or a comment does not end")
        if match["end"]:
            yield match.end()


def _behind_comments(text: str, place: int) -> int:
    found = _GAP.match(text, place)
    return found.end() if found else place


def _tree(dialect: MySQL, text: str) -> Any:
    if _ROWS.match(text):
        return exp.Insert()  # what its rows are, nobody asks
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True  # of what it does not take apart, we tell ourselves
    try:
        trees = dialect.parse(text)
    except (SqlglotError, ValueError):
        return None
    finally:
        logger.disabled = before
    return trees[0] if len(trees) == 1 else None


def _words(text: str) -> str:
    """A statement without comments, strings and superfluous space."""
    return " ".join(_NOISE.sub(" ", text).split())


_NOISE = re.compile(r"/\*.*?\*/|--[^\n]*|#[^\n]*|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_BODY = re.compile(r"DELIMITER\b|CREATE\b.*\b(TRIGGER|PROCEDURE|FUNCTION|EVENT)\b.*\bBEGIN\b", re.IGNORECASE)
_TABLE = r"((?:`[^`]+`|[\w$]+)(?: ?\. ?(?:`[^`]+`|[\w$]+))?)"
_WORDS: tuple[tuple[str, Any, str], ...] = (
    (rf"RENAME TABLES? {_TABLE} TO", renames.TABLE, "renames table {}"),
    (
        rf"CREATE (?:FULLTEXT|SPATIAL) INDEX .* ON {_TABLE}",
        BLOCKS_WRITES,
        "builds a full-text or spatial index on {}",
    ),
    (
        rf"ALTER TABLE {_TABLE} .*\b(?:CONVERT TO|PARTITION BY|REMOVE PARTITIONING|CHARACTER SET)\b",
        COPIES,
        "copies {}",
    ),
    (rf"ALTER TABLE {_TABLE} .*\bENGINE ?=(?! ?INNODB)", COPIES, "changes the engine of {}"),
    (
        rf"ALTER TABLE {_TABLE} .*\bALGORITHM ?= ?COPY",
        COPIES,
        "copies {}, because it requests ALGORITHM=COPY",
    ),
    (
        rf"ALTER TABLE {_TABLE} (?:DROP|TRUNCATE) PARTITION\b",
        destructive.DROP_TABLE,
        "drops or empties partitions of {}",
    ),
    (rf"LOCK TABLES? {_TABLE} .*WRITE", tables.LOCK, "locks {}"),
)
_HARMLESS = re.compile(
    r"CREATE (UNIQUE )?INDEX|OPTIMIZE |ANALYZE |SET |UNLOCK |FLUSH |SHOW |GRANT |REVOKE |ALTER TABLE \S+ "
    r"(ENGINE ?= ?INNODB|AUTO_INCREMENT ?= ?\d+|COMMENT ?=)( ?, ?(ALGORITHM ?= ?(INPLACE|INSTANT)|LOCK ?= ?NONE))*$",
    re.IGNORECASE,
)


def _by_words(text: str) -> Iterator[Hit]:
    """A statement that sqlglot does not parse: known ones are recognized by their words; all others are reported."""
    words = _words(text)
    for pattern, rule, what in _WORDS:
        if found := re.match(pattern, words, re.IGNORECASE):
            table = Name("", found[1].replace("`", ""))
            yield Hit(rule, what.format(table), table)
            return
    if not _HARMLESS.match(words):
        yield Hit(files.UNREAD, f"{' '.join(words.split()[:2])} …: cannot be checked in advance")


def _look(tree: Any, text: str, known: Columns) -> Iterator[Hit]:
    match tree:
        case exp.Drop():
            yield from _drop(tree)
        case exp.TruncateTable():
            for table in tree.expressions:
                yield Hit(destructive.TRUNCATE, f"empties table {table_of(table)}", table_of(table))
        case exp.Delete() if _matches_all(tree):
            yield Hit(destructive.DELETE_ALL, f"deletes all rows of {table_of(tree)}", table_of(tree))
        case exp.Update() if _matches_all(tree):
            yield Hit(destructive.UPDATE_ALL, f"changes all rows of {table_of(tree)}", table_of(tree))
        case exp.Alter():
            yield from _alter(tree, text, known)
        case exp.Command() | None:
            yield from _by_words(text)
        case _:
            pass


def _matches_all(tree: Any) -> bool:
    if tree.args.get("joins") or tree.args.get("using") or tree.args.get("limit"):
        return False
    where = tree.args.get("where")
    return where is None or str(simplify(where.this.copy())) in ("TRUE", "1")


def _drop(tree: exp.Drop) -> Iterator[Hit]:
    names = [table_of(each) for each in tree.args.get("tables") or ()]
    match tree.kind:
        case "TABLE":
            yield from (Hit(destructive.DROP_TABLE, f"drops table {name}", name) for name in names)
        case "DATABASE" | "SCHEMA":
            yield Hit(destructive.DROP_DATABASE, f"drops database {names[0]}")
        case "INDEX" | "TEMPORARY TABLE":
            return
        case kind:
            what = f"drops {str(kind).lower()} {names[0]}"
            rule = destructive.DROP_DETAIL if kind == "TRIGGER" else destructive.DROP_OBJECT
            yield Hit(rule, what)


def _alter(tree: exp.Alter, text: str, known: Columns) -> Iterator[Hit]:
    table = table_of(tree)
    actions = tree.args.get("actions") or []
    if not actions:
        yield from _by_words(text)
    for action in actions:
        if isinstance(action, exp.ModifyColumn):
            yield from _modified(table, action, known)
        elif found := _ACTIONS.get(type(action)):
            yield from found(table, action)
        elif not isinstance(action, _QUIET):
            yield Hit(files.UNREAD, f"changes {table} in a way that cannot be checked in advance", table)
    keys = {type(action) for action in actions}
    if exp.DropPrimaryKey in keys and "ADD PRIMARY KEY" not in _words(text).upper():
        yield Hit(COPIES, f"drops the PRIMARY KEY of {table} and adds none", table)


def _dropped(table: Name, action: Any) -> Iterator[Hit]:
    for name in (each.name for each in action.args.get("tables") or ()):
        if action.kind in (None, "COLUMN"):
            yield Hit(destructive.DROP_COLUMN, f"drops column {table}.{name}", table)
        elif action.kind in ("CONSTRAINT", "FOREIGN KEY", "CHECK"):
            yield Hit(constraints.DROP, f"drops constraint {name} of {table}", table)


def _added(table: Name, action: Any) -> Iterator[Hit]:
    kinds = [each.kind for each in action.args.get("constraints") or ()]
    has = [type(kind) for kind in kinds]
    column = f"{table}.{action.name}"
    if exp.AutoIncrementColumnConstraint in has or any(
        isinstance(kind, exp.ComputedColumnConstraint) and kind.args.get("persisted") for kind in kinds
    ):
        yield Hit(COPIES, f"adds column {column}, which is computed for each row", table)
    required = any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds
    )
    if required and exp.DefaultColumnConstraint not in has and exp.AutoIncrementColumnConstraint not in has:
        yield Hit(columns.REQUIRED, f"adds NOT NULL column {column} without a default", table)


def _modified(table: Name, action: Any, known: Columns) -> Iterator[Hit]:
    old = action.args.get("rename_from")
    new = action.this.name
    if old is not None and old.name != new:
        yield Hit(renames.COLUMN, f"renames column {table}.{old.name} to {new}", table)
    if known.keeps_rows(table, action):
        if is_not_null(action.this) and known.is_nullable(table, action):
            yield Hit(columns.NOT_NULL, f"sets {table}.{new} NOT NULL", table)
        return
    yield Hit(COPIES, f"changes the type of {table}.{new}, unless it already has that type", table)


def _constraint(table: Name, action: Any) -> Iterator[Hit]:
    text = action.sql("mysql").upper()
    if action.find(exp.ForeignKey):
        yield Hit(COPIES, f"adds a foreign key to {table}", table)
    elif re.search(r"\b(FULLTEXT|SPATIAL)\b", text):
        yield Hit(BLOCKS_WRITES, f"builds a full-text or spatial index on {table}", table)
    elif action.find(exp.CheckColumnConstraint):
        yield Hit(COPIES, f"adds a CHECK to {table}", table)


def _renamed(table: Name, action: Any) -> Iterator[Hit]:
    yield Hit(renames.TABLE, f"renames table {table} to {table_of(action.this)}", table)


def _renamed_column(table: Name, action: Any) -> Iterator[Hit]:
    yield Hit(renames.COLUMN, f"renames column {table}.{action.this.name} to {action.args['to'].name}", table)


_ACTIONS: dict[type, Callable[[Name, Any], Iterator[Hit]]] = {
    exp.Drop: _dropped,
    exp.ColumnDef: _added,
    exp.AddConstraint: _constraint,
    exp.AlterRename: _renamed,
    exp.RenameColumn: _renamed_column,
}
_QUIET = (exp.DropPrimaryKey, exp.AlterColumn)
