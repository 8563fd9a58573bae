"""The preflight on a real PostgreSQL: what it says fails does fail, what it offers mends it, and what succeeds is not held back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.message import read
from tests.integration.toolkit.conftest import PASSWORD, Toolkit, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbupgrade.pod.report import Report
    from tests.integration.toolkit.conftest import Result

REFUSED = 14
ENGINES = pytest.mark.parametrize("engine", ["Atlas", "Psql"])


@dataclass
class Restricted:
    """A user of one's own who may log in and nothing else, and the owner of the tables of an application."""

    toolkit: Toolkit
    user: str
    owner: str
    report: Path

    def apply(self, **variables: str) -> tuple[Result, Report]:
        """Run `apply` as the user; the result and its report."""
        self.report.write_text("")
        url = self.toolkit.server.url(self.toolkit.database).replace("admin:", f"{self.user}:")
        done = self.toolkit.run("apply", "--report", str(self.report), **{"DATABASE_URL": url, **variables})
        report = read(self.report.read_text())
        assert report
        return done, report

    def sql(self, *statements: str) -> None:
        """Execute statements as the administrator, with the names of the two."""
        names = {"user": self.user, "owner": self.owner, "database": self.toolkit.database}
        self.toolkit.execute(*(statement.format(**names) for statement in statements))


@pytest.fixture
def restricted(toolkit: Toolkit, tmp_path: Path) -> Iterator[Restricted]:
    word = secrets.token_hex(6)
    found = Restricted(toolkit, f"u{word}", f"o{word}", tmp_path / "report")
    password = PASSWORD.replace("'", "''")
    found.sql(
        f"create role {{user}} login password '{password}'",
        "create role {owner}",
        "revoke create on schema public from public",
    )
    yield found
    found.sql("drop owned by {user}, {owner} cascade", "drop role {user}, {owner}")


def findings(done: Result, severity: str = "error") -> list[dict[str, Any]]:
    """What the preflight said with that severity."""
    return [each for each in done.events if each["event"] == "preflight" and each["level"] == severity]


def fixes(done: Result) -> list[str]:
    return sorted(each["fix"] for each in findings(done))


