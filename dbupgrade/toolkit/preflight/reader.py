"""Asks a PostgreSQL for the facts: a few queries that only read, in a connection that is there."""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

import asyncpg

from dbupgrade.toolkit.preflight.facts import (
    Connections,
    Extension,
    Facts,
    History,
    OpenTransaction,
    Owner,
    Relation,
    Run,
    Schema,
    Server,
)
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.sql.names import Name

Fetch = Callable[..., Coroutine[Any, Any, list[asyncpg.Record]]]
"""Executes a query with its values and returns the rows."""
Row = Any


_MAINTAIN = 170000
"""The version from which there is the privilege MAINTAIN, of which older ones do not know the name."""
_SERVER = """
select current_user::text as user, current_database()::text as database, current_setting('server_version_num')::int as version,
  pg_is_in_recovery() as is_standby,
  (select case setting when 'on' then source end from pg_settings where name = 'default_transaction_read_only') as read_only,
  coalesce((select rolsuper from pg_roles where rolname = current_user), false) as is_superuser,
  has_database_privilege(current_database(), 'CREATE') as may_create_schemas,
  current_schemas(false)::text[] as path
"""
_CONNECTIONS = """
with used as (
  select count(*) as everywhere, count(*) filter (where usename = session_user) as by_role,
    count(*) filter (where datname = current_database()) as in_database
  from pg_stat_activity where datid is not null and usesysid is not null
    -- Those that the run itself has opened since, and closed, are gone in a moment.
    and not (usename = session_user and pid <> pg_backend_pid()
      and backend_start > (select backend_start from pg_stat_activity where pid = pg_backend_pid()))
), login as (select rolsuper, rolconnlimit from pg_roles where rolname = session_user)
select current_setting('max_connections')::int - (case when login.rolsuper then 0 else
    current_setting('superuser_reserved_connections')::int
    + case when current_setting('server_version_num')::int < 160000 then 0
      when pg_has_role(session_user, 'pg_use_reserved_connections', 'USAGE') then 0 else coalesce(current_setting('reserved_connections', true), '0')::int end end) as most,
  everywhere as used, case when login.rolsuper then -1 else rolconnlimit end as most_of_role, by_role as used_by_role,
  case when login.rolsuper then -1 else (select datconnlimit from pg_database where datname = current_database()) end
    as most_of_database,
  in_database as used_in_database
from used, login
"""
_SCHEMAS = """
select n.nspname as name, has_schema_privilege(n.oid, 'USAGE') as may_use, has_schema_privilege(n.oid, 'CREATE') as may_create,
  o.rolname as owner, pg_has_role(o.oid, 'USAGE') as is_us, pg_has_role(o.oid, 'MEMBER') as is_member, o.rolsuper as is_superuser
from pg_namespace n join pg_roles o on o.oid = n.nspowner
where n.nspname !~ '^pg_(toast|temp)' and n.nspname not in ('pg_catalog', 'information_schema')
"""
_RELATIONS = """
select n.nspname as schema, c.relname as name, tn.nspname as table_schema, t.relname as table_name,
  o.rolname as owner, pg_has_role(o.oid, 'USAGE') as is_us, pg_has_role(o.oid, 'MEMBER') as is_member, o.rolsuper as is_superuser,
  array(select p from unnest($2::text[]) p where has_table_privilege(c.oid, p)
    union select p from unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) p where has_any_column_privilege(c.oid, p)) as privileges
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles o on o.oid = c.relowner
left join pg_index i on i.indexrelid = c.oid left join pg_class t on t.oid = i.indrelid
left join pg_namespace tn on tn.oid = t.relnamespace
where c.relname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
  and n.nspname !~ '^pg_(toast|temp)' and n.nspname not in ('pg_catalog', 'information_schema')
"""
_OBJECTS = """
select 'type' as kind, n.nspname as schema, t.typname as name,
  o.rolname as owner, pg_has_role(o.oid, 'USAGE') as is_us, pg_has_role(o.oid, 'MEMBER') as is_member, o.rolsuper as is_superuser
from pg_type t join pg_namespace n on n.oid = t.typnamespace join pg_roles o on o.oid = t.typowner
where t.typname = any($1)
union all
select 'routine', n.nspname, p.proname,
  o.rolname, pg_has_role(o.oid, 'USAGE'), pg_has_role(o.oid, 'MEMBER'), o.rolsuper
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
where p.proname = any($1) and n.nspname <> 'pg_catalog'
order by is_us
"""
_EXTENSIONS = """
select a.name, a.installed_version is not null as is_installed,
  coalesce((select bool_and(v.trusted or not v.superuser) from pg_available_extension_versions v
    where v.name = a.name and v.version = a.default_version), false) as is_trusted
from pg_available_extensions a where a.name = any($1)
"""
_TRANSACTIONS = """
select distinct on (l.pid, c.oid) n.nspname as schema, c.relname as name, l.pid, coalesce(s.usename, '') as user,
  coalesce(s.application_name, '') as application,
  extract(epoch from clock_timestamp() - s.xact_start)::float8 as seconds
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
join pg_stat_activity s on s.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid() and c.relname = any($1)
  and c.relkind in ('r', 'p', 'v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
  and l.database = (select oid from pg_database where datname = current_database())
  and (s.backend_type is null or s.backend_type = 'client backend')
order by l.pid, c.oid
"""
_PRIVILEGES = ("DELETE", "TRUNCATE", "TRIGGER")


