"""Indexes: built, dropped and built again while others wait."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.sql.concurrently import partitioned_advice
from dbupgrade.toolkit.sql.names import is_concurrent, name_of, names_of_objects, quoted, sql_of
from dbupgrade.toolkit.sql.parser import unwrap

CREATE = LintRule(
    "require-concurrent-index-creation",
    "concurrent_index",
    Level.ERROR,
    "builds an index on an existing table",
    "writes to {table} wait while it is built",
    "CREATE INDEX CONCURRENTLY, which `dbupgrade migrate convert` moves into a separate file",
    "SHARE, while an index is built",
    ("PG101", "add_index"),
    by_size=True,
)
DROP = LintRule(
    "require-concurrent-index-deletion",
    "concurrent_index",
    Level.WARNING,
    "drops an index",
    "reads and writes of {table} wait until all transactions that use it have ended",
    "DROP INDEX CONCURRENTLY",
    "ACCESS EXCLUSIVE on the table, for a moment",
    ("PG102", "remove_index"),
)
REINDEX = LintRule(
    "require-concurrent-reindex",
    "concurrent_index",
    Level.ERROR,
    "rebuilds indexes",
    "meanwhile, writes to {table} wait, and so do reads that use an index that is being built",
    "REINDEX … CONCURRENTLY",
    "SHARE on the table, ACCESS EXCLUSIVE on the index, while it is built",
    by_size=True,
)


@on(pb.IndexStmt)
def creates(tree: pb.IndexStmt, at: At) -> Iterator[Hit]:
    """CREATE INDEX."""
    table = name_of(tree.relation)
    known = at.table(table)
    if tree.concurrent or (not tree.relation.inh and known.partitioned is not False):
        return  # ONLY the parent of partitions: nothing is built
    copy = pb.IndexStmt()
    copy.CopyFrom(tree)
    copy.concurrent = True
    instead = (
        f"-- {partitioned_advice(quoted(table))}"
        if known.partitioned
        else sql_of(copy).replace(" USING btree ", " ", 1)
    )
    name = f"index {tree.idxname}" if tree.idxname else "an index"
    yield Hit(CREATE, f"builds {name} on {table}", table, instead)


@on(pb.DropStmt)
def drops(tree: pb.DropStmt, at: At) -> Iterator[Hit]:
    """DROP INDEX."""
    if tree.remove_type != pb.OBJECT_INDEX or tree.concurrent:
        return
    exists = "IF EXISTS " if tree.missing_ok else ""
    for name in names_of_objects(tree):
        if at.is_new(name):
            continue
        known = at.world.indexes.get(at.world.resolve(name)[0])
        if known and known.partitioned:
            continue  # there is no other way
        table = known.table if known else None
        of = f" of {table}" if table else ""
        yield Hit(DROP, f"drops index {name}{of}", table, f"DROP INDEX CONCURRENTLY {exists}{quoted(name)};")


@on(pb.ReindexStmt)
def builds_again(tree: pb.ReindexStmt, at: At) -> Iterator[Hit]:
    """REINDEX."""
    if is_concurrent(tree):
        return
    copy = pb.ReindexStmt()
    copy.CopyFrom(tree)
    option = pb.DefElem(defname="concurrently", defaction=pb.DEFELEM_UNSPEC)
    others = [each for each in tree.params if unwrap(each).defname != "concurrently"]
    del copy.params[:]
    copy.params.extend([*others, pb.Node(def_elem=option)])
    if not tree.HasField("relation"):
        yield Hit(REINDEX, f"rebuilds all indexes of {tree.name or 'the database'}", None, sql_of(copy))
        return
    name = name_of(tree.relation)
    if tree.kind == pb.REINDEX_OBJECT_INDEX:
        known = at.world.indexes.get(at.world.resolve(name)[0])
        if not at.is_new(name):
            yield Hit(REINDEX, f"rebuilds index {name}", known.table if known else None, sql_of(copy))
    else:
        yield Hit(REINDEX, f"rebuilds all indexes of {name}", name, sql_of(copy))
