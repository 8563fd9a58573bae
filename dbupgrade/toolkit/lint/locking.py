"""Which tables a migration locks, statement by statement, in the order in which it does. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint import blocks
from dbupgrade.toolkit.lint.learning import learn
from dbupgrade.toolkit.lint.lock import TableLock, strongest
from dbupgrade.toolkit.lint.locks import may_lock_others, used_locks
from dbupgrade.toolkit.lint.world import Database, World
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.parser import ParseError, Statement


@dataclass(frozen=True)
class StatementLocks:
    """A statement of a file, and its locks on tables that may be in use."""

    file: str
    line: int
    locks: tuple[TableLock, ...]
    complete: bool
    """False if it may lock tables that cannot be determined in advance: DROP … CASCADE, EXECUTE in a DO block, CALL."""


def locks_in(
    files: Sequence[File], chosen: set[str], database: Database | None = None
) -> Iterator[StatementLocks]:
    """The statements of the chosen files that lock tables, or may; `files` is the whole folder, in its order.

    The chosen files are taken to be applied in one go, to a database that has none of them: what they create is new,
    and left out. `database` is what `facts.ask` says. Raises ParseError for a chosen file that is not PostgreSQL's SQL.
    """
    numbers = frozenset(number for number, file in enumerate(files) if file.name in chosen)
    world = World(database or Database(), together=numbers)
    for number, file in enumerate(files):
        world.begin(number)
        try:
            statements = parser.statements(file.text)
        except ParseError:
            if number in numbers:
                raise
            continue
        for statement in statements:
            found = _look(file, statement, world)
            if number in numbers and (found.locks or not found.complete):
                yield found


def _look(file: File, statement: Statement, world: World) -> StatementLocks:
    """The locks of a statement, which is taken in."""
    found, complete = used_locks(statement.tree, world), not may_lock_others(statement.tree)
    learn(world, statement.tree)
    if isinstance(statement.tree, pb.DoStmt):
        for inner in blocks.inner(file.text, statement):
            complete = complete and inner.tree is not None and not may_lock_others(inner.tree)
            found += used_locks(inner.tree, world)
            learn(world, inner.tree, certain=False)
    return StatementLocks(file.name, statement.line, strongest(found), complete)
