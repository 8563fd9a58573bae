"""Which locks a statement takes, as its text says."""

from __future__ import annotations

import pytest

from dbupgrade.toolkit.lint.learning import learn
from dbupgrade.toolkit.lint.locking import locks_in
from dbupgrade.toolkit.lint.locks import locks_of
from dbupgrade.toolkit.lint.world import World
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.parser import ParseError
from tests.lint.locking import LOCKING, Locking


@pytest.mark.parametrize("example", LOCKING, ids=lambda example: example.sql[:60])
def test_locks_of_a_statement(example: Locking) -> None:
    (statement,) = parser.statements(example.sql)
    assert tuple(map(str, locks_of(statement.tree, example.known()))) == example.locks


@pytest.mark.parametrize("example", LOCKING, ids=lambda example: example.sql[:60])
def test_without_knowledge_nothing_is_told_too_small(example: Locking) -> None:
    """Tables that the text does not name are not known then; what it names is locked as hard or harder."""
    (statement,) = parser.statements(example.sql)
    told = {str(each.table): each for each in locks_of(statement.tree)}
    for lock in locks_of(statement.tree, example.known()):
        if plain := told.get(str(lock.table)):
            assert plain.mode >= lock.mode
            assert plain.rewrites >= lock.rewrites or "add column b d" in example.sql  # is d a domain?
            assert plain.scans >= lock.scans or plain.rewrites


def test_a_name_means_what_the_path_says() -> None:
    world = World()
    *before, statement = parser.statements(
        "create table app.t (a int); set search_path = app, public; alter table t add column b int;"
    )
    for each in before:
        learn(world, each.tree)
    assert [str(each) for each in locks_of(statement.tree, world)] == ["ACCESS EXCLUSIVE on app.t"]


def _in(*texts: str, chosen: int = 1) -> list[str]:
    """What is told of the last `chosen` of these files."""
    files = [File(f"{number}.sql", text) for number, text in enumerate(texts, 1)]
    found = locks_in(files, {each.name for each in files[-chosen:]})
    return [
        f"{each.file}:{each.line} {', '.join(map(str, each.locks))}{'' if each.complete else ' …'}"
        for each in found
    ]


def test_tables_that_the_files_make_are_nobodys() -> None:
    old, new = (
        "create table t (id int primary key);",
        "create table n (id int references t);\nalter table n add a int;",
    )
    assert _in(old, new) == ["2.sql:1 SHARE ROW EXCLUSIVE on public.t"]
    assert _in(old, new, "drop table n;", chosen=2) == [
        "2.sql:1 SHARE ROW EXCLUSIVE on public.t",
        "3.sql:1 ACCESS EXCLUSIVE on public.t",
    ]
    assert _in(old, new, "drop table n;") == [
        "3.sql:1 ACCESS EXCLUSIVE on public.n, ACCESS EXCLUSIVE on public.t"
    ]


def test_blocks_are_looked_into() -> None:
    block = "do $$ begin\n if true then\n drop table t; update p set a = 1; end if; end $$;"
    assert _in(block) == ["1.sql:1 ACCESS EXCLUSIVE on public.t, ROW EXCLUSIVE on public.p (scans)"]
    assert _in("do $$ declare q text; begin execute q; end $$;") == ["1.sql:1  …"]


@pytest.mark.parametrize(
    "text",
    ["drop table t cascade;", "drop owned by x;", "vacuum;", "reindex schema s;", "truncate t cascade;", "call p();",
     "do $$ begin call p(); end $$;"],
)  # fmt: skip
def test_what_may_lock_more_than_it_names_says_so(text: str) -> None:
    assert [line.endswith("…") for line in _in(text)] == [True]


def test_loops_over_what_a_statement_changes() -> None:
    block = "do $$ declare r record; begin for r in delete from t returning * loop null; end loop; end $$;"
    assert _in(block) == ["1.sql:1 ROW EXCLUSIVE on public.t (scans)"]


def test_a_file_that_cannot_be_read() -> None:
    assert _in("create tabl x;", "drop table t;") == ["2.sql:1 ACCESS EXCLUSIVE on public.t"]
    with pytest.raises(ParseError):
        _in("create tabl x;")


def test_a_column_without_a_table() -> None:
    """The parser accepts it; the server does not."""
    assert _in("comment on column a is 'x';") == []
