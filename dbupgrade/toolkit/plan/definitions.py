"""The definitions of the tables that files name, as the catalog of PostgreSQL has them: what an approval depends on."""

from collections.abc import Iterable

import asyncpg

from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.sql.names import Name

# Each a line for each part of a table; what an extension or another session does elsewhere is not in them.
_QUERY = """
with tables as (
  select c.oid, n.nspname as schema, c.relname as name, c.relkind::text as kind
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and (n.nspname, c.relname) in (select * from unnest($1::text[], $2::text[]))
)
select schema, name, part from (
  select schema, name, 'kind ' || kind as part from tables
  union all
  select schema, name, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || case when a.attnotnull then ' not null' else '' end || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
  from tables join pg_attribute a on a.attrelid = tables.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  union all
  select schema, name, 'constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
  from tables join pg_constraint k on k.conrelid = tables.oid where k.contype <> 'n'
  union all
  select schema, name, pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
  from tables join pg_index i on i.indrelid = tables.oid
  union all
  select schema, name, pg_get_triggerdef(t.oid) from tables join pg_trigger t on t.tgrelid = tables.oid and not t.tgisinternal
  union all
  select schema, name, pg_get_viewdef(oid) from tables where kind in ('v', 'm')
) parts
"""


async def ask(url: str, tables: Iterable[Name]) -> dict[str, str]:
    """The definition of each of these tables that exists. Raises AtlasError, and what asyncpg raises."""
    names = [name for name in tables if name.schema]
    connection = await database.connect(url)
    try:
        return await read(connection, names)
    finally:
        await connection.close()


async def read(connection: asyncpg.Connection, names: list[Name]) -> dict[str, str]:
    """The same, by a connection that is there."""
    rows = await connection.fetch(_QUERY, [name.schema for name in names], [name.name for name in names])
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(str(Name(row["schema"], row["name"])), []).append(row["part"])
    return {name: "\n".join(sorted(parts)) for name, parts in found.items()}
