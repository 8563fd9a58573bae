"""Partitions: what is scanned when they are attached, and who waits when they are detached."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.sql.names import name_of, quote, quoted
from dbupgrade.toolkit.sql.parser import unwrap

ATTACH = LintRule(
    "attach-partition-without-check",
    "data_depend",
    Level.ERROR,
    "attaches a partition without a CHECK that matches its bounds",
    "reads and writes of {table} wait while all its rows are scanned, to verify that they belong to the partition",
    "a CHECK with the partition's bounds, NOT VALID, and VALIDATE CONSTRAINT, in earlier files; it can be dropped after ATTACH",
    "ACCESS EXCLUSIVE on the partition, while all rows are scanned; SHARE UPDATE EXCLUSIVE on the parent",
    by_size=True,
)
CREATE = LintRule(
    "creating-partition",
    "incompatible",
    Level.WARNING,
    "creates a partition of an existing table",
    "reads and writes of {table} wait behind it until running transactions have ended; a default partition is scanned as well",
    "CREATE TABLE … (LIKE … INCLUDING ALL), then ATTACH PARTITION, which does not block others",
    "ACCESS EXCLUSIVE on the parent, for a moment",
)
DETACH = LintRule(
    "require-concurrent-partition-detach",
    "incompatible",
    Level.WARNING,
    "detaches a partition",
    "reads and writes of {table} wait behind it until running transactions have ended",
    "DETACH PARTITION … CONCURRENTLY, alone in a file without a transaction (`-- atlas:txmode none`)",
    "ACCESS EXCLUSIVE on the parent and the partition, for a moment",
)


@on(pb.CreateStmt)
def creates(tree: pb.CreateStmt, _: At) -> Iterator[Hit]:
    """CREATE TABLE … PARTITION OF."""
    if not tree.HasField("partbound"):
        return
    parent, name = name_of(unwrap(tree.inh_relations[0])), name_of(tree.relation)
    instead = f"CREATE TABLE {quoted(name)} (LIKE {quoted(parent)} INCLUDING ALL);\nALTER TABLE {quoted(parent)} ATTACH PARTITION {quoted(name)} …;"
    yield Hit(CREATE, f"creates {name}, a partition of {parent}", parent, instead)


@on(pb.AlterTableStmt)
def changes(tree: pb.AlterTableStmt, at: At) -> Iterator[Hit]:
    """ATTACH PARTITION and DETACH PARTITION."""
    if tree.objtype != pb.OBJECT_TABLE:
        return
    parent = name_of(tree.relation)
    for command in (each.alter_table_cmd for each in tree.cmds):
        part = unwrap(getattr(command, "def")) if command.HasField("def") else None
        if not isinstance(part, pb.PartitionCmd):
            continue
        name = name_of(part.name)
        if command.subtype == pb.AT_AttachPartition and not at.table(name).has_proved_check:
            own = quote(f"{name.name}_bounds")
            steps = (
                f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {own} CHECK (…) NOT VALID;  -- the bounds, and NOT NULL",
                f"-- in a later file: ALTER TABLE {quoted(name)} VALIDATE CONSTRAINT {own};",
                "-- then the ATTACH PARTITION",
            )
            yield Hit(ATTACH, f"attaches {name} to {parent}", name, "\n".join(steps))
        if command.subtype == pb.AT_DetachPartition and not part.concurrent:
            instead = f"ALTER TABLE {quoted(parent)} DETACH PARTITION {quoted(name)} CONCURRENTLY;"
            yield Hit(DETACH, f"detaches {name} from {parent}", parent, instead)
