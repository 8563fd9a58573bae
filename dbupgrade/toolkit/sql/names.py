"""Names of tables and indexes as they are written, and what a statement does with them. Pure."""

import re
from dataclasses import dataclass
from typing import Any

import postgast
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


# How PostgreSQL's parser spells the types that have a name of their own.
_TYPES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
}


@dataclass(frozen=True)
class Type:
    """A column's type."""

    name: str
    """In its usual spelling, with the schema unless that is pg_catalog."""
    modifiers: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        modifiers = f"({', '.join(map(str, self.modifiers))})" if self.modifiers else ""
        return f"{self.name}{modifiers}{'[]' if self.array else ''}"


def type_of(node: pb.TypeName) -> Type:
    """The type in a TypeName."""
    words = [word for word in strings(node.names) if word != "pg_catalog"]
    modifiers = [unwrap(item) for item in node.typmods]
    numbers = tuple(item.ival.ival for item in modifiers if isinstance(item, pb.A_Const))
    return Type(_TYPES.get(".".join(words), ".".join(words)), numbers, bool(node.array_bounds))


_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def quote(word: str) -> str:
    """An identifier as SQL has it."""
    if _PLAIN.fullmatch(word) and postgast.scan(word).tokens[0].keyword_kind in (
        pb.NO_KEYWORD,
        pb.UNRESERVED_KEYWORD,
    ):
        return word
    return '"' + word.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: Name) -> str:
    """A name as SQL has it."""
    return ".".join(quote(word) for word in (name.schema, name.name) if word)


_FIELDS = {field.message_type.name: field.name for field in pb.Node.DESCRIPTOR.fields if field.message_type}


def sql_of(tree: Any) -> str:
    """A statement's tree as SQL, with its semicolon."""
    node = pb.Node(**{_FIELDS[type(tree).DESCRIPTOR.name]: tree})
    return f"{postgast.deparse(pb.ParseResult(stmts=[pb.RawStmt(stmt=node)]))};"
