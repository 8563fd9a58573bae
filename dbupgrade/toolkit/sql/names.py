"""Names of tables and indexes as they are written, and what a statement does with them. Pure."""

from dataclasses import dataclass
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.sql.parser import tokens, unwrap


@dataclass(frozen=True)
class Name:
    """The name of a table or an index, as it was written."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def may_be(self, other: "Name") -> bool:
        """Whether both may mean the same: without a schema, the search path decides."""
        return self.name == other.name and (
            self.schema == other.schema or not self.schema or not other.schema
        )


def name_of(relation: pb.RangeVar) -> Name:
    """The name in a RangeVar."""
    return Name(relation.schemaname, relation.relname)


def strings(nodes: Any) -> list[str]:
    """The words of a list of nodes: a qualified name."""
    return [unwrap(node).sval for node in nodes]


def names_of_objects(tree: pb.DropStmt) -> list[Name]:
    """The names that a DROP lists."""
    return [qualified(strings(item.list.items)) for item in tree.objects]


def qualified(words: list[str]) -> Name:
    """The name that these words make."""
    return Name(words[-2] if len(words) > 1 else "", words[-1])


def is_concurrent(tree: Any) -> bool:
    """Whether a statement says CONCURRENTLY, as far as migrations are concerned."""
    match tree:
        case pb.IndexStmt() | pb.RefreshMatViewStmt():
            return bool(tree.concurrent)
        case pb.DropStmt():
            return bool(tree.concurrent) and tree.remove_type == pb.OBJECT_INDEX
        case pb.ReindexStmt():
            options = [unwrap(option) for option in tree.params]
            return any(says_yes(option) for option in options if option.defname == "concurrently")
        case _:
            return False


def says_yes(option: pb.DefElem) -> bool:
    """`REINDEX (CONCURRENTLY off)` is not concurrent."""
    value = unwrap(option.arg) if option.HasField("arg") else None
    match value:
        case pb.String():
            return str(value.sval).lower() not in ("false", "off", "0")
        case pb.Boolean():
            return bool(value.boolval)
        case pb.Integer():
            return int(value.ival) != 0
        case _:
            return True


def created_table(tree: Any) -> Name | None:
    """The table or materialized view that a statement makes, if it is not there."""
    match tree:
        case pb.CreateStmt():
            return name_of(tree.relation)
        case pb.CreateTableAsStmt():
            return name_of(tree.into.rel)
        case pb.SelectStmt() if tree.HasField("into_clause"):
            return name_of(tree.into_clause.rel)
        case _:
            return None


def certainly_created(tree: Any) -> Name | None:
    """The table that was not there before the statement: with IF NOT EXISTS it may have been."""
    return None if getattr(tree, "if_not_exists", False) else created_table(tree)


def without_concurrently(text: str) -> str:
    """`text`, one CREATE INDEX, without the word CONCURRENTLY."""
    start, end = next((start, end) for name, start, end in tokens(text) if name == "CONCURRENTLY")
    return text[:start] + text[end:].lstrip(" \t")
