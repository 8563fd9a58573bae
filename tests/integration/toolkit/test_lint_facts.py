"""`lint --pending` asks the database: what is there, how large it is, what is NOT NULL already, and who holds a lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dbupgrade.toolkit.lint import facts
from dbupgrade.toolkit.lint.locking import locks_in
from dbupgrade.toolkit.sql.concurrently import File

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Toolkit

ORDERS = "create table orders (id int primary key, day date not null, note varchar(10), amount int, check (amount is not null))"


def _told(toolkit: Toolkit, **files: str) -> list[str]:
    toolkit.write(v1="select 1;", **files)
    return [f"{each['line']} {each['level']} {each['rule']}" for each in _findings(toolkit)]


def _findings(toolkit: Toolkit) -> list[dict[str, str]]:
    found: list[dict[str, str]] = toolkit.run("lint", "--pending", MIGRATE_BASELINE_VERSION="1").event(
        "lint"
    )["findings"]
    return found


def test_what_the_database_has_counts(toolkit: Toolkit) -> None:
    toolkit.execute(
        ORDERS,
        "create table parts (a int) partition by range (a)",
        "create index orders_note on orders (note)",
    )
    toolkit.execute("create function steady() returns int stable language plpgsql as 'begin return 1; end'")
    text = (
        "alter table orders alter day set not null;\n"
        "alter table orders alter amount set not null;\n"
        "alter table orders alter note type varchar(20);\n"
        "alter table orders add column b int default steady();\n"
        "create table if not exists made (a int); create index on made (a);\n"
        "create index on only parts (a);\n"
    )
    assert [each for each in _told(toolkit, v2=text) if "several-locks" not in each] == []
    wrong = (
        "alter table orders alter note set not null;\n"
        "alter table orders alter note type varchar(5);\n"
        "create table if not exists orders (a int); create index on orders (a);\n"
        "create index i on only orders (id);\n"
    )
    errors = [each for each in _told(toolkit, v2=wrong) if "error" in each]
    assert errors == [
        "1 error adding-not-nullable-field",
        "2 error changing-column-type",
        "3 error require-concurrent-index-creation",
        "4 error require-concurrent-index-creation",
    ]


def test_the_size_and_who_holds_a_lock_are_told(toolkit: Toolkit) -> None:
    toolkit.execute(
        ORDERS, "insert into orders select n, now(), 'x', n from generate_series(1, 2000) n", "analyze orders"
    )
    toolkit.write(v1="select 1;", v2="create index i on orders (day);")
    (toolkit.folder / ".atlas.hcl").write_text('lint {\n  threshold = "1GB"\n}\n')
    with toolkit.hold("lock table orders in row exclusive mode"):
        (finding,) = _findings(toolkit)
    assert finding["level"] == "warning"
    assert "orders (" in finding["why"]
    assert "about 2 thousand rows) wait while it is built; right now it is locked by" in finding["why"]
    (toolkit.folder / ".atlas.hcl").write_text('lint {\n  threshold = "8 kB"\n}\n')
    assert _findings(toolkit)[0]["level"] == "error"


def test_domains_with_constraints(toolkit: Toolkit) -> None:
    toolkit.execute(ORDERS, "create domain free as int", "create domain bound as int check (value > 0)")
    text = "alter table orders add column f free;\nalter table orders add column b bound;\n"
    assert _told(toolkit, v2=text) == ["2 error adding-field-with-default"]


def test_tables_at_the_other_end_of_foreign_keys(toolkit: Toolkit) -> None:
    toolkit.execute(
        ORDERS,
        "create schema s; create table s.items (id int, order_id int references orders)",
        "create table notes (id int references orders)",
    )
    text = "alter table orders alter id type bigint; drop table s.items; truncate orders cascade;"
    database = asyncio.run(facts.ask(toolkit.server.url(toolkit.database), [text]))
    found = locks_in([File("1_x.sql", text)], {"1_x.sql"}, database)
    assert [sorted(str(lock) for lock in each.locks) for each in found] == [
        [
            "ACCESS EXCLUSIVE on public.notes (scans)",
            "ACCESS EXCLUSIVE on public.orders (rewrites)",
            "ACCESS EXCLUSIVE on s.items (scans)",
        ],
        ["ACCESS EXCLUSIVE on public.orders", "ACCESS EXCLUSIVE on s.items"],
        ["ACCESS EXCLUSIVE on public.notes", "ACCESS EXCLUSIVE on public.orders"],
    ]
    assert {str(name) for name in database.sizes} == {"public.orders", "public.notes", "s.items"}
