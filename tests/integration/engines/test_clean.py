"""Is a database empty? What extensions and the provider of the server have brought does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.engines.servers import on_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.postgres import Postgres

ROLES = ("rdsadmin", "cloudsqladmin", "azuresu", "supabase_auth_admin", "somebody")
CLEAN = {
    "nothing": "select 1",
    "extensions": "create extension hstore; create extension pg_trgm; create extension pgcrypto; create extension citext",
    "an extension with views in public": "create extension pg_stat_statements; create extension pg_buffercache",
    "an extension with a table": "create extension hstore; create table t (id int); alter extension hstore add table t",
    "an extension with a schema": "create extension hstore; create schema s; alter extension hstore add schema s",
    "a schema for extensions": "create schema extensions; create extension pgcrypto schema extensions",
    "a schema of RDS": "create schema rds_tools authorization rdsadmin; create table rds_tools.t (id int)",
    "a table of RDS in public": "create table t (id int); alter table t owner to rdsadmin",
    "a schema of Cloud SQL": "create schema google_vacuum_mgmt authorization cloudsqladmin",
    "a schema of Azure": "create schema azure_storage authorization azuresu; create table azure_storage.t (id int)",
    "a schema of a known name": "create schema aws_commons authorization somebody; create table aws_commons.t (id int)",
    "a schema of Supabase": "create schema auth authorization supabase_auth_admin; "
    "create table auth.users (id int); alter table auth.users owner to supabase_auth_admin",
    "a view and a function": "create view v as select 1; create function f() returns int language sql as 'select 1'",
}
NOT_CLEAN = {
    "a table": ("create table t (id int)", 'table "t" in schema "public"'),
    "a partitioned table": ("create table t (id int) partition by list (id)", 'table "t" in schema "public"'),
    "an empty schema": ("create schema app", 'schema "app"'),
    "a table beside an extension": (
        "create extension hstore; create table t (h hstore)",
        'table "t" in schema "public"',
    ),
    "a table in a schema for extensions": (
        "create schema extensions; create extension pgcrypto schema extensions; create table extensions.t (id int)",
        'table "t" in schema "extensions"',
    ),
    "a schema of one's own with a known name": ("create schema google_ads", 'schema "google_ads"'),
    "a table in the provider's schema": (
        "create schema s authorization rdsadmin; create table s.t (id int)",
        'table "t" in schema "s"',
    ),
    "a schema of somebody": ("create schema auth authorization somebody", 'schema "auth"'),
}


def prepare(postgres: Postgres, name: str, sql: str) -> None:
    there = postgres.query("select rolname from pg_roles")
    for role in set(ROLES) - set(there):
        postgres.query(f"create role {role}")
    postgres.query(sql, name)


@pytest.mark.parametrize("bound", ["", "&search_path=public"])
@pytest.mark.parametrize("name", CLEAN)
def test_what_is_brought_along_does_not_count(
    postgres: Postgres, tmp_path: Path, name: str, bound: str
) -> None:
    database = on_postgres(postgres, tmp_path)
    database.url += bound
    prepare(postgres, database.name, CLEAN[name])
    database.write({"1_a.sql": "create table a (id int);"})
    outcome = database.apply()
    assert outcome.report.applied == 1, outcome.output


@pytest.mark.parametrize("name", NOT_CLEAN)
def test_what_somebody_has_made_counts(postgres: Postgres, tmp_path: Path, name: str) -> None:
    sql, found = NOT_CLEAN[name]
    database = on_postgres(postgres, tmp_path)
    prepare(postgres, database.name, sql)
    database.write({"1_a.sql": "create table a (id int);"})
    outcome = database.apply()
    assert outcome.report.failure is Failure.NOT_CLEAN
    assert f"connected database is not clean: found {found}" in outcome.output


def test_in_a_schema_only_its_tables_count(postgres: Postgres, tmp_path: Path) -> None:
    database = on_postgres(postgres, tmp_path)
    prepare(postgres, database.name, "create table t (id int); create schema app")
    database.url += "&search_path=app"
    database.write({"1_a.sql": "create table a (id int);"})
    assert database.apply().report.applied == 1
