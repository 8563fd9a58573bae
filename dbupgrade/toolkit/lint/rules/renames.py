"""What has another name or another place afterwards."""

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.definitions import KINDS
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.sql.names import Name, name_of, qualified, quote, quoted, strings
from dbupgrade.toolkit.sql.parser import unwrap

_OLD_NAME = "running versions of the application still use the old name"

TABLE = LintRule(
    "renaming-table",
    "incompatible",
    Level.ERROR,
    "renames a table",
    _OLD_NAME,
    "a view with the old name in the same file, dropped in a later release; then suppress this finding with the reason",
    "ACCESS EXCLUSIVE, for a moment",
    ("BC101", "rename_table"),
)
COLUMN = LintRule(
    "renaming-column",
    "incompatible",
    Level.ERROR,
    "renames a column",
    _OLD_NAME,
    "a new column, filled and kept in sync, that the application switches to",
    "ACCESS EXCLUSIVE, for a moment",
    ("BC102", "rename_column"),
)
OBJECT = LintRule(
    "renaming-object",
    "incompatible",
    Level.ERROR,
    "renames a schema, type, view, function, sequence, enum value or other named object",
    _OLD_NAME,
    "create the new one beside the old one, and drop the old one in a later release",
    "ACCESS EXCLUSIVE, for a moment",
    ("rename_schema",),
)
DETAIL = LintRule(
    "renaming-index",
    "incompatible",
    Level.WARNING,
    "renames an index, a constraint, a trigger or a policy",
    "ON CONFLICT ON CONSTRAINT, error handling by constraint name, and later migrations may use the old name",
    "keep the name, or first make sure that the application does not use it",
    "ACCESS EXCLUSIVE (an index: SHARE UPDATE EXCLUSIVE), for a moment",
)
SCHEMA = LintRule(
    "set-schema",
    "incompatible",
    Level.ERROR,
    "moves an object to another schema",
    "running versions of the application still look for it in the old schema",
    "a view in the old schema, dropped in a later release; or first add the new schema to the search_path of the application",
    "ACCESS EXCLUSIVE, for a moment",
)

_DETAILS = {
    pb.OBJECT_INDEX: "index",
    pb.OBJECT_TABCONSTRAINT: "constraint",
    pb.OBJECT_DOMCONSTRAINT: "constraint",
    pb.OBJECT_TRIGGER: "trigger",
    pb.OBJECT_POLICY: "policy",
    pb.OBJECT_RULE: "rule",
}


@on(pb.RenameStmt)
def renames(tree: pb.RenameStmt, at: At) -> Iterator[Hit]:
    """ALTER … RENAME."""
    new = quote(tree.newname)
    if not tree.HasField("relation"):
        yield from _renames_object(tree, at)
        return
    name = name_of(tree.relation)
    if tree.rename_type == pb.OBJECT_TABLE and tree.relation_type in (
        pb.OBJECT_TABLE,
        pb.OBJECT_ACCESS_METHOD,
    ):
        view = _view(name, Name(name.schema, tree.newname))
        yield Hit(
            TABLE,
            f"renames table {name} to {new}",
            name,
            f"ALTER TABLE {quoted(name)} RENAME TO {new};\n{view}",
        )
    elif tree.rename_type in (pb.OBJECT_COLUMN, pb.OBJECT_ATTRIBUTE):
        if not at.is_new_column(name, tree.subname):
            known = at.table(name).columns.get(tree.subname)
            step = (
                f"ALTER TABLE {quoted(name)} ADD COLUMN {new} {known.type};" if known and known.type else ""
            )
            yield Hit(COLUMN, f"renames column {name}.{tree.subname} to {new}", name, step)
    elif tree.rename_type in _DETAILS:
        kind, own = _DETAILS[tree.rename_type], tree.subname or str(name)
        yield Hit(DETAIL, f"renames {kind} {own} to {new}", name)
    else:
        kind = KINDS.get(tree.rename_type, "object")
        if not at.world.is_new_other(kind, name):
            steps = (
                f"ALTER VIEW {quoted(name)} RENAME TO {new};\n{_view(name, Name(name.schema, tree.newname))}"
            )
            yield Hit(OBJECT, f"renames {kind} {name} to {new}", name, steps if kind == "view" else "")


def _view(old: Name, new: Name) -> str:
    """Those who know the old name find the new one."""
    return f"CREATE VIEW {quoted(old)} AS SELECT * FROM {quoted(new)};"  # noqa: S608 - advice, not run


def _renames_object(tree: pb.RenameStmt, at: At) -> Iterator[Hit]:
    kind = KINDS.get(tree.rename_type, "object")
    if tree.rename_type == pb.OBJECT_SCHEMA:
        name = Name("", tree.subname)
    elif tree.rename_type == pb.OBJECT_DATABASE:
        kind, name = "database", Name("", tree.subname)
    elif tree.rename_type == pb.OBJECT_ROLE:
        name = Name("", tree.subname)
    else:
        name = _name(tree.object)
    kind = "domain" if tree.rename_type == pb.OBJECT_DOMCONSTRAINT else kind
    if tree.rename_type == pb.OBJECT_STATISTIC_EXT or at.world.is_new_other(kind, name):
        return
    if tree.rename_type in _DETAILS:
        yield Hit(
            DETAIL, f"renames {_DETAILS[tree.rename_type]} {tree.subname} of {name} to {quote(tree.newname)}"
        )
    else:
        yield Hit(OBJECT, f"renames {kind} {name} to {quote(tree.newname)}")


def _name(node: Any) -> Name:
    match unwrap(node):
        case pb.ObjectWithArgs() as found:
            return qualified(strings(found.objname))
        case pb.List() as found:
            return qualified(strings(found.items))
        case pb.TypeName() as found:
            return qualified(strings(found.names))
        case pb.String() as found:
            return Name("", found.sval)
        case _:
            return Name("", "?")


@on(pb.AlterEnumStmt)
def renames_value(tree: pb.AlterEnumStmt, at: At) -> Iterator[Hit]:
    """ALTER TYPE … RENAME VALUE."""
    name = qualified(strings(tree.type_name))
    if tree.old_val and not at.world.is_new_other("type", name):
        yield Hit(OBJECT, f"renames a value of type {name}")


@on(pb.AlterObjectSchemaStmt)
def moves(tree: pb.AlterObjectSchemaStmt, at: At) -> Iterator[Hit]:
    """ALTER … SET SCHEMA."""
    kind = KINDS.get(tree.object_type, "table" if tree.object_type == pb.OBJECT_TABLE else "object")
    if tree.HasField("relation"):
        name = name_of(tree.relation)
        if not at.world.is_new_other(kind, name):
            there = Name(tree.newschema, name.name)
            steps = f"ALTER {kind.upper()} {quoted(name)} SET SCHEMA {quote(tree.newschema)};\n{_view(name, there)}"
            instead = steps if kind in ("table", "view") else ""
            yield Hit(SCHEMA, f"moves {kind} {name} to schema {quote(tree.newschema)}", name, instead)
        return
    name = _name(tree.object)
    if not at.world.is_new_other(kind, name):
        yield Hit(SCHEMA, f"moves {kind} {name} to schema {quote(tree.newschema)}")
