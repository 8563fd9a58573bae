"""Which locks a statement takes on tables, views and materialized views.

What triggers, rules, functions and views lock in turn is not in the text of a statement, so it is not included.
"""

from collections.abc import Callable, Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.altering import altered
from dbupgrade.toolkit.lint.definitions import FOREIGN, constraint_of, walk
from dbupgrade.toolkit.lint.expressions import matches_all
from dbupgrade.toolkit.lint.lock import LockMode, TableLock, strongest
from dbupgrade.toolkit.lint.world import World
from dbupgrade.toolkit.sql.names import (
    Name,
    is_concurrent,
    name_of,
    names_of_objects,
    qualified,
    says_yes,
    strings,
)
from dbupgrade.toolkit.sql.parser import unwrap


def locks_of(tree: Any, world: World | None = None) -> tuple[TableLock, ...]:
    """The strongest lock of a statement on each table, whether that is new or not.

    `tree` is `Statement.tree` of `sql.parser`; `world` is what is known before the statement, without which names have no
    certain schema, foreign keys are not followed, and what may rewrite or scan a table is said to. A DO block has none: see
    `locking.locks_in`, which looks into it.
    """
    world = world or World()
    return strongest(
        TableLock(world.resolve(each.table)[0], each.mode, each.rewrites, each.scans)
        for each in _locks(tree, world)
    )


def strong_locks(tree: Any, world: World) -> dict[Name, LockMode]:
    """The locks of a statement that keep at least writers waiting, on tables that are not new.

    Those on views that it replaces or drops are left out: they are held for a moment, and lists of views are usual.
    """
    if isinstance(tree, pb.ViewStmt) or (
        isinstance(tree, pb.DropStmt) and tree.remove_type == pb.OBJECT_VIEW
    ):
        return {}
    return {lock.table: lock.mode for lock in used_locks(tree, world) if lock.mode.blocks_writes}


def used_locks(tree: Any, world: World) -> list[TableLock]:
    """The locks of a statement on tables and views that are not new: others may use them."""
    return [
        lock
        for lock in locks_of(tree, world)
        if not world.is_new(lock.table) and not world.is_new_other("view", lock.table)
    ]


def may_lock_others(tree: Any) -> bool:
    """Whether a statement may lock tables that its text does not name."""
    match tree:
        case pb.DropStmt():
            return bool(tree.behavior == pb.DROP_CASCADE or tree.remove_type == pb.OBJECT_EXTENSION)
        case pb.VacuumStmt():
            return not tree.rels
        case pb.ClusterStmt() | pb.ReindexStmt():
            return not tree.HasField("relation")
        case pb.TruncateStmt():
            return bool(tree.behavior == pb.DROP_CASCADE)
        case pb.AlterDomainStmt():
            return _scans_domain(tree)
        case _:
            return isinstance(tree, _UNNAMED)


_UNNAMED = (
    pb.DropOwnedStmt,
    pb.ReassignOwnedStmt,
    pb.AlterTableMoveAllStmt,
    pb.CallStmt,
    pb.AlterExtensionStmt,
    pb.ExecuteStmt,
)


def _scans_domain(tree: pb.AlterDomainStmt) -> bool:
    """ADD CONSTRAINT, VALIDATE CONSTRAINT and SET NOT NULL."""
    if tree.subtype == "C":
        return constraint_of(unwrap(getattr(tree, "def")), 0).validated
    return tree.subtype in ("O", "V")


def _locks(tree: Any, world: World) -> Iterator[TableLock]:
    if found := _BY_TYPE.get(type(tree)):
        yield from found(tree, world)
    elif isinstance(tree, _QUERIES):
        yield from _queried(tree)


def _exclusive(*relations: pb.RangeVar) -> Iterator[TableLock]:
    return (TableLock(name_of(each), LockMode.ACCESS_EXCLUSIVE) for each in relations)


# Rows


