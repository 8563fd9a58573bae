"""What a file does to its transaction and to those who wait for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import walk
from dbupgrade.toolkit.lint.expressions import is_one_row
from dbupgrade.toolkit.lint.learning import set_by_function
from dbupgrade.toolkit.lint.locks import strong_locks
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.lint.rules.tables import ENUM_VALUE
from dbupgrade.toolkit.lint.world import World
from dbupgrade.toolkit.sql.names import Name, literal, name_of, qualified, quoted, strings

SEVERAL_LOCKS = LintRule(
    "several-locks",
    "locks",
    Level.WARNING,
    "locks several tables in one transaction",
    "the first table stays locked while the transaction waits for the next, and a session that locks them in another order causes a deadlock",
    "a separate file for each table",
    "the locks of its statements, until the transaction ends",
)
LOCK_WHILE_WRITING = LintRule(
    "lock-held-while-writing",
    "locks",
    Level.WARNING,
    "writes rows while it holds a lock",
    "other sessions that use the locked table wait until all rows are written",
    "write the rows in an earlier or later file",
    "the lock of the earlier statement, while rows are written",
)
NO_TIMEOUT = LintRule(
    "require-timeout-settings",
    "locks",
    Level.WARNING,
    "waits for a lock without a limit",
    "while it waits behind a long transaction, all other sessions that use {table} wait behind it",
    "SET lock_timeout = '5s' at the top of the file, or MIGRATE_LOCK_TIMEOUT",
    "the lock of the statement, while the statement waits for it",
)
LEFT_OPEN = LintRule(
    "transaction-left-open",
    "transactions",
    Level.ERROR,
    "leaves a transaction open",
    "what follows BEGIN is rolled back when the session ends, or holds its locks until then",
    "end the file with COMMIT, or remove BEGIN",
    aliases=("ban-uncommitted-transaction",),
)
NESTED = LintRule(
    "transaction-nesting",
    "transactions",
    Level.WARNING,
    "contains BEGIN or COMMIT in a file that runs in a transaction",
    "COMMIT ends the transaction of the file: a failure after it leaves the file half applied",
    "remove them, or begin the file with `-- atlas:txmode none` and an empty line",
    aliases=("nestedtx", "TX101"),
)

_BEGINS = (pb.TRANS_STMT_BEGIN, pb.TRANS_STMT_START)
_ENDS = (pb.TRANS_STMT_COMMIT, pb.TRANS_STMT_ROLLBACK, pb.TRANS_STMT_PREPARE)


@dataclass
class Session:
    """The session of one file."""

    transactional: bool
    """Whether the file runs in a transaction."""
    has_timeout: bool
    """Whether a lock is waited for within bounds."""
    begun: int | None = None
    """The statement that began a transaction of the file's own."""
    locked: dict[Name, int] = field(default_factory=dict)
    enum_values: dict[str, Name] = field(default_factory=dict)
    """Values that the transaction has added, and their types."""
    nested: bool = False

    @property
    def in_transaction(self) -> bool:
        """Whether a statement runs in a transaction with those before it."""
        return self.transactional or self.begun is not None

    def look(self, tree: Any, number: int, world: World) -> Iterator[Hit]:
        """What a statement does here; the session goes on behind it."""
        if isinstance(tree, pb.TransactionStmt):
            yield from self._transaction(tree, number)
            return
        if not self.has_timeout:
            self.has_timeout = _sets_timeout(tree)
        locks = strong_locks(tree, world)
        if locks and not self.has_timeout:
            self.has_timeout = True  # said once for a file
            table = next(iter(locks))
            yield Hit(
                NO_TIMEOUT, f"waits for a lock on {table} without a limit", table, "SET lock_timeout = '5s';"
            )
        if not self.in_transaction:
            return
        yield from self._enum(tree, world)
        if self.locked and (new := [name for name in locks if name not in self.locked]):
            held = ", ".join(map(str, self.locked))
            yield Hit(SEVERAL_LOCKS, f"locks {', '.join(map(str, new))} while it holds a lock on {held}")
        if self.locked and (written := _writes(tree, world)) and not world.is_new(written):
            held = ", ".join(map(str, self.locked))
            yield Hit(LOCK_WHILE_WRITING, f"writes rows to {written} while it holds a lock on {held}")
        self.locked |= locks

    def end(self) -> Iterator[tuple[int, Hit]]:
        """What is to be said at the end of the file, and of which statement."""
        if self.begun is not None:
            yield (
                self.begun,
                Hit(LEFT_OPEN, "begins a transaction and does not end it", None, "COMMIT;  -- at its end"),
            )

    def _transaction(self, tree: pb.TransactionStmt, number: int) -> Iterator[Hit]:
        if tree.kind in _BEGINS:
            self.begun = number
        elif tree.kind in _ENDS:
            self.begun = None
            self.locked.clear()
        else:
            return
        if self.transactional and not self.nested:
            self.nested = True
            yield Hit(NESTED, NESTED.what)

    def _enum(self, tree: Any, world: World) -> Iterator[Hit]:
        if isinstance(tree, pb.AlterEnumStmt) and tree.new_val and not tree.old_val:
            name = qualified(strings(tree.type_name))
            if not world.is_new_other("type", name):
                self.enum_values[tree.new_val] = name
            return
        if self.enum_values:
            used = {
                each.sval.sval
                for each in walk(tree)
                if isinstance(each, pb.A_Const) and each.HasField("sval")
            }
            if found := sorted(used & self.enum_values.keys()):
                steps = [
                    f"-- in an earlier file: ALTER TYPE {quoted(self.enum_values[each])} ADD VALUE {literal(each)};"
                    for each in found
                ]
                yield Hit(
                    ENUM_VALUE, "uses an enum value that this transaction has added", None, "\n".join(steps)
                )


def _sets_timeout(tree: Any) -> bool:
    match tree:
        case pb.VariableSetStmt() if tree.name == "lock_timeout" and tree.args:
            value = tree.args[0].a_const
            return bool(value.sval.sval not in ("", "0")) if value.HasField("sval") else bool(value.ival.ival)
        case pb.SelectStmt():
            return set_by_function(tree, "lock_timeout") not in (None, "0")
        case _:
            return False


def _writes(tree: Any, world: World) -> Name | None:
    """The table of which a statement writes rows, other than a few that the file names."""
    match tree:
        case pb.InsertStmt() if tree.select_stmt.select_stmt.values_lists:
            return None
        case pb.UpdateStmt() | pb.DeleteStmt() if is_one_row(tree, world.table(name_of(tree.relation))):
            return None
        case pb.InsertStmt() | pb.UpdateStmt() | pb.DeleteStmt() | pb.MergeStmt():
            return name_of(tree.relation)
        case pb.CopyStmt() if tree.is_from and tree.HasField("relation"):
            return name_of(tree.relation)
        case _:
            return None