CASES = {
    "a table in a schema": ("create table a (id int);", ["GRANT CREATE ON SCHEMA public TO {user};"]),
    "a schema": ("create schema s;", ["GRANT CREATE ON DATABASE {database} TO {user};"]),
    "a table that is altered": ("alter table app.t add c int;", ["GRANT {owner} TO {user};"]),
    "a table that is dropped": ("drop table app.t;", ["GRANT {owner} TO {user};"]),
    "an index": ("create index on app.t (id);", ["GRANT {owner} TO {user};"]),
    "an index that is dropped": ("drop index app.i;", ["GRANT {owner} TO {user};"]),
    "a view": ("create or replace view app.v as select 1 as id;", ["GRANT {owner} TO {user};"]),
    "a table that is indexed again": ("reindex table app.t;", ["GRANT {owner} TO {user};"]),
    "a type": ("alter type app.mood rename value 'sad' to 'low';", ["GRANT {owner} TO {user};"]),
    "a type that is dropped": ("drop type app.mood;", ["GRANT {owner} TO {user};"]),
    "a domain": ("alter domain app.d set not null;", ["GRANT {owner} TO {user};"]),
    "an attribute": ("alter type app.pair add attribute c int;", ["GRANT {owner} TO {user};"]),
    "a function": ("alter function app.f() stable;", ["GRANT {owner} TO {user};"]),
    "a function that is dropped": ("drop function app.f();", ["GRANT {owner} TO {user};"]),
    "a function that is renamed": ("alter function app.f rename to g;", ["GRANT {owner} TO {user};"]),
    "a comment": ("comment on column app.t.id is 'x';", ["GRANT {owner} TO {user};"]),
    "a schema that is dropped": ("drop schema app cascade;", ["GRANT {owner} TO {user};"]),
    "a partition": ("create table app.q partition of app.p for values in (1);", ["GRANT {owner} TO {user};"]),
    "rows that are inserted": ("insert into app.t values (1);", ["GRANT INSERT ON app.t TO {user};"]),
    "rows that are changed": (
        "update app.t set id = 2 where id = 1;",
        ["GRANT UPDATE, SELECT ON app.t TO {user};"],
    ),
    "rows that are deleted": (
        "delete from app.t where id = 1;",
        ["GRANT DELETE, SELECT ON app.t TO {user};"],
    ),
    "rows that are read": (
        "create temp table x as select * from app.t;",
        ["GRANT SELECT ON app.t TO {user};"],
    ),
    "all rows": ("truncate app.t;", ["GRANT TRUNCATE ON app.t TO {user};"]),
    "a lock": ("lock table app.t in share mode;", ["GRANT UPDATE ON app.t TO {user};"]),
    "a foreign key": (
        "create schema mine; create table mine.b (id int references app.t (id));",
        ["GRANT CREATE ON DATABASE {database} TO {user};", "GRANT REFERENCES ON app.t TO {user};"],
    ),
    "a trigger": (
        "create trigger g before insert on app.t for each row execute function app.f();",
        ["GRANT TRIGGER ON app.t TO {user};"],
    ),
    "a name that the search path finds": (
        "set search_path = app; alter table t add c int;",
        ["GRANT {owner} TO {user};"],
    ),
}
APP = (
    "create schema app authorization {owner}",
    "grant usage on schema app to {user}",
    "set role {owner}",
    "create table app.t (id int primary key)",
    "create index i on app.t (id)",
    "create view app.v as select 1 as id",
    "create table app.p (id int) partition by list (id)",
    "create type app.mood as enum ('sad')",
    "create type app.pair as (a int, b int)",
    "create domain app.d as int",
    "create function app.f() returns trigger language plpgsql as 'begin return new; end'",
    "reset role",
    "create schema atlas_schema_revisions authorization {user}",
)


@pytest.mark.parametrize(("sql", "wanted"), CASES.values(), ids=CASES)
def test_what_is_said_to_fail_fails_and_what_is_offered_mends_it(
    restricted: Restricted, sql: str, wanted: list[str]
) -> None:
    restricted.sql(*APP)
    restricted.toolkit.write(v0="select 1;", v1=sql)
    done, report = restricted.apply(MIGRATE_BASELINE_VERSION="0")
    names = {"user": restricted.user, "owner": restricted.owner, "database": restricted.toolkit.database}
    assert (done.code, fixes(done)) == (REFUSED, [each.format(**names) for each in wanted])
    assert report.failure is Failure.PREFLIGHT
    assert report.preflight[0].severity == "error"
    assert report.applied is None
    url = restricted.toolkit.server.url(restricted.toolkit.database).replace("admin:", f"{restricted.user}:")
    as_user = restricted.toolkit.fails_as(url, sql)
    assert as_user == "42501"  # insufficient_privilege
    restricted.sql(*fixes(done))
    done, report = restricted.apply(MIGRATE_BASELINE_VERSION="0")
    assert (done.code, report.failure, findings(done)) == (0, None, [])