_QUERIES = (
    pb.SelectStmt,
    pb.InsertStmt,
    pb.UpdateStmt,
    pb.DeleteStmt,
    pb.MergeStmt,
    pb.CopyStmt,
    pb.CreateTableAsStmt,
    pb.ExplainStmt,
    pb.DeclareCursorStmt,
    pb.PrepareStmt,
    pb.ViewStmt,
)


def _queried(tree: Any) -> Iterator[TableLock]:
    """The tables that a query reads or writes, also below WITH."""
    nodes = list(walk(tree))
    named = {each.ctename for each in nodes if isinstance(each, pb.CommonTableExpr)}
    made = [each.rel for each in nodes if isinstance(each, pb.IntoClause)]
    made += [tree.view] if isinstance(tree, pb.ViewStmt) else []
    for each in nodes:
        if isinstance(each, pb.InsertStmt | pb.MergeStmt):
            yield TableLock(name_of(each.relation), LockMode.ROW_EXCLUSIVE)
        elif isinstance(each, pb.UpdateStmt | pb.DeleteStmt):
            yield TableLock(name_of(each.relation), LockMode.ROW_EXCLUSIVE, scans=matches_all(each))
        elif isinstance(each, pb.CopyStmt) and each.HasField("relation"):
            mode = LockMode.ROW_EXCLUSIVE if each.is_from else LockMode.ACCESS_SHARE
            yield TableLock(name_of(each.relation), mode)
        elif isinstance(each, pb.SelectStmt) and each.locking_clause:
            for source in each.from_clause:
                yield from _read(walk(source), named, LockMode.ROW_SHARE)
    yield from _read((each for each in nodes if each not in made), named, LockMode.ACCESS_SHARE)


def _read(nodes: Iterator[Any], named: set[str], mode: LockMode) -> Iterator[TableLock]:
    for each in nodes:
        if isinstance(each, pb.RangeVar) and (each.schemaname or each.relname not in named):
            yield TableLock(name_of(each), mode)


# Tables


def _create(tree: pb.CreateStmt, _: World) -> Iterator[TableLock]:
    for parent in map(unwrap, tree.inh_relations):
        is_partition = tree.HasField("partbound")
        mode = LockMode.ACCESS_EXCLUSIVE if is_partition else LockMode.SHARE_UPDATE_EXCLUSIVE
        yield TableLock(name_of(parent), mode)
    for element in map(unwrap, tree.table_elts):
        if isinstance(element, pb.TableLikeClause):
            yield TableLock(name_of(element.relation), LockMode.ACCESS_SHARE)
        nodes = map(unwrap, element.constraints) if isinstance(element, pb.ColumnDef) else (element,)
        for node in nodes:
            if isinstance(node, pb.Constraint) and node.contype == FOREIGN:
                yield TableLock(name_of(node.pktable), LockMode.SHARE_ROW_EXCLUSIVE)


def _schema(tree: pb.CreateSchemaStmt, world: World) -> Iterator[TableLock]:
    for element in map(unwrap, tree.schema_elts):
        yield from _locks(element, world)


def _drop(tree: pb.DropStmt, world: World) -> Iterator[TableLock]:
    match tree.remove_type:
        case pb.OBJECT_TABLE:
            for name in names_of_objects(tree):
                yield from _drop_table(name, world)
        case pb.OBJECT_MATVIEW | pb.OBJECT_VIEW | pb.OBJECT_FOREIGN_TABLE:
            yield from (TableLock(name, LockMode.ACCESS_EXCLUSIVE) for name in names_of_objects(tree))
        case pb.OBJECT_INDEX:
            mode = LockMode.SHARE_UPDATE_EXCLUSIVE if tree.concurrent else LockMode.ACCESS_EXCLUSIVE
            yield from (TableLock(_table_of(name, world), mode) for name in names_of_objects(tree))
        case pb.OBJECT_TRIGGER | pb.OBJECT_POLICY | pb.OBJECT_RULE:
            for item in tree.objects:
                yield TableLock(qualified(strings(item.list.items)[:-1]), LockMode.ACCESS_EXCLUSIVE)
        case pb.OBJECT_SCHEMA:
            schemas = {unwrap(item).sval for item in tree.objects}
            for name in [name for name in world.tables if name.schema in schemas]:
                yield from _drop_table(name, world)
        case _:
            pass


