"""What the database says of the tables and functions that files name; asked in one connection, which only reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.lint.blocks import inner
from dbupgrade.toolkit.lint.definitions import constraint_of, walk
from dbupgrade.toolkit.lint.world import OLD, Column, Constraint, Database, Index, Size, Table
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.names import Name, names_of_objects, strings, type_of
from dbupgrade.toolkit.sql.parser import ParseError, unwrap

_RELATIONS = """
select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.reltuples::bigint as rows,
  case when c.relkind in ('r', 'm', 't') then pg_total_relation_size(c.oid)
    else coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree(c.oid) where isleaf), 0) end::bigint as bytes,
  tn.nspname as table_schema, t.relname as table_name,
  (select array_agg(a.attname order by k.place) from unnest(i.indkey) with ordinality as k(number, place)
   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = c.oid
left join pg_class t on t.oid = i.indrelid left join pg_namespace tn on tn.oid = t.relnamespace
where c.relname = any($1) and c.relkind in ('r', 'p', 'm', 'i', 'I') and n.nspname not like 'pg\\_toast%'
"""
_COLUMNS = """
select n.nspname as schema, c.relname as name, a.attname as column, a.attnotnull as not_null,
  format_type(a.atttypid, a.atttypmod) as type
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where c.relname = any($1) and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
"""
_CONSTRAINTS = """
select n.nspname as schema, c.relname as name, k.conname as constraint, k.contype::text as kind,
  k.convalidated as validated, pg_get_constraintdef(k.oid) as text,
  rn.nspname as refers_schema, r.relname as refers_name,
  array(select attname from pg_attribute where attrelid = k.conrelid and attnum = any(k.conkey)) as columns,
  array(select attname from pg_attribute where attrelid = k.confrelid and attnum = any(k.confkey)) as refers_to
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on r.oid = k.confrelid left join pg_namespace rn on rn.oid = r.relnamespace
where c.relname = any($1) and k.contype in ('c', 'f', 'p', 'u')
"""
_RELATED = """
select distinct unnest(array[c.relname, r.relname]) from pg_constraint k
join pg_class c on c.oid = k.conrelid join pg_class r on r.oid = k.confrelid
where k.contype = 'f' and (c.relname = any($1) or r.relname = any($1))
"""
"""Tables at the other end of foreign keys: what is done at one end locks both."""
_DOMAINS = """
select n.nspname as schema, t.typname as name from pg_type t join pg_namespace n on n.oid = t.typnamespace
where t.typname = any($1) and t.typtype = 'd'
  and (t.typnotnull or exists (select from pg_constraint where contypid = t.oid))
"""
_LOCKED = """
select distinct on (n.nspname, c.relname) n.nspname as schema, c.relname as name,
  coalesce(nullif(s.application_name, ''), s.usename, 'process ' || l.pid) as who,
  extract(epoch from clock_timestamp() - s.xact_start)::bigint as seconds
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_activity s on s.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid() and c.relname = any($1)
  and l.database = (select oid from pg_database where datname = current_database())
order by n.nspname, c.relname, s.xact_start
"""
_FUNCTIONS = "select proname as name, bool_or(provolatile = 'v') as volatile from pg_proc where proname = any($1) group by proname"


async def ask(url: str, texts: Iterable[str]) -> Database:
    """What the database says of what these files name. Raises AtlasError, and what asyncpg raises."""
    named = _named(texts)
    functions = sorted(named.functions)
    connection = await database.connect(url)
    try:
        related = [row[0] for row in await connection.fetch(_RELATED, sorted(named.relations))]
        relations = sorted(named.relations.union(related))
        path = await connection.fetchval("select current_schemas(false)::text[]")
        rows = await connection.fetch(_RELATIONS, relations)
        tables = {Name(row["schema"], row["name"]): row for row in rows if row["kind"] in ("r", "p", "m")}
        known = {name: Table(partitioned=row["kind"] == "p") for name, row in tables.items()}
        for row in await connection.fetch(_COLUMNS, relations):
            known[_name(row)].columns[row["column"]] = _column(row)
        for row in await connection.fetch(_CONSTRAINTS, relations):
            if (name := _name(row)) in known and (constraint := _constraint(row)):
                known[name].constraints[row["constraint"]] = constraint
        return Database(
            path=tuple(path),
            absent=frozenset(
                Name(schema, name) for schema in await _schemas(connection, path) for name in relations
            )
            - set(known),
            tables=known,
            indexes={_name(row): _index(row) for row in rows if row["kind"] in ("i", "I")},
            sizes={name: Size(row["bytes"], max(row["rows"], 0)) for name, row in tables.items()},
            locked={_name(row): _who(row) for row in await connection.fetch(_LOCKED, relations)},
            volatile={row["name"]: row["volatile"] for row in await connection.fetch(_FUNCTIONS, functions)},
            domains=frozenset(_name(row) for row in await connection.fetch(_DOMAINS, sorted(named.types))),
        )
    finally:
        await connection.close()


async def _schemas(connection: asyncpg.Connection, path: Sequence[str]) -> set[str]:
    """All schemas there are, and those of the path."""
    return {row[0] for row in await connection.fetch("select nspname from pg_namespace")} | set(path)


def _name(row: Any) -> Name:
    return Name(row["schema"], row["name"])


def _column(row: Any) -> Column:
    try:
        tree = parser.statements(f"select null::{row['type']}")[0].tree
        found = type_of(unwrap(unwrap(tree.target_list[0]).val).type_name)
    except ParseError:
        found = None
    return Column(found, row["not_null"])


def _constraint(row: Any) -> Constraint | None:
    """Of a CHECK, what the server writes out is read as it would be in a file."""
    columns = frozenset(row["columns"])
    if row["kind"] in ("p", "u"):
        return Constraint("primary" if row["kind"] == "p" else "unique", columns=columns)
    if row["kind"] == "f":
        refers = Name(row["refers_schema"], row["refers_name"])
        return Constraint(
            "foreign", row["validated"], columns, refers=refers, refers_to=frozenset(row["refers_to"])
        )
    try:
        tree = parser.statements(f"alter table t add {row['text']}")[0].tree
    except ParseError:
        return None
    return replace(constraint_of(unwrap(getattr(tree.cmds[0].alter_table_cmd, "def")), 0), made=OLD)


def _index(row: Any) -> Index:
    table = Name(row["table_schema"], row["table_name"])
    return Index(table, OLD, tuple(row["columns"] or ()), row["kind"] == "I")


def _who(row: Any) -> str:
    since = f" for {row['seconds']} s" if row["seconds"] else ""
    return f"{row['who']}{since}"


@dataclass
class _Named:
    """Names in the files, without their schemas."""

    relations: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)


def _named(texts: Iterable[str]) -> _Named:
    found = _Named()
    for text in texts:
        try:
            statements = parser.statements(text)
        except ParseError:
            continue
        for statement in statements:
            trees = [statement.tree]
            if isinstance(statement.tree, pb.DoStmt):
                trees += [each.tree for each in inner(text, statement) if each.tree is not None]
            for tree in trees:
                _collect(tree, found)
    return found


def _collect(tree: Any, found: _Named) -> None:
    for node in walk(tree):
        if isinstance(node, pb.RangeVar):
            found.relations.add(node.relname)
        elif isinstance(node, pb.TypeName):
            found.types.update(strings(node.names)[-1:])
        elif isinstance(node, pb.FuncCall):
            found.functions.add(strings(node.funcname)[-1])
        elif isinstance(node, pb.IndexStmt) and node.idxname:
            found.relations.add(node.idxname)
        elif isinstance(node, pb.Constraint) and node.indexname:
            found.relations.add(node.indexname)
        elif isinstance(node, pb.DropStmt) and node.remove_type in _DROPPED:
            found.relations |= {name.name for name in names_of_objects(node)}


_DROPPED = (pb.OBJECT_TABLE, pb.OBJECT_INDEX, pb.OBJECT_MATVIEW)
