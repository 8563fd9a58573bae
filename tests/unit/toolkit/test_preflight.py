"""What the preflight makes of the facts. That a real server agrees: tests/integration/toolkit/test_preflight.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbupgrade.api.findings import PREFLIGHT_FINDINGS
from dbupgrade.pod import preflight as told
from dbupgrade.toolkit.preflight import pending, preflight
from dbupgrade.toolkit.preflight.facts import (
    Connections,
    Extension,
    Facts,
    History,
    OpenTransaction,
    Owner,
    Relation,
    Schema,
    Server,
)
from dbupgrade.toolkit.preflight.finding import Finding, listed
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name

US, OTHER = Owner("migrator", is_us=True), Owner("app_owner", is_us=False)
ROOT = Owner("postgres", is_us=False, is_superuser=True)
ALL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"})
ORDERS, OURS, MADE_BY_ROOT = Name("app", "orders"), Name("public", "ours"), Name("app", "old")
FACTS = Facts(
    Server("migrator", "shop", 160004, may_create_schemas=False),
    path=("public", "app"),
    schemas={
        "public": Schema(US),
        "app": Schema(OTHER, may_create=False),
        "hidden": Schema(OTHER, may_use=False, may_create=False),
        "Odd": Schema(ROOT, may_create=False),
    },
    relations={
        ORDERS: Relation(OTHER, frozenset({"SELECT"})),
        OURS: Relation(US, ALL),
        MADE_BY_ROOT: Relation(ROOT),
        Name("hidden", "secret"): Relation(OTHER),
        Name("app", "orders_pkey"): Relation(OTHER, of=ORDERS),
    },
    types={Name("app", "mood"): OTHER, Name("app", "old_type"): ROOT, Name("public", "own"): US},
    routines={Name("app", "f"): OTHER, Name("app", "g"): ROOT},
    extensions={
        "citext": Extension(),
        "postgis": Extension(is_trusted=False),
        "there": Extension(is_installed=True),
    },
)


def found(*texts: str, facts: Facts = FACTS) -> list[tuple[str, str]]:
    """Severity and fix of what is found for these files."""
    files = pending.read([File(f"{number}_x.sql", text) for number, text in enumerate(texts, 1)])
    return [(each.severity, each.fix) for each in preflight(facts, files)]


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["create table a (id int)"], []),
        (["create table app.a (id int)"], [("error", "GRANT CREATE ON SCHEMA app TO migrator;")]),
        (["create table if not exists app.a ()"], [("error", "GRANT CREATE ON SCHEMA app TO migrator;")]),
        (['create type "Odd".e as enum ()'], [("error", 'GRANT CREATE ON SCHEMA "Odd" TO migrator;')]),
        (["set search_path = app; create table a ()"], [("error", "GRANT CREATE ON SCHEMA app TO migrator;")]),
        (["set search_path = app", "create table a ()"], []),
        (["create schema s; create table s.t ()"], [("error", "GRANT CREATE ON DATABASE shop TO migrator;")]),
        (["alter table orders add a int"], [("error", "GRANT app_owner TO migrator;")]),
        (["drop index app.orders_pkey"], [("error", "GRANT app_owner TO migrator;")]),
        (["create index on app.orders (id)"], [("error", "GRANT app_owner TO migrator;")]),
        (["drop schema app"], [("error", "GRANT app_owner TO migrator;")]),
        (["alter table app.old add a int; insert into app.old values (1)"], [("error", "ALTER TABLE app.old OWNER TO migrator;")]),
        (['drop schema "Odd"'], [("error", 'ALTER SCHEMA "Odd" OWNER TO migrator;')]),
        (["select * from hidden.secret"], [("error", "GRANT USAGE ON SCHEMA hidden TO migrator;")]),
        (["insert into orders values (1)"], [("error", "GRANT INSERT ON app.orders TO migrator;")]),
        (["delete from orders where id = 1"], [("error", "GRANT DELETE ON app.orders TO migrator;")]),
        (["insert into ours select id from orders; alter table ours add a int; truncate ours"], []),
        (["alter table ours add foreign key (a) references orders"], [("error", "GRANT REFERENCES ON app.orders TO migrator;")]),
        (["create table orders (); alter table orders add a int"], []),
        (["create table orders ()", "alter table orders add a int"], []),
        (["alter table ours rename to app_orders; alter table app_orders add a int"], []),
        (["alter table gone add a int; drop table if exists gone"], []),
        (["do $$ begin alter table app.orders add a int; end $$"], [("warning", "GRANT app_owner TO migrator;")]),
        (["grant app_owner to migrator; alter table app.orders add a int"], [("warning", "GRANT app_owner TO migrator;")]),
        (["select give(); alter table app.orders add a int"], [("warning", "GRANT app_owner TO migrator;")]),
        (["select setval('s', 1); alter table app.orders add a int"], [("error", "GRANT app_owner TO migrator;")]),
        (["grant insert on app.orders to migrator; insert into orders values (1)"], [("warning", "GRANT INSERT ON app.orders TO migrator;")]),
        (["set role app_owner; alter table app.orders add a int"], [("info", "")]),
        (["set role app_owner; reset role; alter table app.orders add a int"], [("error", "GRANT app_owner TO migrator;"), ("info", "")]),
        (["set role app_owner", "alter table app.orders add a int"], [("error", "GRANT app_owner TO migrator;"), ("info", "")]),
        (["create extension citext"], [("warning", "GRANT CREATE ON DATABASE shop TO migrator;")]),
        (["create extension postgis"], [("warning", "CREATE EXTENSION postgis; (as a superuser, or as the administrator of your provider)")]),
        (["create extension none"], [("warning", "install extension none on the server, or use a server that has it")]),
        (["create extension if not exists there"], []),
        (["reindex table orders; cluster app.orders using orders_pkey"], [("error", "GRANT app_owner TO migrator;")]),
        (["reindex index app.orders_pkey"], []),
        (["create policy p on orders; drop policy q on orders; drop trigger t on orders"], [("warning", "GRANT app_owner TO migrator;")]),
        (["alter type mood add value 'x'"], [("error", "GRANT app_owner TO migrator;")]),
        (["drop type app.old_type"], [("error", "ALTER TYPE app.old_type OWNER TO migrator;")]),
        (["alter function app.g(int) stable"], [("error", "ALTER ROUTINE app.g OWNER TO migrator;")]),
        (["drop function f(int)"], [("error", "GRANT app_owner TO migrator;")]),
        (["alter type own add value 'x'; drop type own; drop function gone()"], []),
        (["create type mood as enum (); alter type mood add value 'x'"], []),
        (["create or replace function app.f() returns int language sql as 'select 1'"], [("error", "GRANT CREATE ON SCHEMA app TO migrator;")]),
        (["insert into orders values (1); insert into orders values (2); alter table orders add a int; insert into orders values (3)"],
         [("error", "GRANT app_owner TO migrator;")]),
        (["insert into ours (id) values (1); insert into app.old (id) values (1)"], [("error", "GRANT INSERT ON app.old TO migrator;")]),
        (["do $$ declare n text := 'x'; begin insert into app.old (id) values (1); execute 'drop table ' || n; end $$"],
         [("warning", "GRANT INSERT ON app.old TO migrator;")]),
        (["select 1" + " " * (4 << 20)], [("info", "")]),
        (["this is not SQL", "alter table orders add a int"], [("warning", "GRANT app_owner TO migrator;"), ("info", "")]),
        ([], []),
    ],
)  # fmt: skip
def test_what_the_files_need_and_the_user_has_not(texts: list[str], wanted: list[tuple[str, str]]) -> None:
    assert found(*texts) == wanted


def test_one_finding_for_each_command_with_the_files_that_need_it() -> None:
    texts = ["alter table app.orders add a int", "drop table app.orders", "update app.old set a = 1"]
    files = pending.read([File(f"{number}_x.sql", text) for number, text in enumerate(texts, 1)])
    assert [each.message for each in preflight(FACTS, files)] == [
        "user migrator is not a member of app_owner, the owner of app.orders (needed by 1_x.sql and 2_x.sql)",
        "user migrator has no UPDATE privilege on app.old (needed by 3_x.sql)",
    ]


@pytest.mark.parametrize(
    ("version", "fix"),
    [
        (150004, "ALTER ROLE migrator INHERIT;"),
        (160004, "GRANT app_owner TO migrator WITH INHERIT TRUE;"),
    ],
)
def test_a_member_that_does_not_inherit_is_told_so(version: int, fix: str) -> None:
    owner = replace(OTHER, is_member=True)
    facts = replace(
        FACTS, server=replace(FACTS.server, version=version), relations={ORDERS: Relation(owner, ALL)}
    )
    assert found("alter table orders add a int", facts=facts) == [("error", fix)]


MAKES_SCHEMAS = replace(FACTS.server, may_create_schemas=True)
READ_ONLY = replace(FACTS, server=replace(FACTS.server, read_only="user"), history=History("public", "ours"))
RESET = "ALTER ROLE migrator RESET default_transaction_read_only;"
SESSION = OpenTransaction(ORDERS, 42, "web", "shop-web", 200.0)


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        pytest.param(replace(FACTS, server=replace(FACTS.server, is_standby=True)),
                     [("error", "use the host of the primary in the URL of the database")], id="a standby"),
        pytest.param(replace(FACTS, server=replace(FACTS.server, read_only="database")),
                     [("error", "SET default_transaction_read_only = off; ALTER DATABASE shop RESET default_transaction_read_only;")], id="a database that only reads"),
        pytest.param(replace(READ_ONLY, begins_read_write=True), [("warning", RESET)], id="an engine that writes anyway"),
        pytest.param(READ_ONLY, [("error", RESET)], id="an engine that does not"),
        pytest.param(replace(READ_ONLY, begins_read_write=True, history=History("public", "none")), [("error", RESET)],
                     id="no history, which is made as the default is"),
        pytest.param(replace(FACTS, server=replace(FACTS.server, read_only="client")),
                     [("error", "remove default_transaction_read_only from the URL of the database")], id="a URL"),
        pytest.param(replace(FACTS, history=History("atlas", "revisions")),
                     [("error", "CREATE SCHEMA atlas AUTHORIZATION migrator;")], id="no schema for the history"),
        pytest.param(replace(FACTS, history=History("atlas", "revisions"), server=MAKES_SCHEMAS), [], id="it can be made"),
        pytest.param(replace(FACTS, history=History("app", "revisions")),
                     [("error", "GRANT CREATE ON SCHEMA app TO migrator;")], id="no table for the history"),
        pytest.param(replace(FACTS, history=History("app", "orders")),
                     [("error", "GRANT INSERT, UPDATE ON app.orders TO migrator;")], id="a history that only reads"),
        pytest.param(replace(FACTS, history=History("public", "ours")), [], id="a history of one's own"),
        pytest.param(replace(FACTS, transactions=(SESSION,)), [("warning", "SELECT pg_terminate_backend(42);")], id="a transaction"),
        pytest.param(replace(FACTS, transactions=(replace(SESSION, seconds=59.0),)), [], id="a young transaction"),
        pytest.param(replace(FACTS, transactions=(replace(SESSION, table=Name("public", "orders")),)), [], id="on another table"),
        pytest.param(replace(FACTS, transactions=(replace(SESSION, seconds=None),)),
                     [("info", "GRANT pg_read_all_stats TO migrator;")], id="a transaction of unknown age"),
        pytest.param(replace(FACTS, connections=Connections(most_of_role=1)),
                     [("error", "ALTER ROLE migrator CONNECTION LIMIT 4;")], id="a limit of the user"),
        pytest.param(replace(FACTS, connections=Connections(most_of_role=5, used_by_role=5)),
                     [("warning", "ALTER ROLE migrator CONNECTION LIMIT 8;")], id="a limit that is reached now"),
        pytest.param(replace(FACTS, connections=Connections(most_of_role=5, used_by_role=3)), [], id="enough are left"),
        pytest.param(replace(FACTS, connections=Connections(most_of_database=0)),
                     [("error", "ALTER DATABASE shop CONNECTION LIMIT 4;")], id="a limit of the database"),
        pytest.param(replace(FACTS, connections=Connections(most=97, used=97)),
                     [("warning", "close idle connections, or raise max_connections")], id="a full server"),
        pytest.param(replace(FACTS, connections=Connections(most_of_role=1), is_pooled=True),
                     [("info", "use the host and port of the server itself in the URL of the database")], id="a pooler"),
        pytest.param(replace(FACTS, unread=("tables (SQLSTATE 42501)",)), [("info", "")], id="an answer that was refused"),
    ],
)  # fmt: skip
def test_what_is_found_beside_privileges(facts: Facts, wanted: list[tuple[str, str]]) -> None:
    assert found("select * from app.orders", facts=facts) == wanted


def test_a_transaction_names_who_what_and_how_long() -> None:
    facts = replace(
        FACTS, transactions=(SESSION, replace(SESSION, table=Name("app", "old")), replace(SESSION, pid=7, application="", seconds=7300.0))
    )  # fmt: skip
    files = pending.read([File("1_x.sql", "select * from app.orders, app.old")])
    texts = [each.message for each in preflight(facts, files) if each.check == "transactions"]
    assert texts == [
        "(user web, process 7) has had a transaction open for 2 h 1 min that holds locks on app.orders, which the pending files use",
        "shop-web (user web, process 42) has had a transaction open for 3 min that holds locks on app.orders and app.old, "
        "which the pending files use",
    ]


def test_what_one_command_mends_is_told_once() -> None:
    facts = replace(FACTS, history=History("app", "revisions"))
    texts = found(
        "create table app.a ()", "alter table app.old add a int", "insert into orders values (1)", facts=facts
    )
    assert texts == [
        ("error", "GRANT CREATE ON SCHEMA app TO migrator;"),
        ("error", "ALTER TABLE app.old OWNER TO migrator;"),
        ("error", "GRANT INSERT ON app.orders TO migrator;"),
    ]


def test_what_stops_the_run_comes_first() -> None:
    facts = replace(FACTS, is_pooled=True, transactions=(SESSION,))
    severities = [severity for severity, _ in found("alter table app.orders add a int", facts=facts)]
    assert severities == ["error", "warning", "info"]


def test_the_status_has_a_bounded_part_of_it_that_a_terminal_may_show() -> None:
    finding = Finding(check="x" * 99, severity="error", message="x" * 900, fix="a\x1b[2J\nb")
    cut = told.bounded([finding] * 50)
    assert len(cut) == PREFLIGHT_FINDINGS
    assert (len(cut[0].check.encode()), len(cut[0].message.encode()), cut[0].fix) == (32, 512, "a[2J b")


def test_a_message_names_the_first_errors() -> None:
    error = Finding(check="privileges", severity="error", message="no", fix="GRANT x;")
    warning = replace(error, severity="warning")
    assert told.where([error, warning]) == "no; fix: GRANT x"
    assert told.where([error] * 5) == "no; fix: GRANT x; no; fix: GRANT x; no; fix: GRANT x; and 2 more"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c"), (list("abcde"), "a, b, c and 2 more")],
)  # fmt: skip
def test_a_list_is_short(words: list[str], wanted: str) -> None:
    assert listed(words) == wanted