def _drop_table(name: Name, world: World) -> Iterator[TableLock]:
    """A foreign key goes with its table, which locks the other end of it."""
    yield TableLock(name, LockMode.ACCESS_EXCLUSIVE)
    for key in world.table(name).constraints.values():
        if key.refers:
            yield TableLock(key.refers, LockMode.ACCESS_EXCLUSIVE)
    yield from (TableLock(other, LockMode.ACCESS_EXCLUSIVE) for other in world.referring(name))


def _table_of(index: Name, world: World) -> Name:
    """The table of an index; the index, where that is not known."""
    known = world.indexes.get(world.resolve(index)[0])
    return known.table if known else index


def _truncate(tree: pb.TruncateStmt, world: World) -> Iterator[TableLock]:
    pending, seen = [world.resolve(name_of(unwrap(each)))[0] for each in tree.relations], set[Name]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        yield TableLock(name, LockMode.ACCESS_EXCLUSIVE)
        pending += world.referring(name) if tree.behavior == pb.DROP_CASCADE else ()


def _lock(tree: pb.LockStmt, _: World) -> Iterator[TableLock]:
    return (TableLock(name_of(unwrap(each)), LockMode(tree.mode)) for each in tree.relations)


def _view(tree: pb.ViewStmt, _: World) -> Iterator[TableLock]:
    if tree.replace:
        yield from _exclusive(tree.view)
    yield from _queried(tree)


# Indexes and storage


def _index(tree: pb.IndexStmt, world: World) -> Iterator[TableLock]:
    table = name_of(tree.relation)
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if tree.concurrent else LockMode.SHARE
    only_parent = not tree.relation.inh and world.table(table).partitioned is not False
    yield TableLock(table, mode, scans=not only_parent)


def _reindex(tree: pb.ReindexStmt, world: World) -> Iterator[TableLock]:
    if not tree.HasField("relation"):
        return
    name = name_of(tree.relation)
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if is_concurrent(tree) else LockMode.SHARE
    if tree.kind == pb.REINDEX_OBJECT_TABLE:
        yield TableLock(name, mode, scans=True)
    elif (table := _table_of(name, world)) != name:
        yield TableLock(table, mode, scans=True)
    else:
        yield TableLock(name, max(mode, LockMode.ACCESS_EXCLUSIVE if mode is LockMode.SHARE else mode))


def _vacuum(tree: pb.VacuumStmt, _: World) -> Iterator[TableLock]:
    options = [unwrap(each) for each in tree.options]
    full = any(each.defname == "full" and says_yes(each) for each in options)
    mode = LockMode.ACCESS_EXCLUSIVE if full else LockMode.SHARE_UPDATE_EXCLUSIVE
    for each in tree.rels:
        yield TableLock(name_of(unwrap(each).relation), mode, rewrites=full)


def _cluster(tree: pb.ClusterStmt, _: World) -> Iterator[TableLock]:
    if tree.HasField("relation"):
        yield TableLock(name_of(tree.relation), LockMode.ACCESS_EXCLUSIVE, rewrites=True)


def _refresh(tree: pb.RefreshMatViewStmt, _: World) -> Iterator[TableLock]:
    mode = LockMode.EXCLUSIVE if tree.concurrent else LockMode.ACCESS_EXCLUSIVE
    yield TableLock(name_of(tree.relation), mode, rewrites=not tree.concurrent, scans=bool(tree.concurrent))


# What belongs to a table


def _rename(tree: pb.RenameStmt, _: World) -> Iterator[TableLock]:
    if not tree.HasField("relation") or tree.rename_type in (pb.OBJECT_SEQUENCE, pb.OBJECT_ATTRIBUTE):
        return
    if tree.rename_type == pb.OBJECT_INDEX:
        return  # the index alone, and not against reads
    yield from _exclusive(tree.relation)