ALLOWED = {
    "a type and a function of one's own": (
        "create type mood as enum ('sad'); alter type mood rename value 'sad' to 'low'; drop type mood;",
        "set search_path = public, app; create type mood as enum ('sad'); drop type mood;",
        "create function f() returns int language sql as 'select 1'; alter function f() stable; drop function f();",
        "create or replace function own.f() returns int language sql as 'select 2'; drop function own.f(int);",
    ),
    "what an earlier file has made": ("create table a (id int);", "alter table a add c int; insert into a values (1, 2);"),
    "what the same file has made": ("create schema s; create table s.t (id int); create index on s.t (id);",),
    "what is dropped and made again": ("create table a (id int); drop table a; create table a (id text);",),
    "a temporary table with the name of another": (
        "create temp table t (id int); insert into t values (1); alter table t add c int;",
    ),
    "a table of one's own with the name of another's": (
        "set search_path = public, app; create table t (id int); alter table t add c int;",
    ),
    "a name that WITH defines": ("with t as (select 1 as id) select * from t;",),
    "a column that may be changed": ("update app.some set a = 1;", "insert into app.some (a) values (1);"),
    "a table that is not there": ("drop table if exists app.gone; alter table if exists app.gone add c int;",),
    "the catalog": ("create table copy as select relname from pg_class where false;",),
    "a role that it may take on": ("set role {owner}; alter table app.t add c int; create table app.n (id int);",),
    "a role of a transaction": ("set local role {owner}; alter table app.t add c int;",),
    "a role by a function": ("select set_config('role', '{owner}', true); alter table app.t add c int;",),
    "a block that does nothing": ("do $$ begin if false then alter table app.t add c int; end if; end $$;",),
    "what a function grants": ("select app.give(); insert into app.t values (1);",),
    "what a call grants": ("call app.give_too(); insert into app.t values (1);",),
    "a view of what cannot be read": ("create view public.v as select id from app.some;",),
    "a table in a schema that is renamed": ("create schema s; alter schema s rename to r; create table r.t (id int);",),
    "an extension that is there": ("create extension if not exists plpgsql;",),
}  # fmt: skip
"""What a restricted user may do after all, however little it looks so."""


@pytest.mark.parametrize("files", ALLOWED.values(), ids=ALLOWED)
def test_what_would_succeed_is_not_held_back(restricted: Restricted, files: tuple[str, ...]) -> None:
    restricted.sql(
        *APP,
        "create table app.some (id int, a int)",
        "grant update (a), insert (a) on app.some to {user}",
        "grant create on schema public to {user}",
        "grant create on database {database} to {user}",
        "alter role {user} noinherit",
        "grant {owner} to {user}",
        "create schema own authorization {user}",
        "set role {user}",
        "create function own.f() returns int language sql as 'select 1'",
        "reset role",
        "create function own.f(int) returns int language sql as 'select 1'",
        "create function app.give() returns void security definer language sql as 'grant insert on app.t to {user}'",
        "create procedure app.give_too() security definer language sql as 'grant insert on app.t to {user}'",
    )
    later = {f"v{number}": sql.format(owner=restricted.owner) for number, sql in enumerate(files, 1)}
    restricted.toolkit.write(v0="select 1;", **later)
    done, report = restricted.apply(MIGRATE_BASELINE_VERSION="0")
    assert (done.code, report.error, findings(done)) == (0, None, [])


@ENGINES
def test_a_history_that_cannot_be_made_is_told_before_anything_is_done(
    restricted: Restricted, engine: str
) -> None:
    restricted.toolkit.write(v1="select 1;")
    done, report = restricted.apply(MIGRATE_ENGINE=engine)
    assert (done.code, report.failure) == (REFUSED, Failure.PREFLIGHT)
    restricted.sql(*fixes(done))
    done, report = restricted.apply(MIGRATE_ENGINE=engine)
    assert (done.code, report.failure, report.applied) == (0, None, 1)


@ENGINES
def test_a_user_whose_transactions_only_read_is_told_how_to_change_that(
    restricted: Restricted, engine: str
) -> None:
    restricted.sql(
        "grant create on database {database} to {user}",
        "grant create on schema public to {user}",
        "alter role {user} set default_transaction_read_only = on",
    )
    restricted.toolkit.write(v1="create table a (id int);")
    done, _ = restricted.apply(MIGRATE_ENGINE=engine)
    assert (done.code, fixes(done)) == (
        REFUSED,
        [f"ALTER ROLE {restricted.user} RESET default_transaction_read_only;"],
    )
    restricted.sql(*fixes(done))
    assert restricted.apply(MIGRATE_ENGINE=engine)[1].applied == 1


def test_a_file_that_the_engine_can_write_after_all_is_not_held_back(restricted: Restricted) -> None:
    restricted.sql("grant create on database {database} to {user}", "grant create on schema public to {user}")
    restricted.toolkit.write(v1="create table a (id int);")
    assert restricted.apply()[1].applied == 1
    restricted.sql("alter role {user} set default_transaction_read_only = on")
    restricted.toolkit.write(v2="alter table a add c int;")
    done, report = restricted.apply()
    assert (report.applied, [each["check"] for each in findings(done, "warning")]) == (1, ["primary"])


