"""What statements define and drop, read from their trees."""

from collections.abc import Callable, Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.world import Column, Constraint
from dbupgrade.toolkit.sql.names import Name, name_of, qualified, strings, type_of
from dbupgrade.toolkit.sql.parser import unwrap

PRIMARY, UNIQUE, CHECK, NOT_NULL, FOREIGN, EXCLUSION = (
    pb.CONSTR_PRIMARY,
    pb.CONSTR_UNIQUE,
    pb.CONSTR_CHECK,
    pb.CONSTR_NOTNULL,
    pb.CONSTR_FOREIGN,
    pb.CONSTR_EXCLUSION,
)
KINDS = {
    pb.OBJECT_VIEW: "view",
    pb.OBJECT_MATVIEW: "materialized view",
    pb.OBJECT_TYPE: "type",
    pb.OBJECT_DOMAIN: "domain",
    pb.OBJECT_FUNCTION: "function",
    pb.OBJECT_PROCEDURE: "procedure",
    pb.OBJECT_ROUTINE: "function",
    pb.OBJECT_AGGREGATE: "aggregate",
    pb.OBJECT_SEQUENCE: "sequence",
    pb.OBJECT_TRIGGER: "trigger",
    pb.OBJECT_POLICY: "policy",
    pb.OBJECT_RULE: "rule",
    pb.OBJECT_SCHEMA: "schema",
    pb.OBJECT_EXTENSION: "extension",
    pb.OBJECT_FOREIGN_TABLE: "foreign table",
    **{
        getattr(pb, f"OBJECT_{name}"): words
        for name, words in (
            ("COLLATION", "collation"),
            ("CONVERSION", "conversion"),
            ("OPERATOR", "operator"),
            ("OPCLASS", "operator class"),
            ("OPFAMILY", "operator family"),
            ("CAST", "cast"),
            ("TRANSFORM", "transform"),
            ("LANGUAGE", "language"),
            ("FDW", "foreign-data wrapper"),
            ("FOREIGN_SERVER", "server"),
            ("PUBLICATION", "publication"),
            ("SUBSCRIPTION", "subscription"),
            ("EVENT_TRIGGER", "event trigger"),
            ("ACCESS_METHOD", "access method"),
            ("TSCONFIGURATION", "text search configuration"),
            ("TSDICTIONARY", "text search dictionary"),
            ("TSPARSER", "text search parser"),
            ("TSTEMPLATE", "text search template"),
            ("ROLE", "role"),
            ("TABLESPACE", "tablespace"),
        )
    },
}
OF_TABLES = ("trigger", "policy", "rule")
"""Kinds whose name is that of their table, and one behind it."""


def _of_table(relation: Any, name: str) -> Name:
    table = name_of(relation)
    return Name(table.schema, f"{table.name}.{name}")


def dropped(tree: pb.DropStmt) -> Iterator[tuple[str, Name]]:
    """Kind and name of what a DROP removes, other than tables and indexes."""
    kind = KINDS.get(tree.remove_type, "object")
    for item in tree.objects:
        words = _words(unwrap(item))
        if kind in OF_TABLES:
            table = qualified(words[:-1])
            yield kind, Name(table.schema, f"{table.name}.{words[-1]}")
        else:
            yield kind, qualified(words)


def _words(node: Any) -> list[str]:
    match node:
        case pb.List():
            items = list(map(unwrap, node.items))
            if len(items) > 1 and isinstance(items[0], pb.TypeName):
                return [f"{type_of(items[0])} AS {type_of(items[1])}"]  # a cast
            return [".".join(_words(each)) for each in items]
        case pb.ObjectWithArgs():
            return strings(node.objname)
        case pb.TypeName():
            return strings(node.names)
        case pb.String():
            return [node.sval]
        case _:
            return ["?"]


def created(tree: Any) -> Iterator[tuple[str, Name]]:
    """Kind and name of what a statement makes, other than tables and indexes."""
    if isinstance(tree, pb.AlterTableStmt):
        yield from _added_constraints(tree)
    elif found := _CREATED.get(type(tree)):
        kind, name = found(tree)
        if kind:
            yield kind, name


def _added_constraints(tree: pb.AlterTableStmt) -> Iterator[tuple[str, Name]]:
    for command in (each.alter_table_cmd for each in tree.cmds):
        if command.subtype == pb.AT_AddConstraint:
            node = unwrap(getattr(command, "def"))
            yield "constraint", _of_table(tree.relation, constraint_name(name_of(tree.relation), node))


