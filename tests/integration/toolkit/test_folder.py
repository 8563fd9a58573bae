"""Folders that must not be applied as they are, and histories that they do not fit: refused before anything is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.toolkit.history.changes import sums
from e2e.cluster import tools

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Result, Toolkit

COMMANDS = ("validate", "lint", "status", "apply")
EVERYTHING = (
    "select count(*) from pg_class where relnamespace not in ('pg_catalog'::regnamespace, "
    "'information_schema'::regnamespace, 'pg_toast'::regnamespace)"
)
SHAS = "select name from atlas_schema_revisions.dbupgrade_files order by version"


def put(toolkit: Toolkit, **files: str | bytes) -> None:
    """Write files by their names, without the ending, and atlas.sum."""
    for name, data in files.items():
        path = toolkit.folder / f"{name.removeprefix('v')}.sql"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    assert toolkit.run("hash").code in (0, 12)  # there is none where two files have one version


def refused(result: Result) -> tuple[int, str, str]:
    failed = result.event("failed")
    return result.code, failed["failure"], failed["file"]


REFUSED = [
    pytest.param(
        {"v20_a": "create table a (n int);", "v20_b": "create table b (n int);", "v21_z": "select 1;"},
        ("DuplicateVersion", "20_b.sql", "has the same version as 20_a.sql (20)"),
        id="one version, two files",
    ),
    pytest.param(
        {"v1_init.up": "create table a (n int);", "v1_init.down": "drop table a;"},
        (
            "ForeignFormat",
            "1_init.down.sql",
            "is the down file of 1_init.up.sql in the format of golang-migrate",
        ),
        id="up and down files",
    ),
    pytest.param(
        {"v1_a": "create table a (n int);", "v2_b": "-- +goose Up\nselect 1;\n\n-- +goose Down\nselect 2;\n"},
        ("ForeignFormat", "2_b.sql", "2_b.sql:1: is divided into sections of goose"),
        id="sections of goose",
    ),
    pytest.param(
        {"v1_a": b"\xef\xbb\xbfcreate table a (n int);\n"},
        ("UnreadableFile", "1_a.sql", "begins with a byte order mark"),
        id="a byte order mark",
    ),
    pytest.param(
        {"v1_a": "create table a (n int);".encode("utf-16")},
        ("UnreadableFile", "1_a.sql", "is UTF-16: save the file as UTF-8"),
        id="UTF-16",
    ),
    pytest.param(
        {"v1_rates": "create table rate (code text);\ncopy rate (code) from stdin;\neur\n\\.\n"},
        ("UnreadableFile", "1_rates.sql", "1_rates.sql:2: contains data of COPY … FROM stdin"),
        id="the data of COPY",
    ),
    pytest.param(
        {"v1_a": "select 1;\n<<<<<<< HEAD\nselect 2;\n=======\nselect 3;\n>>>>>>> other\n"},
        ("UnreadableFile", "1_a.sql", "1_a.sql:2: contains conflict markers"),
        id="a conflict",
    ),
]


@pytest.mark.parametrize(("files", "told"), REFUSED)
def test_refused_by_every_command_before_anything_is_applied(
    toolkit: Toolkit, files: dict[str, str | bytes], told: tuple[str, str, str]
) -> None:
    failure, file, words = told
    before = toolkit.fetch(EVERYTHING)
    put(toolkit, **files)
    for command in COMMANDS:
        result = toolkit.run(command)
        assert refused(result) == (12, failure, file), (command, result.text)
        assert words in result.event("failed")["message"]
    assert toolkit.fetch(EVERYTHING) == before


def test_a_conflict_in_the_sums_is_one_of_checksums(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);")
    sums = toolkit.folder / "atlas.sum"
    text = sums.read_text()
    sums.write_text(f"<<<<<<< HEAD\n{text}=======\nh1:x\n>>>>>>> other\n")
    for command in COMMANDS:
        result = toolkit.run(command)
        assert refused(result) == (3, "ChecksumMismatch", "atlas.sum"), (command, result.text)
        assert "resolve the conflict" in result.text


def test_valid_sql_that_older_tools_cut_is_applied(toolkit: Toolkit) -> None:
    put(
        toolkit,
        v1_body=(
            "create function sign_of(n int) returns text language sql\nbegin atomic\n"
            "  select case when n < 0 then 'minus' else 'plus' end;\n  select 'last';\nend;\n"
        ),
        v2_path="create table c7 (path text);\ninsert into c7 values ('C:\\');\ninsert into c7 values ('end');\n",
        v3_lines="create table c15 (n int);\r\ninsert into c15 values (1);\r\n",
        v4_index="-- atlas:txmode none\r\n\r\ncreate index concurrently c15_n on c15 (n);\r\n",
    )
    done = toolkit.run("apply")
    assert done.code == 0, done.text
    assert toolkit.fetch("select sign_of(1)") == ["last"]
    assert toolkit.fetch("select path from c7") == ["C:\\", "end"]
    assert toolkit.fetch("select indisvalid from pg_index where indexrelid = 'c15_n'::regclass") == [True]


def test_a_name_in_capitals_is_refused_and_a_subfolder_is_reported(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);")
    (toolkit.folder / "down").mkdir()
    (toolkit.folder / "down" / "1_a.sql").write_text("drop table a;")
    (toolkit.folder / "notes").mkdir()
    for command in ("validate", "apply"):
        result = toolkit.run(command)
        assert (result.code, result.event("ignored")["folder"]) == (0, "down"), result.text
    (toolkit.folder / "2_b.SQL").write_text("create table b (n int);")
    for command in COMMANDS:
        result = toolkit.run(command)
        assert refused(result) == (12, "UnreadableFile", "2_b.SQL"), (command, result.text)
        assert "rename it to 2_b.sql" in result.text


MISREAD = {
    "a nested comment": (
        "/* ж /* b */ c; */ create table a (t text);\n/* a /* b */ c; */ insert into a values ('it''s; so');\n",
        "a comment within a comment is read differently by Atlas",
    ),
    "an escaped quote": (
        "create table a (t text);\ninsert into a values (E'it\\'s; so');\n",
        None,  # Atlas 0.13 takes a backslash for an escape in every literal, and is right here
    ),
    "a comment without a line end": (
        "create table a (t text); insert into a values ('it''s; so'); -- it's done",
        "end the file with a newline",
    ),
    "names with a dollar sign": (
        "create table a (t text, a$b$ int);insert into a values ('it''s; so')",
        "a name with $ in it",
    ),
}


@pytest.mark.parametrize("name", MISREAD)
def test_our_engine_is_told_where_statements_end_that_atlas_would_cut(toolkit: Toolkit, name: str) -> None:
    text, why = MISREAD[name]
    put(toolkit, v1_a=text)
    if why:
        refusing = toolkit.run("apply", ATLAS_BIN=str(tools.binary("atlas")))
        assert refused(refusing) == (12, "MisreadByEngine", "1_a.sql"), refusing.text
        assert why in refusing.text
    assert toolkit.run("validate").code == 0
    done = toolkit.run("apply")
    assert done.code == 0, done.text
    assert toolkit.fetch("select t from a") == ["it's; so"]
    history = "select applied || ' of ' || total from atlas_schema_revisions.atlas_schema_revisions where version = '1'"
    assert toolkit.fetch(history) == ["2 of 2"]


def test_what_is_told_holds_for_parts_and_for_a_dev_database(toolkit: Toolkit) -> None:
    table = "create table a (n int); insert into a values (1);\n/* a /* b */ c; */\n"
    put(toolkit, v1_a=f"-- atlas:txmode none\n\n{table}create index concurrently a_n on a (n);\n")
    toolkit.server.execute("postgres", f"create database {toolkit.database}_dev")
    dev = toolkit.run("validate", DEV_DATABASE_URL=toolkit.server.url(f"{toolkit.database}_dev"))
    assert dev.code == 0, dev.text
    done = toolkit.run("apply")
    assert done.code == 0, done.text
    assert toolkit.fetch("select indisvalid from pg_index where indexrelid = 'a_n'::regclass") == [True]


def test_what_a_file_sets_does_not_reach_the_next(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create schema app; set search_path to app; create table one (n int);")
    put(toolkit, v2_b="create table two (n int);")
    assert toolkit.run("apply").code == 0
    assert toolkit.fetch("select relnamespace::regnamespace::text from pg_class where relname = 'two'") == [
        "public"
    ]


def late(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);", v3_c="create table c (n int);")
    assert toolkit.run("apply").code == 0
    put(toolkit, v2_b="create table b (n int);", v4_d="create table d (n int);")


def test_a_file_out_of_order_is_an_error_that_names_it(toolkit: Toolkit) -> None:
    late(toolkit)
    for command in ("status", "apply"):
        result = toolkit.run(command)
        assert refused(result) == (12, "OutOfOrder", "2_b.sql")
        assert "below 3, the version of the database: give it a higher version" in result.text
    assert toolkit.tables() == {"a", "c"}


def test_a_file_out_of_order_is_passed_over_or_applied_as_asked(toolkit: Toolkit) -> None:
    late(toolkit)
    passed = toolkit.run("apply", MIGRATE_EXEC_ORDER="LinearSkip")
    assert (passed.code, passed.event("skipped")["file"]) == (0, "2_b.sql"), passed.text
    assert toolkit.tables() == {"a", "c", "d"}
    assert toolkit.run("status", MIGRATE_EXEC_ORDER="NonLinear").event("status")["pending"] == ["2_b.sql"]
    applied = toolkit.run("apply", MIGRATE_EXEC_ORDER="NonLinear")
    assert (applied.code, applied.event("finished")["applied"]) == (0, 1)
    assert toolkit.tables() == {"a", "b", "c", "d"}
    assert toolkit.run("status").code == 0  # its hash in the history is explained by the order


def test_an_applied_file_that_was_changed_is_named(toolkit: Toolkit) -> None:
    put(toolkit, v1_t="create table t (a int);", v2_u="create table u (a int);", v3_v="select 3;")
    assert toolkit.run("apply").code == 0
    assert toolkit.fetch(SHAS) == ["1_t.sql", "2_u.sql", "3_v.sql"]
    put(toolkit, v2_u="create table u (a int, b int);", v4_w="create table w (a int);")
    for command in ("status", "apply"):
        result = toolkit.run(command)
        assert refused(result) == (12, "AppliedFileChanged", "2_u.sql")
        assert "2_u.sql: was changed after it was applied" in result.text
    assert toolkit.tables() == {"t", "u"}
    put(toolkit, v2_u="create table u (a int);")
    assert toolkit.run("apply").event("finished")["applied"] == 1


def test_a_change_without_our_hashes_is_this_file_or_an_earlier_one(toolkit: Toolkit) -> None:
    put(toolkit, v1_t="create table t (a int);", v2_u="create table u (a int);", v3_v="select 3;")
    assert toolkit.run("apply").code == 0
    toolkit.execute(
        "delete from atlas_schema_revisions.dbupgrade_files where version >= '2'"
    )  # as after a crash
    put(toolkit, v2_u="create table u (a int, b int);")
    result = toolkit.run("apply")
    assert refused(result) == (12, "AppliedFileChanged", "2_u.sql")
    assert "or an earlier file was changed" in result.text
    put(toolkit, v2_u="create table u (a int);")
    (toolkit.folder / "1_t.sql").unlink()
    put(toolkit)
    ahead = toolkit.run("apply")  # the missing file explains all later hashes
    assert (ahead.code, ahead.event("ahead")["versions"]) == (0, ["1"])
    assert toolkit.fetch(SHAS) == ["1_t.sql", "2_u.sql", "3_v.sql"]


def test_what_was_there_before_the_runner_is_a_warning_once(toolkit: Toolkit) -> None:
    put(toolkit, v1_t="create table t (a int);", v2_u="-- +goose Up\ncreate table u (a int);\n")
    toolkit.execute("create table t (a int)", "create table u (a int)")
    assert toolkit.run("baseline", "1").code == 12
    (toolkit.folder / "2_u.sql").write_text("create table u (a int);\n")
    put(toolkit)
    assert toolkit.run("baseline", "2").code == 0
    put(toolkit, v2_u="-- +goose Up\ncreate table u (a int);\n")
    assert toolkit.run("status").event("old_fault")["failure"] == "ForeignFormat"
    assert toolkit.fetch("select to_regclass('atlas_schema_revisions.dbupgrade_files')::text") == [None]
    first = toolkit.run("apply")
    assert (first.code, first.event("old_fault")["file"]) == (0, "2_u.sql")
    second = toolkit.run("apply")
    assert (second.code, "old_fault" in second.text) == (0, False)
    put(toolkit, v3_v="-- +goose Up\nselect 3;\n")
    assert refused(toolkit.run("apply")) == (12, "ForeignFormat", "3_v.sql")


def test_a_history_edited_by_hand_is_printed_bounded_and_without_control_characters(toolkit: Toolkit) -> None:
    put(toolkit, v1_t="create table t (a int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute(
        "insert into atlas_schema_revisions.atlas_schema_revisions select '9' || chr(27) || repeat('x', 200000), description, "
        "type, applied, total, executed_at, execution_time, error, error_stmt, hash, partial_hashes, operator_version "
        "from atlas_schema_revisions.atlas_schema_revisions"
    )
    for form in ("text", "json"):
        result = toolkit.run("status", "--format", form)
        assert result.code == 0, result.text
        assert "\x1b" not in result.text
        assert "u001b" not in result.text
        assert len(result.text) < 4000


def test_a_user_who_may_not_make_the_table_is_only_warned(toolkit: Toolkit) -> None:
    put(toolkit, v1_t="create table t (a int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute(
        "drop table atlas_schema_revisions.dbupgrade_files",
        "create table atlas_schema_revisions.dbupgrade_files (other int)",
    )
    put(toolkit, v2_u="create table u (a int);")
    done = toolkit.run("apply")
    assert (done.code, done.event("not_recorded")["level"]) == (0, "warning")
    assert toolkit.tables() == {"t", "u"}


def test_a_second_file_of_a_version_that_was_applied_is_left_out(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);", v2_z="create table z (n int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute("drop table atlas_schema_revisions.dbupgrade_files")  # as a database migrated by others
    put(toolkit, v1_b="create table b (n int);", v3_y="create table y (n int);")
    assert toolkit.run("apply").code == 3
    files = sorted((path.name, path.read_bytes()) for path in toolkit.folder.glob("*.sql"))
    (toolkit.folder / "atlas.sum").write_bytes(sums(files))  # as older tools make it
    first = toolkit.run("apply")
    assert (first.code, first.event("old_fault")["file"]) == (0, "1_b.sql"), first.text
    assert toolkit.tables() == {"a", "z", "y"}
    assert toolkit.fetch(SHAS) == ["1_a.sql", "1_b.sql", "2_z.sql", "3_y.sql"]
    second = toolkit.run("apply")
    assert (second.code, "old_fault" in second.text) == (0, False)


def test_a_history_in_a_schema_of_the_application_is_adopted(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute(
        "alter table atlas_schema_revisions.atlas_schema_revisions set schema public",
        "drop schema atlas_schema_revisions cascade",
    )
    put(toolkit, v2_b="create table b (n int);")
    done = toolkit.run("apply", ATLAS_REVISIONS_SCHEMA="public")
    assert (done.code, done.event("finished")["applied"]) == (0, 1)
    assert toolkit.tables() == {"a", "b", "atlas_schema_revisions", "dbupgrade_files"}


def test_an_old_atlas_reads_other_ends_and_knows_no_order(toolkit: Toolkit) -> None:
    toolkit.variables["ATLAS_BIN"] = str(tools.binary("atlas"))
    late(toolkit)
    assert refused(toolkit.run("apply")) == (12, "OutOfOrder", "2_b.sql")
    non_linear = toolkit.run("apply", MIGRATE_EXEC_ORDER="NonLinear")
    assert refused(non_linear) == (12, "OutOfOrder", "2_b.sql")
    assert "this version of Atlas cannot apply it out of order" in non_linear.text
    assert toolkit.run("apply", MIGRATE_EXEC_ORDER="LinearSkip").code == 0
    assert toolkit.tables() == {"a", "c", "d"}
    put(toolkit, v5_f="create function f() returns int language sql begin atomic select 1; select 2; end;\n")
    body = toolkit.run("apply", MIGRATE_EXEC_ORDER="LinearSkip")
    assert refused(body) == (12, "MisreadByEngine", "5_f.sql")
    assert "write the function's body between $$ and $$" in body.text


def test_a_checkpoint_stands_for_the_files_before_it_and_is_never_late(toolkit: Toolkit) -> None:
    checkpoint = "-- atlas:checkpoint\n\ncreate table a (n int);\n"
    put(toolkit, v1_a="create table a (n int);", v2_all=checkpoint, v3_c="create table c (n int);")
    done = toolkit.run("apply")
    assert (done.code, done.event("finished")["applied"]) == (0, 2), done.text
    assert toolkit.run("status").code == 0
    toolkit.execute(
        "update atlas_schema_revisions.atlas_schema_revisions set version = '1' where version = '2'"
    )  # as if it had come after the first file was applied
    assert "OutOfOrder" not in toolkit.run("status").text


def test_a_second_file_of_an_applied_version_is_refused_when_it_is_new(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);")
    assert toolkit.run("apply").code == 0
    (toolkit.folder / "1_b.sql").write_text("create table b (n int);")
    sums_of(toolkit)
    for command in ("status", "apply"):
        result = toolkit.run(command)
        assert refused(result) == (12, "DuplicateVersion", "1_b.sql"), (command, result.text)
    assert toolkit.tables() == {"a"}


def test_a_second_file_of_an_applied_version_is_a_warning_when_it_is_old(toolkit: Toolkit) -> None:
    put(toolkit, v1_a="create table a (n int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute("drop table atlas_schema_revisions.dbupgrade_files")  # as if Atlas had applied it
    (toolkit.folder / "1_b.sql").write_text("create table b (n int);")
    sums_of(toolkit)
    first = toolkit.run("apply")
    assert (first.code, first.event("old_fault")["file"]) == (0, "1_b.sql"), first.text
    again = toolkit.run("apply")
    assert (again.code, "old_fault" in again.text) == (0, False), again.text
    (toolkit.folder / "1_c.sql").write_text("create table c (n int);")
    sums_of(toolkit)
    assert refused(toolkit.run("apply")) == (12, "DuplicateVersion", "1_c.sql")


def sums_of(toolkit: Toolkit) -> None:
    """Write the atlas.sum that Atlas 0.13 would write; our engine refuses to."""
    files = [(path.name, path.read_bytes()) for path in sorted(toolkit.folder.glob("*.sql"))]
    (toolkit.folder / "atlas.sum").write_bytes(sums(files))