def _moved(tree: pb.AlterObjectSchemaStmt | pb.AlterObjectDependsStmt, _: World) -> Iterator[TableLock]:
    if tree.HasField("relation") and tree.object_type != pb.OBJECT_SEQUENCE:
        yield from _exclusive(tree.relation)


def _trigger(tree: pb.CreateTrigStmt, _: World) -> Iterator[TableLock]:
    yield TableLock(name_of(tree.relation), LockMode.SHARE_ROW_EXCLUSIVE)


def _comment(tree: pb.CommentStmt | pb.SecLabelStmt, _: World) -> Iterator[TableLock]:
    relations = (pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW, pb.OBJECT_FOREIGN_TABLE)
    if tree.objtype in relations or tree.objtype == pb.OBJECT_COLUMN:
        words = strings(unwrap(tree.object).items)
        own = words[:-1] if tree.objtype == pb.OBJECT_COLUMN else words
        if own:  # COMMENT ON COLUMN without a table is accepted by the parser
            yield TableLock(qualified(own), LockMode.SHARE_UPDATE_EXCLUSIVE)


def _statistics(tree: pb.CreateStatsStmt, _: World) -> Iterator[TableLock]:
    return (TableLock(name_of(unwrap(each)), LockMode.SHARE_UPDATE_EXCLUSIVE) for each in tree.relations)


def _publication(tree: pb.CreatePublicationStmt | pb.AlterPublicationStmt, _: World) -> Iterator[TableLock]:
    for each in map(unwrap, tree.pubobjects):
        if each.HasField("pubtable"):
            yield TableLock(name_of(each.pubtable.relation), LockMode.SHARE_UPDATE_EXCLUSIVE)


def _domain(tree: pb.AlterDomainStmt, world: World) -> Iterator[TableLock]:
    """All tables that are known to have a column of the domain are read."""
    if not _scans_domain(tree):
        return
    domain = world.resolve_other("domain", qualified(strings(tree.type_name)))
    for name, table in world.tables.items():
        types = [each.type for each in table.columns.values() if each.type]
        if any(world.resolve_other("domain", qualified(each.name.split("."))) == domain for each in types):
            yield TableLock(name, LockMode.SHARE, scans=True)


_BY_TYPE: dict[type, Callable[[Any, World], Iterator[TableLock]]] = {
    pb.AlterTableStmt: lambda tree, world: (
        altered(tree, world) if tree.objtype not in (pb.OBJECT_TYPE, pb.OBJECT_SEQUENCE) else iter(())
    ),
    pb.CreateStmt: _create,
    pb.CreateForeignTableStmt: lambda tree, world: _create(tree.base_stmt, world),
    pb.CreateSchemaStmt: _schema,
    pb.DropStmt: _drop,
    pb.TruncateStmt: _truncate,
    pb.LockStmt: _lock,
    pb.ViewStmt: _view,
    pb.IndexStmt: _index,
    pb.ReindexStmt: _reindex,
    pb.VacuumStmt: _vacuum,
    pb.ClusterStmt: _cluster,
    pb.RefreshMatViewStmt: _refresh,
    pb.RenameStmt: _rename,
    pb.AlterObjectSchemaStmt: _moved,
    pb.AlterObjectDependsStmt: _moved,
    pb.CreateTrigStmt: _trigger,
    pb.RuleStmt: lambda tree, _: _exclusive(tree.relation),
    pb.CreatePolicyStmt: lambda tree, _: _exclusive(tree.table),
    pb.AlterPolicyStmt: lambda tree, _: _exclusive(tree.table),
    pb.CommentStmt: _comment,
    pb.SecLabelStmt: _comment,
    pb.CreateStatsStmt: _statistics,
    pb.CreatePublicationStmt: _publication,
    pb.AlterPublicationStmt: _publication,
    pb.AlterDomainStmt: _domain,
}
