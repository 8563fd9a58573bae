"""CONCURRENTLY: what a file becomes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbupgrade.toolkit.sql import names, parser
from dbupgrade.toolkit.sql.concurrently import (
    DIRECTIVE,
    ConversionRefusedError,
    File,
    Part,
    convert,
    convert_each,
    may_be_repeated,
)

HEADER = DIRECTIVE + "\n"


def converted(text: str, before: str = "", *, plain: bool = False) -> list[tuple[str, str]]:
    files = [File("1_before.sql", before), File("2_x.sql", text), File("3_after.sql", "select 3;")]
    parts = convert(files, {"2_x.sql"}, plain=plain)
    return [(part.name, part.text) for part in parts.get("2_x.sql", [])]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a);",
        "create  unique\n index\tconcurrently if not exists i on s.t (a) where b = 'x;y';",
        "CREATE INDEX /* all ; */ Concurrently i -- why\n ON t (a);",
        "DROP INDEX CONCURRENTLY IF EXISTS s.i;",
        "reindex index concurrently i;",
        "REINDEX (VERBOSE, CONCURRENTLY) TABLE t;",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v;",
        'CREATE INDEX CONCURRENTLY "Ein Index" ON "T" (a)',
    ],
)
def test_a_concurrent_statement_goes_alone_without_a_transaction(statement: str) -> None:
    assert converted(statement) == [("2_x.sql", HEADER + statement)]
    text = f"-- first\nalter table t add a int;\n{statement.removesuffix(';')};\n"
    assert converted(text) == [
        ("2_x.sql", "-- first\nalter table t add a int;\n"),
        ("2a_x.sql", f"{HEADER}{statement.removesuffix(';')};\n"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "create index i on t (a);",
        "-- create index concurrently i on t (a);\nselect 1;",
        "/* drop index concurrently i; */ select 1;",
        "insert into t values ('create index concurrently i on t (a);');",
        "do $$ begin perform 'reindex table concurrently t'; end $$;",
        'select 1 as "drop index concurrently i;";',
        "-- atlas:txmode none\n\ncreate index concurrently i on t (a);\ncreate index concurrently j on t (a);",
        "reindex (concurrently off) table t;",
        "",
        "-- concurrently",
    ],
)
def test_what_is_no_such_statement_stays(text: str) -> None:
    assert converted(text) == []


def test_each_statement_has_its_comments_with_it() -> None:
    text = (
        "-- one\nselect 1; -- of one\nselect 2;\n\n-- two\ncreate index concurrently i on t (a); /* of i */\n"
        "create index concurrently j on t (a);\nselect 3\n-- the end\n"
    )
    assert converted(text) == [
        ("2_x.sql", "-- one\nselect 1; -- of one\nselect 2;\n"),
        ("2a_x.sql", f"{HEADER}-- two\ncreate index concurrently i on t (a); /* of i */\n"),
        ("2b_x.sql", f"{HEADER}create index concurrently j on t (a);\n"),
        ("2c_x.sql", "select 3\n-- the end\n"),
    ]


def test_directives_at_the_top_are_for_all_parts() -> None:
    text = "-- dbupgrade:lint-ignore drop-column: unused since 1.4\n\nselect 1;\ndrop index concurrently i;\n"
    assert converted(text)[1] == (
        "2a_x.sql",
        f"{DIRECTIVE}-- dbupgrade:lint-ignore drop-column: unused since 1.4\n\ndrop index concurrently i;\n",
    )


@pytest.mark.parametrize(
    ("text", "becomes"),
    [  # without an empty line after it, or with one before it, Atlas does not see the directive
        ("-- atlas:txmode none\n{}", "-- atlas:txmode none\n\n-- atlas:txmode none\n{}"),
        ("\n-- atlas:txmode none\n\n{}", "-- atlas:txmode none\n\n{}"),
        ("-- atlas:txmode none\r\n\r\n{}", "-- atlas:txmode none\n\n-- atlas:txmode none\r\n\r\n{}"),
        ("-- why\n\n{}", "-- atlas:txmode none\n-- why\n\n{}"),
    ],
)
def test_the_directive_is_where_atlas_looks_for_it(text: str, becomes: str) -> None:
    statement = "create index concurrently i on t (a);"
    assert converted(text.format(statement)) == [("2_x.sql", becomes.format(statement))]


@pytest.mark.parametrize(
    ("text", "plain", "becomes"),
    [
        (
            "create table t (a int);\ncreate index concurrently i on t (a);",
            False,
            "create table t (a int);\ncreate index i on t (a);",
        ),
        (
            "create table s.t as select 1 a;\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a);",
            False,
            "create table s.t as select 1 a;\nCREATE UNIQUE INDEX IF NOT EXISTS i ON s.t (a);",
        ),
        ("create index concurrently i on t (a);", True, "create index i on t (a);"),
    ],
)
def test_a_plain_index_on_a_new_table_or_by_choice(text: str, plain: bool, becomes: str) -> None:
    assert converted(text, plain=plain) == [("2_x.sql", becomes)]


def test_settings_are_repeated_for_the_parts_in_a_transaction() -> None:
    text = "-- why\nset lock_timeout = '2s';\nselect 1;\ndrop index concurrently i;\nselect 2;\n"
    parts = convert([File("2_x.sql", text)], {"2_x.sql"})["2_x.sql"]
    assert [(part.text, part.count) for part in parts] == [
        ("-- why\nset lock_timeout = '2s';\nselect 1;\n", 2),
        ("-- atlas:txmode none\n\ndrop index concurrently i;\n", 1),
        ("set lock_timeout = '2s';\nselect 2;\n", 2),
    ]


@pytest.mark.parametrize(
    ("before", "text", "says"),
    [
        (
            "create table t (a int) partition by range (a);",
            "select 1;\ncreate index concurrently i on t (a);",
            "line 2: t is partitioned",
        ),
        (
            "create table t (a int) partition by range (a); create index i on t (a);",
            "drop index concurrently i;",
            "is the index of a partitioned table",
        ),
        ("", "create index concurrently on t (a);", "has no name"),
        ("", "drop index concurrently i, j;", "one index at a time"),
        (
            "create table t (a int) partition by range (a);",
            "select 1;\ncreate index concurrently i on t (a);\ncreate index concurrently j on u (a);",
            "line 2: t is partitioned",
        ),
        ("", "begin; select 1; commit; drop index concurrently i;", "BEGIN or COMMIT cannot be split"),
        ("", "set search_path = s; drop index concurrently i;", "search_path"),
        ("", "set role owner; drop index concurrently i;", "the role would not apply"),
        (
            "",
            "select 1;\n; -- nothing\ndrop index concurrently i;",
            "line 2: a semicolon without a statement",
        ),
    ],
)
def test_what_cannot_be_made_safe_is_refused(before: str, text: str, says: str) -> None:
    with pytest.raises(ConversionRefusedError, match=says):
        converted(text, before)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConversionRefusedError, match=r"2_x.sql, line 2: the SQL cannot be read"):
        converted("select 1;\ncreate indx concurrently hunter2")


@pytest.mark.parametrize(
    "before",
    [
        "create table if not exists t (a int);",
        "create table s.t (a int);",
        "create table t (a int); drop table t;",
        "create table t (a int); alter table t rename to u;",
        "create table t (a int); alter table t set schema s;",
        "create table t (a int); select set_config('search_path', 's', true);",
        "do $$ begin create table t (a int); end $$;",
    ],
)
def test_a_table_that_may_be_there_already_keeps_its_concurrently(before: str) -> None:
    parts = converted(f"{before}\ncreate index concurrently i on t (a);\n")
    assert [text for _, text in parts] == [f"{before}\n", f"{HEADER}create index concurrently i on t (a);\n"]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("create index concurrently i on t (a);", True),
        ("create unique index concurrently if not exists i on t (a);", True),
        ("create index concurrently on t (a);", False),
        ("drop index concurrently if exists i;", True),
        ("drop index concurrently i;", False),
        ("reindex table concurrently t;", True),
        ("refresh materialized view concurrently v;", True),
        ("set lock_timeout = 0; reindex index concurrently i;", True),
        ("create index concurrently i on t (a); insert into t values (1);", False),
        ("create index i on t (a);", False),
        ("create index concurrently (", False),
    ],
)
def test_what_may_be_executed_again_when_nobody_knows_how_it_ended(text: str, may: bool) -> None:
    assert may_be_repeated(text) is may


def test_a_folder_is_converted_in_one_pass() -> None:
    """What apply asks: what cannot be converted is refused by file, and the rest goes on."""
    files = [
        File("1_x.sql", "create table t (a int) partition by range (a);"),
        File("2_x.sql", "create index concurrently i on t (a);"),
        File("3_x.sql", "create indx concurrently hunter2"),
        File("4_x.sql", "select 1; drop index concurrently i2;"),
        File("5_x.sql", "select 1; drop index concurrently i3;"),
        File("5a_y.sql", "select 1;"),
    ]
    changed, refused = convert_each(files)
    assert (set(changed), set(refused)) == ({"4_x.sql"}, {"2_x.sql", "5_x.sql"})


@pytest.mark.parametrize("other", ["2a_y.sql", "20_y.sql"])
def test_parts_that_would_come_out_of_order_are_refused(other: str) -> None:
    files = [File("2_x.sql", "select 1; drop index concurrently i;"), File(other, "select 1;")]
    if other == "20_y.sql":
        files.reverse()
    with pytest.raises(ConversionRefusedError, match="would not sort before"):
        convert(files, {"2_x.sql"})


CONCURRENT = st.sampled_from(
    [
        "create index concurrently i on t (a)",
        "CREATE UNIQUE INDEX\nCONCURRENTLY j ON s.t (b, c)",
        "Drop Index Concurrently i",
        "reindex table concurrently t",
        "refresh materialized view concurrently v",
    ]
)
WORDS = st.text("abc;' \n-$é\"CONCURRENTLY", max_size=12)
COMMENT = st.one_of(
    WORDS.map(lambda t: "--" + t.replace("\n", " ") + "\n"),
    WORDS.map(lambda t: "/*" + t.replace("/", "") + "*/"),
)
OTHER = st.one_of(
    st.just("alter table t add column a int"),
    WORDS.map(lambda t: "select '" + t.replace("'", "''") + "'"),
    WORDS.map(lambda t: "select $q$" + t.replace("$", "") + "create index concurrently $q$"),
)
FILES = st.lists(st.tuples(COMMENT | st.just(""), CONCURRENT | OTHER, COMMENT | st.just("")), max_size=6).map(
    lambda items: "".join(f"{before}{statement};{after}\n" for before, statement, after in items)
)


@settings(max_examples=150)
@given(FILES)
def test_parts_are_the_file_and_converting_twice_changes_nothing(text: str) -> None:
    files = [File("2_x.sql", text)]
    first = convert(files, {"2_x.sql"})
    assert convert(files, {"2_x.sql"}) == first
    parts: list[Part] | list[File] = first.get("2_x.sql", []) or files
    assert convert(parts, {part.name for part in parts}) == {}
    whole = "".join(part.text.removeprefix(DIRECTIVE) for part in parts)
    assert "".join(whole.split()) == "".join(text.split())  # every comment and string, in its order
    assert [len(parser.statements(part.text)) for part in parts if part.text.startswith(DIRECTIVE)] == [
        1 for part in parts if part.text.startswith(DIRECTIVE)
    ]
    assert not any(
        names.is_concurrent(statement.tree)
        for part in parts
        if not part.text.startswith(DIRECTIVE)
        for statement in parser.statements(part.text)
    )
