"""The preflight of MySQL. That a real server agrees: tests/integration/toolkit/test_mariadb.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbupgrade.toolkit.preflight.mysql import QUERIES, Facts, facts, preflight
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name

HISTORY = Name("", "atlas_schema_revisions")
RIGHTS = ("SELECT", "INSERT", "UPDATE")
FACTS = Facts("migrator@10.%", "shop", privileges=tuple(("shop", "*", right) for right in RIGHTS))
PRIMARY = "use the host of the primary in the URL of the database"


def found(*texts: str, known: Facts = FACTS) -> list[tuple[str, str]]:
    files = [File(f"{number}_x.sql", text) for number, text in enumerate(texts, 1)]
    return [(each.severity, each.fix) for each in preflight(known, files, HISTORY)]


def grant(rights: str, schema: str = "shop") -> list[tuple[str, str]]:
    return [("warning", f"GRANT {rights} ON `{schema}`.* TO 'migrator'@'10.%';")]


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["insert into t values (1); update t set a = 1; select 1"], []),
        (["create table t (id int)"], grant("CREATE")),
        (["create table t (id int)", "alter table t add a int; drop table t"], grant("ALTER, CREATE, DROP")),
        (["delete from other.t where a = 1"], grant("DELETE", "other")),
        (["create index i on t (a); create view v as select 1"], grant("CREATE VIEW, INDEX")),
        (["truncate table t"], grant("DROP")),
        (["create temporary table t (id int); alter table t add a int; drop table t"], grant("CREATE TEMPORARY TABLES")),
        (["create temporary table t (id int)", "drop table t"], grant("CREATE TEMPORARY TABLES, DROP")),
        (["this is 'not SQL"], []),
        (["delimiter //\ncreate trigger t before insert on a for each row begin end//"], []),
    ],
)  # fmt: skip
def test_what_the_files_need_and_the_user_has_not(texts: list[str], wanted: list[tuple[str, str]]) -> None:
    assert found(*texts) == wanted


@pytest.mark.parametrize(
    ("privilege", "has"),
    [
        (("*", "*", "CREATE"), True),
        (("shop", "*", "CREATE"), True),
        (("sh%", "*", "CREATE"), True),
        (("SHOP", "*", "CREATE"), True),
        (("shop", "t", "CREATE"), True),
        (("shop", "other", "CREATE"), False),
        (("sh", "*", "CREATE"), False),
        ((r"sh\_p", "*", "CREATE"), False),
        (("shop", "*", "ALTER"), False),
    ],
)
def test_where_a_privilege_holds(privilege: tuple[str, str, str], has: bool) -> None:
    known = replace(FACTS, privileges=(*FACTS.privileges, privilege))
    assert (found("create table t (id int)", known=known) == []) is has


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (replace(FACTS, read_only=True), [("error", PRIMARY)]),
        (replace(FACTS, read_only=True, has_role=True), [("warning", PRIMARY)]),
        (replace(FACTS, read_only=True, privileges=(*FACTS.privileges, ("*", "*", "READ ONLY ADMIN"))), []),
        (replace(FACTS, nobody_writes="super_read_only", privileges=(*FACTS.privileges, ("*", "*", "SUPER"))), [("error", PRIMARY)]),
        (replace(FACTS, privileges=()), grant("INSERT, SELECT, UPDATE")),
        (replace(FACTS, unread=True), [("info", "")]),
        (replace(FACTS, read_only=True, unread=True), [("warning", PRIMARY), ("info", "")]),
    ],
)  # fmt: skip
def test_what_is_found_beside_the_files(known: Facts, wanted: list[tuple[str, str]]) -> None:
    assert found("select 1", known=known) == wanted


def test_what_the_server_answers() -> None:
    privileges = [["*", "*", "Create"], ["shop", "t", "SELECT"]]
    known = facts([[["a@%", "shop", "1"]], None, [["0"]], [["NONE"]], privileges])
    assert known == Facts(
        "a@%", "shop", read_only=True, privileges=(("*", "*", "CREATE"), ("shop", "t", "SELECT"))
    )
    assert facts([[["a@%", "shop", "0"]], None, [["1"]], None, []]).nobody_writes == "innodb_read_only"
    assert facts([[["a@%", "shop", "0"]], [["0"]], [["0"]], [["r"]], None]) == Facts(
        "a@%", "shop", has_role=True, unread=True
    )
    assert facts([None] * len(QUERIES)).unread