_CREATED: dict[type, Callable[[Any], tuple[str, Name]]] = {
    pb.ViewStmt: lambda tree: ("view", name_of(tree.view)),
    pb.CreateEnumStmt: lambda tree: ("type", qualified(strings(tree.type_name))),
    pb.CreateRangeStmt: lambda tree: ("type", qualified(strings(tree.type_name))),
    pb.CompositeTypeStmt: lambda tree: ("type", name_of(tree.typevar)),
    pb.CreateDomainStmt: lambda tree: ("domain", qualified(strings(tree.domainname))),
    pb.CreateFunctionStmt: lambda tree: (
        "procedure" if tree.is_procedure else "function",
        qualified(strings(tree.funcname)),
    ),
    pb.DefineStmt: lambda tree: (KINDS.get(tree.kind, ""), qualified(strings(tree.defnames))),
    pb.CreateSeqStmt: lambda tree: ("sequence", name_of(tree.sequence)),
    pb.CreateTrigStmt: lambda tree: ("trigger", _of_table(tree.relation, tree.trigname)),
    pb.CreatePolicyStmt: lambda tree: ("policy", _of_table(tree.table, tree.policy_name)),
    pb.RuleStmt: lambda tree: ("rule", _of_table(tree.relation, tree.rulename)),
    pb.CreateSchemaStmt: lambda tree: ("schema", Name("", tree.schemaname)),
    pb.CreateExtensionStmt: lambda tree: ("extension", Name("", tree.extname)),
    pb.CreateTableAsStmt: lambda tree: (
        "materialized view" if tree.objtype == pb.OBJECT_MATVIEW else "",
        name_of(tree.into.rel),
    ),
}


def column_of(element: pb.ColumnDef) -> Column:
    """A column as it is defined."""
    kinds = {unwrap(each).contype for each in element.constraints}
    type_ = type_of(element.type_name) if element.HasField("type_name") else None
    serial = type_ is not None and type_.name in SERIAL
    return Column(type_, serial or bool(kinds & {PRIMARY, NOT_NULL, pb.CONSTR_IDENTITY}))


SERIAL = {"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}
_KIND_NAMES = {
    PRIMARY: "primary",
    UNIQUE: "unique",
    CHECK: "check",
    NOT_NULL: "not null",
    FOREIGN: "foreign",
    EXCLUSION: "exclusion",
}


def changes_values(element: pb.ColumnDef, column: str) -> bool:
    """Whether ALTER COLUMN … TYPE says how values change: USING column::type says no more than the type does."""
    if not element.HasField("raw_default"):
        return False
    cast = unwrap(element.raw_default)
    if not isinstance(cast, pb.TypeCast) or type_of(cast.type_name) != type_of(element.type_name):
        return True
    source = unwrap(cast.arg)
    return not (isinstance(source, pb.ColumnRef) and list(columns_in(source)) == [column])


def constraint_of(node: pb.Constraint, file: int, column: str = "") -> Constraint:
    """A constraint as it is defined."""
    kind = _KIND_NAMES.get(node.contype, "other")
    columns = set(strings(node.keys)) | set(strings(node.fk_attrs)) | ({column} if column else set())
    not_null: set[str] = set()
    if node.contype == CHECK:
        columns |= set(columns_in(node.raw_expr))
        not_null = set(_never_null(unwrap(node.raw_expr)))
    elif node.contype == NOT_NULL:
        not_null = set(columns)
    return Constraint(kind, not node.skip_validation, frozenset(columns), frozenset(not_null), file)


_SUFFIXES = {PRIMARY: "pkey", UNIQUE: "key", FOREIGN: "fkey", EXCLUSION: "excl", NOT_NULL: "not_null"}


def constraint_name(table: Name, node: pb.Constraint, column: str = "") -> str:
    """The name that PostgreSQL gives a constraint without one, where no other has it and it is not too long."""
    columns = strings(node.keys) or strings(node.fk_attrs) or ([column] if column else [])
    if node.contype == CHECK and not column:
        used = list(dict.fromkeys(columns_in(node.raw_expr)))
        columns = used if len(used) == 1 else []
    suffix = _SUFFIXES.get(node.contype, "check")
    return str(node.conname) or "_".join([table.name, *(columns if suffix != "pkey" else ()), suffix])


def columns_in(node: Any) -> Iterator[str]:
    """The columns that an expression mentions."""
    for each in walk(node):
        if isinstance(each, pb.ColumnRef) and isinstance(last := unwrap(each.fields[-1]), pb.String):
            yield last.sval


def walk(node: Any) -> Iterator[Any]:
    """A tree and all that is in it."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, pb.Node):
            inner = unwrap(node)
            if inner is not None:
                pending.append(inner)
            continue
        yield node
        for field, value in node.ListFields():
            if field.message_type is not None:
                pending.extend(value if field.is_repeated else (value,))


def _never_null(node: Any) -> Iterator[str]:
    """Columns that an expression says are NOT NULL, as PostgreSQL sees it: alone, or joined by AND."""
    if isinstance(node, pb.BoolExpr) and node.boolop == pb.AND_EXPR:
        for each in node.args:
            yield from _never_null(unwrap(each))
    if isinstance(node, pb.NullTest) and node.nulltesttype == pb.IS_NOT_NULL:
        yield from columns_in(node.arg)