@pytest.mark.parametrize(("engine", "needed"), [("Atlas", 3), ("Psql", 2)])
def test_a_limit_of_connections_that_no_run_can_keep_to_is_told(
    restricted: Restricted, engine: str, needed: int
) -> None:
    restricted.sql(
        "grant create on database {database} to {user}",
        "grant create on schema public to {user}",
        f"alter role {{user}} connection limit {needed - 1}",
    )
    restricted.toolkit.write(v1="create table a (id int);", v2="alter table a add c int;")
    done, report = restricted.apply(MIGRATE_ENGINE=engine)
    assert (done.code, fixes(done)) == (
        REFUSED,
        [f"ALTER ROLE {restricted.user} CONNECTION LIMIT {needed + 1};"],
    )
    assert report.failure is Failure.PREFLIGHT
    restricted.sql(f"alter role {{user}} connection limit {needed}")
    assert restricted.apply(MIGRATE_ENGINE=engine)[1].applied == 2


def test_three_connections_are_enough_for_a_concurrent_build_and_the_lint(restricted: Restricted) -> None:
    restricted.sql(
        "grant create on database {database} to {user}",
        "grant create on schema public to {user}",
        "alter role {user} connection limit 3",
    )
    restricted.toolkit.write(v1="create table a (id int);")
    _, report = restricted.apply(MIGRATE_LINT="error")
    assert (report.applied, report.preflight) == (1, ())  # what the run itself has just closed counts as free
    restricted.toolkit.write(v2="create index concurrently i on a (id);")
    assert restricted.apply(MIGRATE_LINT="error")[1].applied == 1


def test_an_old_transaction_on_a_table_that_is_touched_is_told_and_stops_nothing(
    restricted: Restricted,
) -> None:
    restricted.sql("grant create on database {database} to {user}")
    sql = "create schema mine; create table mine.a (id int); create table mine.b (id int);"
    restricted.toolkit.write(v1=sql)
    assert restricted.apply()[1].applied == 1
    restricted.toolkit.write(v2="insert into mine.a values (1);")
    with restricted.toolkit.hold("select * from mine.a; select * from mine.b"):
        done, report = restricted.apply()
        # Whoever is not the same user, and has not pg_read_all_stats, does not see since when.
        wanted = f"other sessions hold locks on mine.a; user {restricted.user} may not see for how long"
        assert [each["check"] for each in findings(done, "info")] == ["transactions"]
        assert report.preflight[0].message == wanted
        restricted.sql(report.preflight[0].fix)
        assert findings(restricted.apply()[0], "info") == []  # nothing is pending
        restricted.toolkit.write(v3="insert into mine.a values (2);")
        done, report = restricted.apply()
        assert (report.applied, report.preflight) == (1, ())  # it is seen, and younger than a minute


def test_a_standby_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with running_server({"standby.signal": b""}, {"hot_standby": "on"}) as server:
        folder = tmp_path / "migrations"
        folder.mkdir()
        toolkit = Toolkit(server, "postgres", folder)
        toolkit.write(v1="create table a (id int);")
        for engine in ("Atlas", "Psql"):
            done = toolkit.run("apply", MIGRATE_ENGINE=engine)
            assert (done.code, fixes(done)) == (
                REFUSED,
                ["use the host of the primary in the URL of the database"],
            )


def test_a_plan_says_what_the_preflight_finds_and_is_a_plan_nevertheless(restricted: Restricted) -> None:
    restricted.toolkit.write(v1="create table a (id int);")
    url = restricted.toolkit.server.url(restricted.toolkit.database).replace("admin:", f"{restricted.user}:")
    done = restricted.toolkit.run("plan", DATABASE_URL=url)
    assert (done.code, len(findings(done))) == (0, 2)
