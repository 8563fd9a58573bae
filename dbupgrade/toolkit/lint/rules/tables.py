"""Whole tables: written again, emptied of their users, locked."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.sql.names import name_of, quoted, says_yes
from dbupgrade.toolkit.sql.parser import unwrap

_WHILE_WRITTEN = "ACCESS EXCLUSIVE, while all rows are rewritten"

VACUUM_FULL = LintRule(
    "vacuum-full",
    "incompatible",
    Level.ERROR,
    "rewrites a table with VACUUM FULL",
    "{table} is rewritten while reads and writes wait",
    "VACUUM, which blocks nobody, or pg_repack to reclaim disk space",
    _WHILE_WRITTEN,
    by_size=True,
)
CLUSTER = LintRule(
    "cluster",
    "incompatible",
    Level.ERROR,
    "sorts a table with CLUSTER",
    "{table} is rewritten while reads and writes wait",
    "an index that suits the queries, or pg_repack if the order matters",
    _WHILE_WRITTEN,
    by_size=True,
)
REWRITE = LintRule(
    "rewriting-table",
    "incompatible",
    Level.ERROR,
    "changes how a table is stored",
    "{table} is rewritten or copied while reads and writes wait",
    "a new table with the new storage, filled in batches, that the application switches to",
    _WHILE_WRITTEN,
    by_size=True,
)
REFRESH = LintRule(
    "require-concurrent-refresh",
    "incompatible",
    Level.ERROR,
    "refreshes a materialized view",
    "meanwhile, reads of {table} wait",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index",
    "ACCESS EXCLUSIVE on the view, while it is refreshed",
    by_size=True,
)
TRIGGER = LintRule(
    "creating-trigger",
    "incompatible",
    Level.WARNING,
    "creates a trigger on an existing table",
    "writes to {table} wait behind it until running transactions have ended, and from then on all writes run it, including "
    "those of old versions of the application",
    "make sure that it is compatible with every running version, and set a lock_timeout before it; then suppress this finding with the "
    "reason",
    "SHARE ROW EXCLUSIVE, for a moment",
)
LOCK = LintRule(
    "lock-table",
    "incompatible",
    Level.WARNING,
    "locks a table explicitly",
    "other sessions that use {table} wait until the transaction ends",
    "leave it to the statement that needs the lock, with a lock_timeout before it",
    "the lock that it names, until the transaction ends",
)
ENUM_VALUE = LintRule(
    "enum-value-in-same-transaction",
    "syntax",
    Level.ERROR,
    "uses an enum value in the transaction that added it",
    "PostgreSQL rejects it, and the file fails",
    "add the value in an earlier file",
    "none",
)

_STORAGE = {
    pb.AT_SetLogged: "makes {} LOGGED",
    pb.AT_SetUnLogged: "makes {} UNLOGGED",
    pb.AT_SetTableSpace: "moves {} to another tablespace",
    pb.AT_SetAccessMethod: "changes the access method of {}",
}


@on(pb.VacuumStmt)
def vacuums(tree: pb.VacuumStmt, _: At) -> Iterator[Hit]:
    """VACUUM FULL."""
    options = [unwrap(each) for each in tree.options]
    if not any(each.defname == "full" and says_yes(each) for each in options):
        return
    if not tree.rels:
        yield Hit(VACUUM_FULL, "rewrites all tables of the database with VACUUM FULL", None, "VACUUM;")
    for each in tree.rels:
        table = name_of(unwrap(each).relation)
        yield Hit(
            VACUUM_FULL, f"rewrites {table} with VACUUM FULL", table, f"VACUUM (ANALYZE) {quoted(table)};"
        )


@on(pb.ClusterStmt)
def clusters(tree: pb.ClusterStmt, _: At) -> Iterator[Hit]:
    """CLUSTER."""
    if not tree.HasField("relation"):
        yield Hit(CLUSTER, "sorts all tables that have been clustered before")
        return
    table = name_of(tree.relation)
    yield Hit(CLUSTER, f"sorts {table} with CLUSTER", table)


@on(pb.AlterTableStmt)
def changes_storage(tree: pb.AlterTableStmt, _: At) -> Iterator[Hit]:
    """SET LOGGED, UNLOGGED, TABLESPACE and ACCESS METHOD."""
    name = name_of(tree.relation)
    for command in (each.alter_table_cmd for each in tree.cmds):
        if command.subtype in _STORAGE:
            yield Hit(REWRITE, _STORAGE[command.subtype].format(name), name)


@on(pb.RefreshMatViewStmt)
def refreshes(tree: pb.RefreshMatViewStmt, _: At) -> Iterator[Hit]:
    """REFRESH MATERIALIZED VIEW."""
    if not tree.concurrent:
        view = name_of(tree.relation)
        instead = f"REFRESH MATERIALIZED VIEW CONCURRENTLY {quoted(view)};"
        what = (
            f"empties materialized view {view}" if tree.skip_data else f"refreshes materialized view {view}"
        )
        yield Hit(REFRESH, what, view, instead)


@on(pb.CreateTrigStmt)
def makes_trigger(tree: pb.CreateTrigStmt, _: At) -> Iterator[Hit]:
    """CREATE TRIGGER."""
    table = name_of(tree.relation)
    yield Hit(TRIGGER, f"creates trigger {tree.trigname} on {table}", table)


@on(pb.LockStmt)
def locks(tree: pb.LockStmt, _: At) -> Iterator[Hit]:
    """LOCK TABLE in a mode that keeps writers waiting."""
    for each in tree.relations:
        table = name_of(unwrap(each))
        if tree.mode >= SHARE:
            yield Hit(LOCK, f"locks {table}", table)


SHARE = 5
"""The weakest lock that keeps writers waiting, as PostgreSQL numbers them; 8 is ACCESS EXCLUSIVE."""
