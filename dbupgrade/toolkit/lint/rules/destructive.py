"""What is gone afterwards."""

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.definitions import OF_TABLES, dropped, walk
from dbupgrade.toolkit.lint.expressions import is_true, matches_all
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.sql.names import Name, name_of, names_of_objects, quote, sql_of
from dbupgrade.toolkit.sql.parser import unwrap

_TWO_STEPS = (
    "stop using it in one release, and drop it in a later one; then suppress this finding with the reason"
)
_MOMENT = "ACCESS EXCLUSIVE, for a moment"

DROP_TABLE = LintRule(
    "ban-drop-table",
    "destructive",
    Level.ERROR,
    "drops a table",
    "its rows are gone, and running versions of the application still use it",
    _TWO_STEPS,
    _MOMENT,
    ("DS102", "drop_table"),
)
DROP_COLUMN = LintRule(
    "ban-drop-column",
    "destructive",
    Level.ERROR,
    "drops a column",
    "its values are gone, and running versions of the application still select it",
    _TWO_STEPS,
    _MOMENT,
    ("DS103", "remove_column", "remove_columns"),
)
DROP_SCHEMA = LintRule(
    "ban-drop-schema",
    "destructive",
    Level.ERROR,
    "drops a schema",
    "everything in it is gone",
    "drop its contents step by step, when nothing uses them any more",
    "ACCESS EXCLUSIVE on everything in it, for a moment",
    ("DS101",),
)
DROP_DATABASE = LintRule(
    "ban-drop-database",
    "destructive",
    Level.ERROR,
    "drops a database",
    "everything in it is gone",
    "leave it to the administrator of the server",
)
DROP_OWNED = LintRule(
    "drop-owned",
    "destructive",
    Level.ERROR,
    "drops everything that a role owns",
    "all tables that the role owns in this database are gone, and its privileges too",
    "REASSIGN OWNED BY the role, and drop objects by name",
    "ACCESS EXCLUSIVE on all of it, for a moment",
)
DROP_SEQUENCE = LintRule(
    "drop-sequence",
    "destructive",
    Level.ERROR,
    "drops a sequence",
    "its current value is gone, and inserts that use it fail",
    _TWO_STEPS,
    _MOMENT,
)
DROP_EXTENSION = LintRule(
    "drop-extension",
    "destructive",
    Level.ERROR,
    "drops an extension",
    "its types and functions are gone; with CASCADE, so are the columns and indexes that use them",
    _TWO_STEPS,
    "ACCESS EXCLUSIVE on what belongs to it, for a moment",
)
DROP_OBJECT = LintRule(
    "drop-object",
    "incompatible",
    Level.ERROR,
    "drops a type, view, function or other named object",
    "running versions of the application still use it",
    _TWO_STEPS,
    _MOMENT,
)
DROP_DETAIL = LintRule(
    "drop-trigger",
    "incompatible",
    Level.WARNING,
    "drops a trigger, a rule or a policy",
    "it no longer takes effect, including for running versions of the application",
    _TWO_STEPS,
    "ACCESS EXCLUSIVE on {table}, for a moment",
)
TRUNCATE = LintRule(
    "truncate",
    "destructive",
    Level.ERROR,
    "empties a table",
    "all its rows are gone, and it is locked against reads",
    "delete the rows with a WHERE clause, in batches",
    "ACCESS EXCLUSIVE, until the transaction ends",
)
TRUNCATE_CASCADE = LintRule(
    "ban-truncate-cascade",
    "destructive",
    Level.ERROR,
    "empties a table and all tables that refer to it",
    "rows of tables that are not named are gone as well, and so on recursively",
    "name each table, without CASCADE",
    "ACCESS EXCLUSIVE on all of them, until the transaction ends",
)
DELETE_ALL = LintRule(
    "delete-without-where",
    "destructive",
    Level.ERROR,
    "deletes all rows of a table",
    "all its rows are gone",
    "add a WHERE clause that selects the rows to delete",
    "ROW EXCLUSIVE, and all rows, until the transaction ends",
)
UPDATE_ALL = LintRule(
    "update-without-where",
    "data_depend",
    Level.WARNING,
    "changes all rows of a table",
    "every row of {table} is locked and rewritten, in one transaction",
    "update in batches with a WHERE clause, or in a job of the application",
    "ROW EXCLUSIVE, and all rows, until the transaction ends",
    by_size=True,
)
MERGE_DELETE = LintRule(
    "merge-delete",
    "destructive",
    Level.ERROR,
    "deletes rows with MERGE, without a further condition",
    "all rows that match, or all rows that do not match, are gone",
    "add a condition to the WHEN clause that selects the rows to delete (WHEN … AND …)",
    "ROW EXCLUSIVE, and the rows, until the transaction ends",
)

_NAMED = {
    "sequence": DROP_SEQUENCE,
    "extension": DROP_EXTENSION,
    **dict.fromkeys(OF_TABLES, DROP_DETAIL),
}


_NOT_HERE = (pb.OBJECT_INDEX, pb.OBJECT_STATISTIC_EXT)
"""Indexes have rules of their own; without statistics, plans are worse at most."""


@on(pb.DropStmt)
def drops(tree: pb.DropStmt, at: At) -> Iterator[Hit]:
    """DROP of anything but an index."""
    match tree.remove_type:
        case pb.OBJECT_TABLE | pb.OBJECT_FOREIGN_TABLE:
            for name in names_of_objects(tree):
                yield Hit(DROP_TABLE, f"drops table {name}", name)
        case pb.OBJECT_MATVIEW:
            for name in names_of_objects(tree):
                if not at.is_remade("materialized view", name):
                    yield Hit(DROP_OBJECT, f"drops materialized view {name}", name)
        case pb.OBJECT_SCHEMA:
            for kind, name in dropped(tree):
                if not at.world.is_new_other(kind, name):
                    yield Hit(DROP_SCHEMA, f"drops schema {name}")
        case _:
            yield from _other_drops(tree, at)


