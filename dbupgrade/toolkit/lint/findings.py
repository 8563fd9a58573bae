"""What breaks production, found in the files of a folder. Pure: what the database says comes as data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint import blocks, naming
from dbupgrade.toolkit.lint.checks import CHECKS, At
from dbupgrade.toolkit.lint.definitions import created
from dbupgrade.toolkit.lint.learning import learn
from dbupgrade.toolkit.lint.rule import Finding, Hit, Level
from dbupgrade.toolkit.lint.rules import files as of_files
from dbupgrade.toolkit.lint.rules.session import Session
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.lint.suppression import Suppressions
from dbupgrade.toolkit.lint.world import Database, World
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.directives import has_no_transaction
from dbupgrade.toolkit.sql.names import Name
from dbupgrade.toolkit.sql.parser import ParseError, Statement


@dataclass(frozen=True)
class Known:
    """What is known beside the files."""

    settings: LintSettings = field(default_factory=LintSettings)
    database: Database = field(default_factory=Database)
    asked: bool = False
    """Whether the database was asked."""
    together: bool = False
    """Whether the chosen files are applied in one go, to a database that has none of them."""
    has_timeout: bool = True
    """Whether the runner sets a lock_timeout."""
    has_no_transaction: Callable[[str], bool] = has_no_transaction
    """Whether a file, by its text, is run without a transaction."""


def findings(files: Sequence[File], chosen: set[str], known: Known | None = None) -> list[Finding]:
    """All findings in the chosen files that are not suppressed, in their order; `files` is the whole folder."""
    known = known or Known()
    numbers = frozenset(number for number, file in enumerate(files) if file.name in chosen)
    world = World(known.database, together=numbers if known.together else frozenset())
    found: list[Finding] = []
    for number, file in enumerate(files):
        world.begin(number)
        try:
            statements = parser.statements(file.text)
        except ParseError as error:
            if number in numbers:
                found.append(_unreadable(file, error))
            continue
        look = _File(file, statements, world, known)
        if number in numbers:
            found += look.findings()
        else:
            look.learn()
    return found


def skipped(names: Sequence[str], current: str) -> list[Finding]:
    """Files that will never be applied: the database is at `current`. No comment in them is a reason to say nothing."""
    rule = of_files.SKIPPED
    what = f"has a version below {current}, the version of the database, and was never applied"
    return [Finding(name, 1, rule, rule.level, what, rule.why) for name in names]


def _unreadable(file: File, error: ParseError) -> Finding:
    """A file that PostgreSQL's parser cannot read."""
    rule = of_files.SYNTAX
    return Finding(file.name, error.line, rule, rule.level, rule.what, rule.why)


class _File:
    """One file, statement by statement."""

    def __init__(self, file: File, statements: Sequence[Statement], world: World, known: Known) -> None:
        self._file, self._statements, self._world, self._known = file, statements, world, known
        self._made_by_path: dict[tuple[str, ...], dict[tuple[str, Name], int]] = {}
        self._session = Session(not known.has_no_transaction(file.text), known.has_timeout)

    def learn(self) -> None:
        """Take in the file."""
        for statement in self._statements:
            tree = statement.tree
            learn(self._world, tree)
            if isinstance(tree, pb.DoStmt):
                for inner in blocks.inner(self._file.text, statement):
                    learn(self._world, inner.tree, certain=False)

    def findings(self) -> list[Finding]:
        """Take in the file, and say what is found in it."""
        reasons = self._known.settings.reasons
        suppressions = Suppressions(self._file.text, self._statements, reasons=reasons)
        found = []
        for number, line, hit in dict.fromkeys(self._hits()):
            covering = suppressions.covering(number, hit.rule)
            if not covering:
                found.append(self._finding(line, hit))
            elif reasons:
                found.append(self._finding(line, hit).as_suppressed(covering[0].reason))
        if not self._known.asked:  # what the database says may be why nothing is found
            found += [
                self._finding(comment.line, Hit(of_files.UNUSED, what))
                for comment in suppressions.comments
                for what in comment.unused()
            ]
        return sorted(found, key=lambda finding: finding.line)

    def _hits(self) -> Iterator[tuple[int, int, Hit]]:
        """Each with the number of its statement, and its line."""
        for number, statement in enumerate(self._statements):
            tree = statement.tree
            for hit in self._look(number, tree):
                yield number, statement.line, hit
            learn(self._world, tree)
            if isinstance(tree, pb.DoStmt):
                for inner in blocks.inner(self._file.text, statement):
                    if inner.tree is None:
                        yield number, inner.line, Hit(of_files.UNREAD, of_files.UNREAD.what)
                    else:
                        yield from ((number, inner.line, hit) for hit in self._look(number, inner.tree))
                        learn(self._world, inner.tree, certain=False)
        for number, hit in self._session.end():
            yield number, self._statements[number].line, hit

    def _look(self, number: int, tree: Any) -> Iterator[Hit]:
        world = self._world
        at = At(
            world,
            self._session.in_transaction,
            number,
            self._made() if isinstance(tree, pb.DropStmt | pb.AlterTableStmt) else {},
        )
        for check in CHECKS.get(type(tree), ()):
            yield from (hit for hit in check(tree, at) if hit.table is None or not world.is_new(hit.table))
        yield from self._session.look(tree, number, world)
        yield from naming.look(tree, self._known.settings.naming)

    def _made(self) -> Mapping[tuple[str, Name], int]:
        """What the file makes, as names are understood now, with the number of the last statement that does."""
        path = self._world.path
        if path not in self._made_by_path:
            self._made_by_path[path] = {
                (kind, self._world.home(name)): number for number, (kind, name) in self._created
            }
        return self._made_by_path[path]

    @cached_property
    def _created(self) -> list[tuple[int, tuple[str, Name]]]:
        """What the file makes, with the numbers of the statements."""
        return [
            (number, each)
            for number, statement in enumerate(self._statements)
            for each in created(statement.tree)
        ]

    def _finding(self, line: int, hit: Hit) -> Finding:
        why = hit.rule.why.replace("{table}", self._described(hit.table))
        if hit.table and (who := self._known.database.locked.get(self._world.resolve(hit.table)[0])):
            why = f"{why}; right now it is locked by {who}"
        return Finding(self._file.name, line, hit.rule, self._level(hit), hit.what, why, hit.instead)

    def _described(self, table: Name | None) -> str:
        """A table, with its size where the database has said it."""
        if table is None:
            return "the table"
        size = self._known.database.sizes.get(self._world.resolve(table)[0])
        return f"{table} ({size})" if size else str(table)

    def _level(self, hit: Hit) -> Level:
        settings, level = self._known.settings, hit.level or hit.rule.level
        if level is Level.INFO:
            return level
        if (error := settings.errors.get(hit.rule.category)) is not None:
            level = Level.ERROR if error else Level.WARNING
        size = self._known.database.sizes.get(self._world.resolve(hit.table)[0]) if hit.table else None
        small = size is not None and settings.threshold is not None and size.bytes < settings.threshold
        return Level.WARNING if small and hit.rule.by_size else level