async def read(fetch: Fetch, pending: Pending, run: Run, history: History | None = None) -> Facts:
    """The facts that the judgement over `pending` needs.

    Raises what asyncpg raises where the connection is gone, or where the server does not even say who we are.
    """
    facts = await read_server(fetch, run)
    server = facts.server
    asking = _Asking(fetch, facts.unread)
    names = sorted({name.name for name in pending.relations} | ({history.table} if history else set()))
    privileges = [*_PRIVILEGES, *(("MAINTAIN",) if server.version >= _MAINTAIN else ())]
    schemas = await asking.rows("schemas", _SCHEMAS)
    relations = await asking.rows("tables", _RELATIONS, names, privileges)
    objects = await asking.rows(
        "types and functions", _OBJECTS, sorted({name.name for name in pending.objects})
    )
    extensions = await asking.rows("extensions", _EXTENSIONS, sorted(pending.extensions))
    sessions = await asking.rows("other sessions", _TRANSACTIONS, names)
    return replace(
        facts,
        schemas={row["name"]: Schema(_owner(row), row["may_use"], row["may_create"]) for row in schemas},
        relations={_name(row): _relation(row) for row in relations},
        types={_name(row): _owner(row) for row in objects if row["kind"] == "type"},
        routines={_name(row): _owner(row) for row in objects if row["kind"] == "routine"},
        extensions={row["name"]: Extension(row["is_installed"], row["is_trusted"]) for row in extensions},
        transactions=tuple(_transactions(sessions)),
        history=history,
        unread=tuple(asking.unread),
    )


async def read_server(fetch: Fetch, run: Run) -> Facts:
    """What is known of the server without any file. Raises as `read` does."""
    first = (await fetch(_SERVER))[0]
    asking = _Asking(fetch)
    limits = await asking.rows("the limits of connections", _CONNECTIONS)
    return Facts(
        server=_server(first),
        connections=Connections(run.connections, **dict(limits[0])) if limits else Connections(),
        path=tuple(first["path"]),
        is_pooled=run.is_pooled,
        begins_read_write=run.begins_read_write,
        unread=tuple(asking.unread),
    )


class _Asking:
    """Runs the query, and continues if the server denies it, as hardened servers do."""

    def __init__(self, fetch: Fetch, unread: Iterable[str] = ()) -> None:
        self._fetch = fetch
        self.unread = list(unread)

    async def rows(self, of: str, sql: str, *values: object) -> list[Row]:
        try:
            return await self._fetch(sql, *values)
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            self.unread.append(f"{of} (SQLSTATE {error.sqlstate})")
            return []


def _server(row: Row) -> Server:
    return Server(
        user=row["user"],
        database=row["database"],
        version=row["version"],
        is_superuser=row["is_superuser"],
        is_standby=row["is_standby"],
        read_only=row["read_only"],
        may_create_schemas=row["may_create_schemas"],
    )


def _name(row: Row) -> Name:
    return Name(row["schema"], row["name"])


def _owner(row: Row) -> Owner:
    return Owner(row["owner"], row["is_us"], row["is_member"], row["is_superuser"])


def _relation(row: Row) -> Relation:
    of = Name(row["table_schema"], row["table_name"]) if row["table_name"] else None
    return Relation(_owner(row), frozenset(row["privileges"]), of)


def _transactions(rows: Iterable[Row]) -> Iterable[OpenTransaction]:
    for row in rows:
        yield OpenTransaction(_name(row), row["pid"], row["user"], row["application"], row["seconds"])