def _other_drops(tree: pb.DropStmt, at: At) -> Iterator[Hit]:
    for kind, name in dropped(tree):
        rule = _NAMED.get(kind, DROP_OBJECT)
        if tree.remove_type in _NOT_HERE or at.is_remade(kind, name) or at.world.is_new_other(kind, name):
            continue
        if rule is not DROP_DETAIL:
            yield Hit(rule, f"drops {kind} {name}")
            continue
        table, _, own = name.name.rpartition(".")
        where = Name(name.schema, table)
        yield Hit(rule, f"drops {kind} {own} of {where}", where)


@on(pb.DropdbStmt)
def drops_database(tree: pb.DropdbStmt, _: At) -> Iterator[Hit]:
    """DROP DATABASE."""
    yield Hit(DROP_DATABASE, f"drops database {tree.dbname}")


@on(pb.DropRoleStmt, pb.DropSubscriptionStmt, pb.DropTableSpaceStmt, pb.DropUserMappingStmt)
def drops_of_the_server(tree: Any, _: At) -> Iterator[Hit]:
    """DROP ROLE and the like, which have statements of their own."""
    match tree:
        case pb.DropRoleStmt():
            yield from (Hit(DROP_OBJECT, f"drops role {unwrap(role).rolename}") for role in tree.roles)
        case pb.DropSubscriptionStmt():
            yield Hit(DROP_OBJECT, f"drops subscription {tree.subname}")
        case pb.DropTableSpaceStmt():
            yield Hit(DROP_OBJECT, f"drops tablespace {tree.tablespacename}")
        case _:
            yield Hit(DROP_OBJECT, f"drops a user mapping of server {tree.servername}")


@on(pb.DropOwnedStmt)
def drops_owned(tree: pb.DropOwnedStmt, _: At) -> Iterator[Hit]:
    """DROP OWNED."""
    roles = ", ".join(unwrap(role).rolename or "the current role" for role in tree.roles)
    yield Hit(DROP_OWNED, f"drops everything that {roles} owns")


@on(pb.AlterTableStmt)
def drops_columns(tree: pb.AlterTableStmt, at: At) -> Iterator[Hit]:
    """ALTER TABLE … DROP COLUMN, ALTER TYPE … DROP ATTRIBUTE."""
    table = name_of(tree.relation)
    kind = "attribute" if tree.objtype == pb.OBJECT_TYPE else "column"
    if kind == "attribute" and at.world.is_new_other("type", table):
        return
    for command in (each.alter_table_cmd for each in tree.cmds):
        if command.subtype == pb.AT_DropColumn and not at.is_new_column(table, command.name):
            yield Hit(DROP_COLUMN, f"drops {kind} {table}.{command.name}", table)


def _data_statements(tree: Any) -> Iterator[Any]:
    return (each for each in walk(tree) if isinstance(each, pb.DeleteStmt | pb.UpdateStmt | pb.MergeStmt))


@on(
    pb.DeleteStmt,
    pb.UpdateStmt,
    pb.MergeStmt,
    pb.SelectStmt,
    pb.InsertStmt,
    pb.CreateTableAsStmt,
    pb.ExplainStmt,
    pb.CopyStmt,
)
def loses_rows(tree: Any, at: At) -> Iterator[Hit]:
    """DELETE, UPDATE and MERGE, also below WITH."""
    for each in _data_statements(tree):
        table = name_of(each.relation)
        if isinstance(each, pb.MergeStmt):
            yield from _merge(each, table)
        elif matches_all(each):
            if isinstance(each, pb.DeleteStmt):
                yield Hit(DELETE_ALL, f"deletes all rows of {table}", table)
            else:
                columns = ", ".join(unwrap(target).name for target in each.target_list)
                yield Hit(UPDATE_ALL, f"changes {columns} in all rows of {table}", table, _batch(each, at))


def _batch(tree: pb.UpdateStmt, at: At) -> str:
    """A part of the rows, by the primary key where that is known and one column."""
    keys = [
        each.columns
        for each in at.table(name_of(tree.relation)).constraints.values()
        if each.kind == "primary" and len(each.columns) == 1
    ]
    if not keys:
        return ""
    copy = pb.UpdateStmt()
    copy.CopyFrom(tree)
    copy.ClearField("where_clause")
    (key,) = keys[0]
    return f"{sql_of(copy).removesuffix(';')} WHERE {quote(key)} BETWEEN … AND …;  -- batch by batch"


def _merge(tree: pb.MergeStmt, table: Name) -> Iterator[Hit]:
    for clause in map(unwrap, tree.merge_when_clauses):
        if clause.command_type == pb.CMD_DELETE and (
            not clause.HasField("condition") or is_true(clause.condition)
        ):
            which = "match" if clause.match_kind == pb.MERGE_WHEN_MATCHED else "do not match"
            yield Hit(MERGE_DELETE, f"deletes all rows of {table} that {which}", table)


@on(pb.TruncateStmt)
def truncates(tree: pb.TruncateStmt, at: At) -> Iterator[Hit]:
    """TRUNCATE."""
    tables = [name_of(unwrap(each)) for each in tree.relations]
    cascades = tree.behavior == pb.DROP_CASCADE
    for table in tables:
        if not at.is_new(table):
            yield Hit(TRUNCATE, f"empties table {table}", table)
            if cascades:
                yield Hit(TRUNCATE_CASCADE, f"empties table {table} and all tables that refer to it")
