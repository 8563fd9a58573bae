"""Folders and histories of other tools: what becomes of each file, and how far a database is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.importing import FORMATS, folder
from dbupgrade.toolkit.importing.flyway import checksum
from dbupgrade.toolkit.importing.model import Applied, Found, HistoryError, Migration, Source
from dbupgrade.toolkit.importing.names import duplicates, file_names
from dbupgrade.toolkit.importing.standing import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dbupgrade.toolkit.importing.model import Key, Row


def read(tool: str, files: dict[str, str]) -> Found:
    return FORMATS[tool].read([Source(path, text) for path, text in sorted(files.items())])


CONVERTED = [
    pytest.param(
        "golang-migrate",
        {"1_a.up.sql": "x", "1_a.down.sql": "y", "10_b.up.sql": "z", "note.sql": "", "embed.go": ""},
        {"000001_a.sql": "x", "000010_b.sql": "z"},
        ["1_a.down.sql", "note.sql"],
        id="golang-migrate",
    ),
    pytest.param(
        "golang-migrate",
        {"20250110090000_a_b.up.sql": "x"},
        {"20250110090000_a_b.sql": "x"},
        [],
        id="golang-migrate: timestamps",
    ),
    pytest.param(
        "golang-migrate",
        {"4_shut_down.up.sql": "x"},
        {"000004_shutdown.sql": "x"},
        [],
        id="golang-migrate: a name that would look like that of a down file",
    ),
    pytest.param(
        "flyway",
        {
            "V2__b.sql": "b",
            "old/V1_1__a b.sql": "a",
            "V10__c.sql": "c",
            "U10__c.sql": "d",
            "afterMigrate__x.sql": "",
            "other.sql": "",
            "R__view.sql": "r",
            "R__function.sql": "f",
        },
        {
            "000001.001_a_b.sql": "a",
            "000002.000_b.sql": "b",
            "000010.000_c.sql": "c",
            "000011.000_function.sql": "f",
            "000012.000_view.sql": "r",
        },
        ["U10__c.sql", "afterMigrate__x.sql", "other.sql"],
        id="flyway",
    ),
    pytest.param(
        "flyway",
        {
            "V1__a.sql": "x '${y}'",
            "V1__a.sql.conf": "# x\nplaceholderReplacement=false\nexecuteInTransaction=false\n",
        },
        {"000001_a.sql": "x '${y}'"},
        [],
        id="flyway: settings of a file",
    ),
    pytest.param(
        "goose",
        {
            "00001_a.sql": "-- +goose Up\n-- +goose StatementBegin\nx;\n-- +goose StatementEnd\ny;\n\n-- +goose Down\nz;\n",
            "00002_a_test.go": "",
        },
        {"000001_a.sql": "x;\n\ny;\n"},
        [],
        id="goose",
    ),
    pytest.param(
        "dbmate",
        {
            "20250101_a.sql": "-- migrate:up transaction:true\nx;\n\n-- migrate:down\ny;\n",
            "20250102.sql": "-- migrate:up\nz;",
        },
        {"20250101_a.sql": "x;\n", "20250102.sql": "z;\n"},
        [],
        id="dbmate",
    ),
    pytest.param(
        "liquibase",
        {
            "all.sql": "-- Update Database Script\n\n-- Changeset db/a.xml::b c::ada\nx;\n\ny;\n\n-- Changeset db/a.xml::2::bob\n\n"
            "-- Changeset db/d.sql::1::bob <b@example.com>\nz;\n"
        },
        {"000001_ada_b_c.sql": "x;\n\ny;\n", "000002_bob_b@example.com_1.sql": "z;\n"},
        ["all.sql:8 (db/a.xml::2::bob)"],
        id="liquibase",
    ),
]


@pytest.mark.parametrize(("tool", "files", "expected", "left_out"), CONVERTED)
def test_converted(tool: str, files: dict[str, str], expected: dict[str, str], left_out: list[str]) -> None:
    found = read(tool, files)
    assert found.problems == []
    texts = [migration.text for migration in found.migrations]
    assert dict(zip(file_names(found.migrations), texts, strict=True)) == expected
    assert [each.source for each in found.left_out] == left_out


REFUSED = [
    pytest.param(
        "golang-migrate",
        {"1_a.up.pgsql": ""},
        "1_a.up.pgsql: ends in .pgsql",
        id="golang-migrate: another end",
    ),
    pytest.param("flyway", {"V1__a.java": ""}, "V1__a.java: is a migration in code", id="flyway: Java"),
    pytest.param("flyway", {"R__a.kt": ""}, "R__a.kt: is a migration in code", id="flyway: repeatable code"),
    pytest.param(
        "flyway",
        {"V1__a.sql": "x;\ny ${z};"},
        "V1__a.sql:2: contains the placeholder ${z}",
        id="flyway: placeholder",
    ),
    pytest.param("flyway", {"B3__a.sql": ""}, "B3__a.sql: is a baseline migration", id="flyway: baseline"),
    pytest.param(
        "flyway",
        {"V1__a.sql": "x", "V1__a.sql.conf": "\nencoding=UTF-16"},
        "V1__a.sql.conf:2: has the setting encoding",
        id="flyway: setting",
    ),
    pytest.param("goose", {"00001_a.go": ""}, "00001_a.go: is a migration in Go", id="goose: Go"),
    pytest.param("goose", {"00001_a.sql": "x;"}, "00001_a.sql: has 0 sections", id="goose: no section"),
    pytest.param(
        "goose",
        {"00001_a.sql": "-- +goose Up\n-- +goose ENVSUB ON\nx;"},
        "00001_a.sql:2: has the annotation ENVSUB ON",
        id="goose: environment",
    ),
    pytest.param("dbmate", {"1_a.sql": "x;"}, "1_a.sql: has 0 sections", id="dbmate: no section"),
    pytest.param(
        "dbmate", {"1_a.sql": "-- migrate:up tx:no\nx;"}, "1_a.sql:1: has the option tx", id="dbmate: option"
    ),
    pytest.param(
        "liquibase", {"a.yaml": "", "b.xml": ""}, "a.yaml: is a changelog", id="liquibase: changelog"
    ),
    pytest.param(
        "liquibase",
        {"a.sql": "--liquibase formatted sql\n"},
        "a.sql: is a changelog",
        id="liquibase: formatted SQL",
    ),
    pytest.param(
        "liquibase",
        {"a.sql": "-- Changeset a::1::b\nx;\nINSERT INTO public.databasechangelog (ID) VALUES ('1');\n"},
        "a.sql:3: writes Liquibase's own history",
        id="liquibase: its history",
    ),
]


@pytest.mark.parametrize(("tool", "files", "text"), REFUSED)
def test_refused(tool: str, files: dict[str, str], text: str) -> None:
    [problem] = read(tool, files).problems
    assert problem.text.startswith(text)


def test_what_is_read_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "old/1_a.up.sql").write_bytes(b"\xef\xbb\xbfselect 1;")
    (tmp_path / ".git/2_b.up.sql").write_text("select 2;")
    (tmp_path / "data.bin").write_bytes(b"\xff")
    assert folder.read(tmp_path) == [Source("data.bin", ""), Source("old/1_a.up.sql", "select 1;")]
    (tmp_path / "3_c.up.sql").write_bytes(b"select '\xff';")
    with pytest.raises(FolderError, match=r"3_c.up.sql is not UTF-8"):
        folder.read(tmp_path)
    with pytest.raises(FolderError, match="does not exist"):
        folder.read(tmp_path / "nowhere")


OUTSIDE = [
    ("flyway", {"V1__a.sql": "x", "V1__a.sql.conf": "executeInTransaction = FALSE"}),
    ("goose", {"1_a.sql": "-- +goose no transaction\n-- +goose up\nx;"}),
    ("dbmate", {"1_a.sql": "-- migrate:up transaction:false\nx;"}),
]


@pytest.mark.parametrize(("tool", "files"), OUTSIDE)
def test_outside_of_a_transaction(tool: str, files: dict[str, str]) -> None:
    assert [each.no_transaction for each in read(tool, files).migrations] == [True]


LINES = [
    ("goose", "-- a\n-- +goose Up\n\n-- +goose StatementBegin\nx;\n-- +goose StatementEnd\n", 5),
    ("dbmate", "-- a\n-- migrate:up\n\nx;", 4),
]


@pytest.mark.parametrize(("tool", "text", "line"), LINES)
def test_the_line_on_which_the_sql_begins(tool: str, text: str, line: int) -> None:
    assert read(tool, {"1_a.sql": text}).migrations[0].line == line


NAMES = [
    pytest.param([(1,), (10,)], ["000001", "000010"], id="numbers"),
    pytest.param(
        [(1,), (20250110090000,)], ["00000000000001", "20250110090000"], id="numbers, then timestamps"
    ),
    pytest.param([(1,), (1, 2), (1, 10)], ["000001.000", "000001.002", "000001.010"], id="parts"),
    pytest.param([(2025, 1, 12345)], ["002025.001.12345"], id="a wide part"),
]


@pytest.mark.parametrize(("keys", "versions"), NAMES)
def test_versions_are_in_order_as_text(keys: Sequence[Key], versions: list[str]) -> None:
    names = file_names([Migration(str(key), key, "", "") for key in keys])
    assert names == [f"{version}.sql" for version in versions] == sorted(names)


def test_two_files_of_one_version() -> None:
    found = read("flyway", {"V1__a.sql": "", "V1_0__b.sql": ""})
    assert [each.text for each in duplicates(found.migrations)] == [
        "V1__a.sql: has the same version as V1_0__b.sql: remove one of them"
    ]


def test_the_checksum_of_flyway() -> None:
    # As in flyway_schema_history of the dump in tests/integration/toolkit/histories.
    text = "CREATE INDEX CONCURRENTLY orders_status ON orders (status);"
    assert [checksum(text + end) for end in ("", "\n", "\r\n", "\r")] == [1503193383] * 4
    view = "CREATE OR REPLACE VIEW open_orders AS SELECT * FROM orders WHERE status = 'new';\n"
    assert checksum(view) == 1076790981


HISTORY: list[object] = [
    pytest.param("golang-migrate", [], Applied(), id="golang-migrate: nothing"),
    pytest.param("golang-migrate", [["3", "0"]], Applied({"3": ""}, (3,), (3,)), id="golang-migrate"),
    pytest.param(
        "flyway",
        [
            [None, "SCHEMA", "s", None, "1"],
            ["1", "BASELINE", "<<baseline>>", None, "1"],
            ["1.10", "SQL", "a", "-7", "1"],
            ["2", "SQL", "b", "8", "1"],
            [None, "SQL", "R__v.sql", "9", "1"],
            ["2", "UNDO_SQL", "U2__b.sql", "8", "1"],
        ],
        Applied({"1.10": "-7"}, (1,), (1, 10)),
        id="flyway",
    ),
    pytest.param(
        "flyway", [["3.0", "SQL", "a", "1", "1"]], Applied({"3": "1"}, None, (3,)), id="flyway: 3.0"
    ),
    pytest.param(
        "goose",
        [["0", "1"], ["1", "1"], ["2", "1"], ["2", "0"]],
        Applied({"1": ""}, None, (1,)),
        id="goose: one was undone",
    ),
    pytest.param("dbmate", [["20250101"]], Applied({"20250101": ""}, None, (20250101,)), id="dbmate"),
    pytest.param(
        "liquibase",
        [["1", "bob", "classpath:db/a.xml", "EXECUTED"], ["2", "bob", "db/a.xml", "MARK_RAN"]],
        Applied({"db/a.xml::1::bob": "", "db/a.xml::2::bob": ""}),
        id="liquibase",
    ),
]


@pytest.mark.parametrize(("tool", "rows", "applied"), HISTORY)
def test_a_history(tool: str, rows: Sequence[Row], applied: Applied) -> None:
    assert FORMATS[tool].applied(rows) == applied


FAILED = [
    ("golang-migrate", ["3", "1"], "migrate force"),
    ("flyway", ["3", "SQL", "V3__a.sql", "1", "0"], "flyway repair"),
    ("liquibase", ["1", "bob", "a.xml", "FAILED"], "liquibase update"),
]


@pytest.mark.parametrize(("tool", "row", "text"), FAILED)
def test_a_failed_migration(tool: str, row: Row, text: str) -> None:
    with pytest.raises(HistoryError, match=text):
        FORMATS[tool].applied([row])


FOLDER = [
    Migration("a", (1,), "a", "", "1", "c1"),
    Migration("b", (2,), "b", "", "2", "c2"),
    Migration("r", (3,), "r", ""),
]
STANDING = [
    pytest.param(Applied(), Standing(0, ()), id="nothing"),
    pytest.param(Applied({"1": "c1"}, last=(1,)), Standing(1, ()), id="the first"),
    pytest.param(
        Applied({"1": "c1", "2": ""}, last=(2,)), Standing(2, ()), id="both; what is repeatable is not"
    ),
    pytest.param(Applied({"2": "c2"}, (1,), (2,)), Standing(2, ()), id="behind a baseline"),
    pytest.param(Applied({"0": "", "1": "c1"}, last=(1,)), Standing(1, ("0",)), id="an old file is gone"),
]


@pytest.mark.parametrize(("applied", "found"), STANDING)
def test_how_far_a_database_is(applied: Applied, found: Standing) -> None:
    assert standing(FOLDER, applied) == found


NOT_TAKEN = [
    pytest.param(
        Applied({"2": "c2"}, last=(2,)), "never applied, although b was, which comes later: a.", id="a gap"
    ),
    pytest.param(Applied({"1": "", "3": ""}, last=(3,)), "applied, but not in the folder: 3.", id="ahead"),
    pytest.param(Applied({"x": ""}), "applied, but not in the folder: x.", id="another folder"),
    pytest.param(Applied({"1": "other"}, last=(1,)), "changed after it was applied: a.", id="changed"),
]


@pytest.mark.parametrize(("applied", "text"), NOT_TAKEN)
def test_a_database_that_cannot_be_taken_over(applied: Applied, text: str) -> None:
    with pytest.raises(HistoryError, match=text):
        standing(FOLDER, applied)
