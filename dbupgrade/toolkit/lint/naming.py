"""Names that a migration gives, against the rules of the settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.rule import Hit
from dbupgrade.toolkit.lint.rules.files import NAMING
from dbupgrade.toolkit.lint.settings import Naming
from dbupgrade.toolkit.sql.parser import unwrap

_RENAMED = {pb.OBJECT_TABLE: "table", pb.OBJECT_COLUMN: "column", pb.OBJECT_INDEX: "index"}
_CONSTRAINTS = {pb.CONSTR_FOREIGN: "foreign_key", pb.CONSTR_CHECK: "check"}


def look(tree: Any, rules: Mapping[str, Naming]) -> Iterator[Hit]:
    """Names that are not allowed."""
    for resource, name in _names(tree) if rules else ():
        rule = rules.get(resource)
        if rule and not rule.allows(name):
            yield Hit(NAMING, f"names {resource.replace('_', ' ')} {name}: {rule.message}")


def _names(tree: Any) -> Iterator[tuple[str, str]]:
    match tree:
        case pb.CreateStmt():
            yield "table", tree.relation.relname
            for element in map(unwrap, tree.table_elts):
                yield from _names_of_element(element)
        case pb.IndexStmt() if tree.idxname:
            yield "index", tree.idxname
        case pb.RenameStmt() if tree.rename_type in _RENAMED:
            yield _RENAMED[tree.rename_type], tree.newname
        case pb.AlterTableStmt():
            for command in (each.alter_table_cmd for each in tree.cmds):
                if command.HasField("def"):
                    yield from _names_of_element(unwrap(getattr(command, "def")))
        case _:
            pass


def _names_of_element(element: Any) -> Iterator[tuple[str, str]]:
    match element:
        case pb.ColumnDef() if element.colname:
            yield "column", element.colname
            for constraint in map(unwrap, element.constraints):
                yield from _names_of_element(constraint)
        case pb.Constraint() if element.conname and element.contype in _CONSTRAINTS:
            yield _CONSTRAINTS[element.contype], element.conname
        case _:
            pass
