"""Which rights a statement needs, read from its tree. Pure.

Only what PostgreSQL certainly requires: what is omitted here fails in the run itself, and never stops a run by mistake.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import OF_TABLES, created, dropped, walk
from dbupgrade.toolkit.sql.names import Name, name_of, names_of_objects, qualified, strings
from dbupgrade.toolkit.sql.parser import unwrap


class Right(Enum):
    """What somebody may be allowed to do."""

    CREATE = "CREATE"
    """Create something in the schema of the name."""
    BESIDE = "BESIDE"
    """Create something in the schema of a relation that is there, as an index on it."""
    CREATE_SCHEMA = "CREATE_SCHEMA"
    USAGE = "USAGE"
    """Use what is in a schema."""
    EXTENSION = "EXTENSION"
    OWN = "OWN"
    """Own a relation, as a member of the role that does."""
    DROP = "DROP"
    """Own a relation or its schema."""
    OWN_SCHEMA = "OWN_SCHEMA"
    OWN_TYPE = "OWN_TYPE"
    DROP_TYPE = "DROP_TYPE"
    """Own a type or its schema."""
    OWN_ROUTINE = "OWN_ROUTINE"
    DROP_ROUTINE = "DROP_ROUTINE"
    MAINTAIN = "MAINTAIN"
    """Own a relation; from PostgreSQL 17 on, the privilege of that name does as well."""
    LOCK = "LOCK"
    """Change rows in any way."""
    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"
    REFERENCES = "REFERENCES"
    TRIGGER = "TRIGGER"


@dataclass(frozen=True)
class Need:
    """A right on something, by the name that the statement has for it."""

    right: Right
    name: Name
    certain: bool = True
    """Whether nothing else will do; providers let some roles have policies and triggers on tables of others."""


_RELATIONS = {
    pb.OBJECT_TABLE,
    pb.OBJECT_VIEW,
    pb.OBJECT_MATVIEW,
    pb.OBJECT_SEQUENCE,
    pb.OBJECT_INDEX,
    pb.OBJECT_FOREIGN_TABLE,
}
_PARTS = {pb.OBJECT_TRIGGER, pb.OBJECT_POLICY, pb.OBJECT_RULE, pb.OBJECT_TABCONSTRAINT}
"""What belongs to a table, and is named behind it."""
_TYPES = {pb.OBJECT_TYPE, pb.OBJECT_DOMAIN}
_ROUTINES = {pb.OBJECT_FUNCTION, pb.OBJECT_PROCEDURE, pb.OBJECT_ROUTINE}
_INDEXED = {pb.CONSTR_PRIMARY, pb.CONSTR_UNIQUE, pb.CONSTR_EXCLUSION}
_BY_COMMAND = {pb.CMD_INSERT: Right.INSERT, pb.CMD_UPDATE: Right.UPDATE, pb.CMD_DELETE: Right.DELETE}


def needs(tree: Any) -> Iterator[Need]:
    """What a statement needs, in the order in which it is asked for; the same may come twice."""
    if found := _NEEDS.get(type(tree)):
        yield from found(tree)
        return
    for kind, name in created(tree):
        if kind not in OF_TABLES:
            yield Need(Right.CREATE, name)


def _create_table(tree: pb.CreateStmt) -> Iterator[Need]:
    if not _is_temporary(tree.relation):
        yield Need(Right.CREATE, name_of(tree.relation))
    yield from (Need(Right.OWN, name_of(unwrap(parent))) for parent in tree.inh_relations)
    for element in map(unwrap, tree.table_elts):
        if isinstance(element, pb.TableLikeClause):
            yield Need(Right.SELECT, name_of(element.relation))
        nodes = map(unwrap, element.constraints) if isinstance(element, pb.ColumnDef) else (element,)
        yield from (each for node in nodes if (each := _referenced(node)))


def _referenced(node: Any) -> Need | None:
    if isinstance(node, pb.Constraint) and node.contype == pb.CONSTR_FOREIGN:
        return Need(Right.REFERENCES, name_of(node.pktable))
    return None


def _create_as(tree: pb.CreateTableAsStmt) -> Iterator[Need]:
    if not _is_temporary(tree.into.rel):
        yield Need(Right.CREATE, name_of(tree.into.rel))
    if not tree.into.skip_data:
        yield from _reads(unwrap(tree.query))


def _view(tree: pb.ViewStmt) -> Iterator[Need]:
    if _is_temporary(tree.view):
        return
    yield Need(Right.CREATE, name_of(tree.view))
    if tree.replace:
        yield Need(Right.OWN, name_of(tree.view))  # if it is there


def _index(tree: pb.IndexStmt) -> Iterator[Need]:
    yield Need(Right.OWN, name_of(tree.relation))
    yield Need(Right.BESIDE, name_of(tree.relation))


def _alter(tree: pb.AlterTableStmt) -> Iterator[Need]:
    if tree.objtype == pb.OBJECT_TYPE:
        yield Need(Right.OWN_TYPE, name_of(tree.relation))
    if tree.objtype not in _RELATIONS:
        return
    yield Need(Right.OWN, name_of(tree.relation))
    for command in (each.alter_table_cmd for each in tree.cmds):
        node = unwrap(getattr(command, "def")) if command.HasField("def") else None
        if found := _referenced(node):
            yield found
        elif isinstance(node, pb.Constraint) and node.contype in _INDEXED and not node.indexname:
            yield Need(Right.BESIDE, name_of(tree.relation))
        elif isinstance(node, pb.PartitionCmd) and command.subtype == pb.AT_AttachPartition:
            yield Need(Right.OWN, name_of(node.name))
        elif isinstance(node, pb.ColumnDef):
            yield from (each for one in map(unwrap, node.constraints) if (each := _referenced(one)))


def _rename(tree: pb.RenameStmt) -> Iterator[Need]:
    if tree.rename_type == pb.OBJECT_SCHEMA:
        yield Need(Right.OWN_SCHEMA, Name("", tree.subname))
        yield Need(Right.CREATE_SCHEMA, Name("", tree.newname))
    elif tree.rename_type in _TYPES | _ROUTINES:
        yield from _owned(tree.rename_type, tree.object)
    elif tree.HasField("relation") and tree.rename_type == pb.OBJECT_ATTRIBUTE:
        yield Need(Right.OWN_TYPE, name_of(tree.relation))
    elif tree.HasField("relation"):
        yield Need(Right.OWN, name_of(tree.relation))
        if tree.rename_type in _RELATIONS:
            yield Need(Right.BESIDE, name_of(tree.relation))


def _owned(kind: int, node: pb.Node) -> Iterator[Need]:
    """What is needed to change a type or a routine; of others, nothing is known."""
    match unwrap(node):
        case pb.List() as words if kind in _TYPES:
            yield Need(Right.OWN_TYPE, qualified(strings(words.items)))
        case pb.TypeName() as name if kind in _TYPES:
            yield Need(Right.OWN_TYPE, qualified(strings(name.names)))
        case pb.ObjectWithArgs() as routine if kind in _ROUTINES:
            yield Need(Right.OWN_ROUTINE, qualified(strings(routine.objname)))


def _change_owner(tree: pb.AlterOwnerStmt) -> Iterator[Need]:
    yield from _owned(tree.object_type, tree.object)


def _alter_type(tree: pb.AlterEnumStmt | pb.AlterDomainStmt) -> Iterator[Need]:
    yield Need(Right.OWN_TYPE, qualified(strings(tree.type_name)))


def _alter_routine(tree: pb.AlterFunctionStmt) -> Iterator[Need]:
    yield Need(Right.OWN_ROUTINE, qualified(strings(tree.func.objname)))


def _move(tree: pb.AlterObjectSchemaStmt) -> Iterator[Need]:
    yield from _owned(tree.object_type, tree.object)
    if tree.HasField("relation"):
        yield Need(Right.OWN, name_of(tree.relation))
        yield Need(Right.CREATE, Name(tree.newschema, tree.relation.relname))


def _drop(tree: pb.DropStmt) -> Iterator[Need]:
    if tree.remove_type in _RELATIONS:
        yield from (Need(Right.DROP, name) for name in names_of_objects(tree))
    elif tree.remove_type in _TYPES | _ROUTINES:
        right = Right.DROP_TYPE if tree.remove_type in _TYPES else Right.DROP_ROUTINE
        yield from (Need(right, name) for _, name in dropped(tree))
    elif tree.remove_type == pb.OBJECT_SCHEMA:
        yield from (Need(Right.OWN_SCHEMA, Name("", unwrap(item).sval)) for item in tree.objects)
    elif tree.remove_type in _PARTS:
        tables = (qualified(strings(item.list.items)[:-1]) for item in tree.objects)
        yield from (Need(Right.OWN, table, certain=tree.remove_type == pb.OBJECT_RULE) for table in tables)


def _comment(tree: pb.CommentStmt) -> Iterator[Need]:
    words = unwrap(tree.object)
    if not isinstance(words, pb.List):
        return
    if tree.objtype in _RELATIONS:
        yield Need(Right.OWN, qualified(strings(words.items)))
    elif tree.objtype in _PARTS or tree.objtype == pb.OBJECT_COLUMN:
        yield Need(Right.OWN, qualified(strings(words.items)[:-1]))


def _reads(tree: Any) -> Iterator[Need]:
    """The tables that a query reads; a name that WITH defines is none of them."""
    tables = []
    own = set()
    for node in walk(tree):
        match node:
            case pb.CommonTableExpr():
                own.add(node.ctename)
            case pb.RangeVar():
                tables.append(name_of(node))
            case pb.InsertStmt() | pb.UpdateStmt() | pb.DeleteStmt() | pb.MergeStmt():
                own.add(node.relation.relname)  # WITH may change rows: that right is not looked at
    yield from (Need(Right.SELECT, name) for name in tables if name.schema or name.name not in own)


def _select(tree: pb.SelectStmt) -> Iterator[Need]:
    if not tree.HasField("into_clause"):
        yield from _reads(tree)
    elif not _is_temporary(tree.into_clause.rel):
        yield Need(Right.CREATE, name_of(tree.into_clause.rel))


def _mentions_columns(*nodes: Any) -> bool:
    return any(isinstance(each, pb.ColumnRef) for node in nodes for each in walk(node))


def _insert(tree: pb.InsertStmt) -> Iterator[Need]:
    yield Need(Right.INSERT, name_of(tree.relation))
    if tree.HasField("on_conflict_clause") and tree.on_conflict_clause.action == pb.ONCONFLICT_UPDATE:
        yield Need(Right.UPDATE, name_of(tree.relation))
    if tree.HasField("select_stmt") and not tree.HasField("with_clause"):
        yield from _reads(unwrap(tree.select_stmt))


def _update(tree: pb.UpdateStmt) -> Iterator[Need]:
    yield Need(Right.UPDATE, name_of(tree.relation))
    yield from _where(tree, tree.from_clause)


def _delete(tree: pb.DeleteStmt) -> Iterator[Need]:
    yield Need(Right.DELETE, name_of(tree.relation))
    yield from _where(tree, tree.using_clause)


def _where(tree: Any, others: Any) -> Iterator[Need]:
    if tree.HasField("with_clause"):
        return
    if tree.HasField("where_clause") and not others and _mentions_columns(tree.where_clause):
        yield Need(Right.SELECT, name_of(tree.relation))
    for node in (*others, *((tree.where_clause,) if tree.HasField("where_clause") else ())):
        yield from _reads(node)


def _merge(tree: pb.MergeStmt) -> Iterator[Need]:
    for clause in map(unwrap, tree.merge_when_clauses):
        if right := _BY_COMMAND.get(clause.command_type):
            yield Need(right, name_of(tree.relation))


def _copy(tree: pb.CopyStmt) -> Iterator[Need]:
    if tree.HasField("relation"):
        yield Need(Right.INSERT if tree.is_from else Right.SELECT, name_of(tree.relation))


def _lock(tree: pb.LockStmt) -> Iterator[Need]:
    if tree.mode >= _SHARE:
        yield from (Need(Right.LOCK, name_of(unwrap(each))) for each in tree.relations)


_SHARE = 5  # as PostgreSQL numbers its locks; for weaker ones, other privileges do as well


def _is_temporary(relation: pb.RangeVar) -> bool:
    return bool(relation.relpersistence == "t" or relation.schemaname == "pg_temp")


def _on_relation(right: Right) -> Callable[[Any], Iterator[Need]]:
    """What a statement needs that has one relation."""

    def found(tree: Any) -> Iterator[Need]:
        if tree.HasField("relation"):
            yield Need(right, name_of(tree.relation))

    return found


def _reindex(tree: pb.ReindexStmt) -> Iterator[Need]:
    # With an index, the privilege is that of its table.
    if tree.kind == pb.REINDEX_OBJECT_TABLE:
        yield Need(Right.MAINTAIN, name_of(tree.relation))


def _policy(tree: pb.CreatePolicyStmt | pb.AlterPolicyStmt) -> Iterator[Need]:
    yield Need(Right.OWN, name_of(tree.table), certain=False)


def _truncate(tree: pb.TruncateStmt) -> Iterator[Need]:
    yield from (Need(Right.TRUNCATE, name_of(unwrap(each))) for each in tree.relations)


def _create_schema(tree: pb.CreateSchemaStmt) -> Iterator[Need]:
    if tree.schemaname:
        yield Need(Right.CREATE_SCHEMA, Name("", tree.schemaname))


def _sequence(tree: pb.CreateSeqStmt) -> Iterator[Need]:
    if not _is_temporary(tree.sequence):
        yield Need(Right.CREATE, name_of(tree.sequence))


def _alter_sequence(tree: pb.AlterSeqStmt) -> Iterator[Need]:
    yield Need(Right.OWN, name_of(tree.sequence))


def _extension(tree: pb.CreateExtensionStmt) -> Iterator[Need]:
    yield Need(Right.EXTENSION, Name("", tree.extname))


_NEEDS: dict[type, Callable[[Any], Iterator[Need]]] = {
    pb.CreateStmt: _create_table,
    pb.CreateTableAsStmt: _create_as,
    pb.ViewStmt: _view,
    pb.IndexStmt: _index,
    pb.CreateSeqStmt: _sequence,
    pb.CreateSchemaStmt: _create_schema,
    pb.CreateExtensionStmt: _extension,
    pb.CreateTrigStmt: _on_relation(Right.TRIGGER),
    pb.RuleStmt: _on_relation(Right.OWN),
    pb.CreatePolicyStmt: _policy,
    pb.AlterPolicyStmt: _policy,
    pb.AlterTableStmt: _alter,
    pb.AlterSeqStmt: _alter_sequence,
    pb.AlterEnumStmt: _alter_type,
    pb.AlterDomainStmt: _alter_type,
    pb.AlterFunctionStmt: _alter_routine,
    pb.AlterOwnerStmt: _change_owner,
    pb.AlterObjectSchemaStmt: _move,
    pb.RenameStmt: _rename,
    pb.DropStmt: _drop,
    pb.CommentStmt: _comment,
    pb.TruncateStmt: _truncate,
    pb.LockStmt: _lock,
    pb.RefreshMatViewStmt: _on_relation(Right.MAINTAIN),
    pb.ClusterStmt: _on_relation(Right.MAINTAIN),
    pb.ReindexStmt: _reindex,
    pb.SelectStmt: _select,
    pb.InsertStmt: _insert,
    pb.UpdateStmt: _update,
    pb.DeleteStmt: _delete,
    pb.MergeStmt: _merge,
    pb.CopyStmt: _copy,
}
