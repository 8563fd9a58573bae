"""Which locks a statement takes on tables that may have users. As PostgreSQL numbers them: 5 keeps writers waiting, 8 all."""

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.world import World
from dbupgrade.toolkit.sql.names import Name, is_concurrent, name_of, names_of_objects, qualified, strings
from dbupgrade.toolkit.sql.parser import unwrap

SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE = 4, 5, 6, 8
_WEAK = {
    pb.AT_ValidateConstraint,
    pb.AT_SetStatistics,
    pb.AT_SetOptions,
    pb.AT_ResetOptions,
    pb.AT_SetRelOptions,
    pb.AT_ResetRelOptions,
    pb.AT_ClusterOn,
    pb.AT_DropCluster,
    pb.AT_AttachPartition,
}
_TRIGGERS = {
    pb.AT_EnableTrig,
    pb.AT_DisableTrig,
    pb.AT_EnableTrigAll,
    pb.AT_DisableTrigAll,
    pb.AT_EnableTrigUser,
    pb.AT_DisableTrigUser,
}


def strong_locks(tree: Any, world: World) -> dict[Name, int]:
    """The locks of a statement that keep at least writers waiting, on tables that are not new."""
    found = {}
    for name, mode in _locks(tree, world):
        if mode >= SHARE and not world.is_new(name) and not world.is_new_other("view", name):
            found[world.resolve(name)[0]] = mode
    return found


def _locks(tree: Any, world: World) -> Iterator[tuple[Name, int]]:
    match tree:
        case pb.AlterTableStmt() if tree.objtype == pb.OBJECT_TABLE:
            yield from _alter(tree)
        case pb.CreateStmt():
            yield from _create(tree)
        case pb.DropStmt():
            yield from _drop(tree, world)
        case pb.TruncateStmt() | pb.LockStmt():
            mode = tree.mode if isinstance(tree, pb.LockStmt) else ACCESS_EXCLUSIVE
            yield from ((name_of(unwrap(each)), mode) for each in tree.relations)
        case pb.CreatePolicyStmt() | pb.AlterPolicyStmt():
            yield name_of(tree.table), ACCESS_EXCLUSIVE
        case _:
            if (mode := _of_relation(tree)) and tree.HasField("relation"):
                yield name_of(tree.relation), mode


def _of_relation(tree: Any) -> int:
    """The lock on the one relation of a statement."""
    match tree:
        case pb.IndexStmt() if not tree.concurrent:
            return SHARE
        case pb.RefreshMatViewStmt() if not tree.concurrent:
            return ACCESS_EXCLUSIVE
        case pb.ReindexStmt() if not is_concurrent(tree) and tree.kind == pb.REINDEX_OBJECT_TABLE:
            return SHARE
        case pb.RenameStmt():
            return SHARE_UPDATE_EXCLUSIVE if tree.rename_type == pb.OBJECT_INDEX else ACCESS_EXCLUSIVE
        case pb.AlterObjectSchemaStmt() | pb.ClusterStmt():
            return ACCESS_EXCLUSIVE
        case pb.CreateTrigStmt():
            return SHARE_ROW_EXCLUSIVE
        case _:
            return 0


def _alter(tree: pb.AlterTableStmt) -> Iterator[tuple[Name, int]]:
    table, mode = name_of(tree.relation), 0
    for command in (each.alter_table_cmd for each in tree.cmds):
        node = unwrap(getattr(command, "def")) if command.HasField("def") else None
        if isinstance(node, pb.Constraint) and node.contype == pb.CONSTR_FOREIGN:
            yield name_of(node.pktable), SHARE_ROW_EXCLUSIVE
            mode = max(mode, SHARE_ROW_EXCLUSIVE)
        elif isinstance(node, pb.PartitionCmd) and command.subtype == pb.AT_AttachPartition:
            yield name_of(node.name), ACCESS_EXCLUSIVE
        elif command.subtype in _TRIGGERS:
            mode = max(mode, SHARE_ROW_EXCLUSIVE)
        elif command.subtype not in _WEAK and not (isinstance(node, pb.PartitionCmd) and node.concurrent):
            mode = ACCESS_EXCLUSIVE
    yield table, mode


def _create(tree: pb.CreateStmt) -> Iterator[tuple[Name, int]]:
    if tree.HasField("partbound"):
        yield name_of(unwrap(tree.inh_relations[0])), ACCESS_EXCLUSIVE
    for element in map(unwrap, tree.table_elts):
        nodes = map(unwrap, element.constraints) if isinstance(element, pb.ColumnDef) else (element,)
        for node in nodes:
            if isinstance(node, pb.Constraint) and node.contype == pb.CONSTR_FOREIGN:
                yield name_of(node.pktable), SHARE_ROW_EXCLUSIVE


def _drop(tree: pb.DropStmt, world: World) -> Iterator[tuple[Name, int]]:
    match tree.remove_type:
        case pb.OBJECT_TABLE | pb.OBJECT_MATVIEW:
            yield from ((name, ACCESS_EXCLUSIVE) for name in names_of_objects(tree))
        case pb.OBJECT_INDEX if not tree.concurrent:
            for name in names_of_objects(tree):
                if known := world.indexes.get(world.resolve(name)[0]):
                    yield known.table, ACCESS_EXCLUSIVE
        case pb.OBJECT_TRIGGER | pb.OBJECT_POLICY | pb.OBJECT_RULE:
            for item in tree.objects:
                yield qualified(strings(item.list.items)[:-1]), ACCESS_EXCLUSIVE
        case _:
            pass
