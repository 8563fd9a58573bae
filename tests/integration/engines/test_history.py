"""The history is, row for row, what Atlas's own command line (0.13.1) writes; each goes on where the other stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.engines.atlas import CLI, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines.atlas import Database
    from tests.integration.engines.servers import Server

COLUMNS = (
    "version", "description", "type", "applied", "total", "executed_at", "execution_time", "error", "error_stmt", "hash",
    "partial_hashes", "operator_version",
)  # fmt: skip
FILES = {
    "1_first.sql": "create table a (id int, t varchar(50));\ninsert into a values (1, 'it''s'), (2, 'a;b');",
    "2.sql": "-- atlas:txmode none\n\ncreate table b (id int); -- a comment; it has a semicolon\ncreate table b2 (id int);",
    "3_two words-and_more.sql": "-- atlas:delimiter \\n\\n\n\ncreate table c (id int)\n\ninsert into c values (1);\n\n",
    "4_nothing.sql": "-- only a comment",
    "5_ö.sql": "/* ö */ create table d (ö int);\n\n\n",
    "6_last.sql": "insert into d values (6);",
}
TURNS = {
    "Atlas alone": [CLI] * 6,
    "ours alone": [OURS] * 6,
    "Atlas, ours, Atlas": [CLI, CLI, OURS, OURS, CLI, CLI],
    "ours, Atlas, ours": [OURS, CLI, OURS, CLI, OURS, CLI],
}


def history(server: Server, database: Database) -> list[dict[str, Any]]:
    """Every column of every row; of what no two runs have alike, whether it is there."""
    table = f"{server.schema}.atlas_schema_revisions".removeprefix(".")
    pairs = ", ".join(f"'{column}', {column}" for column in COLUMNS)
    lines = server.rows(database, f"SELECT {server.json}({pairs}) FROM {table} ORDER BY version")  # noqa: S608
    return [
        _comparable(json.loads(line.replace("\\\\", "\\") if not server.schema else line)) for line in lines
    ]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    row["executed_at"] = row["executed_at"][:2]
    row["execution_time"] = row["execution_time"] > 0
    assert row.pop("operator_version") in {"Atlas CLI - development", "DBUpgrade 0.1.0"}
    # What the newer driver says more: the SQLSTATE.
    return row | {"error": row["error"].removesuffix(" (42703)")}


def test_whoever_applies_a_file_the_rows_are_the_same(server: Server, tmp_path: Path) -> None:
    histories = {}
    for name, turns in TURNS.items():
        database = server.database(tmp_path / name)
        database.write(FILES)
        for engine in turns:
            done = database.apply("1", engine=engine)
            assert (done.code, done.report.applied) == (0, 1), done.output
        histories[name] = history(server, database)
    assert [row["version"] for row in histories["Atlas alone"]] == ["1", "2", "3", "4", "5", "6"]
    assert all(found == histories["Atlas alone"] for found in histories.values())


BROKEN = {
    "1_a.sql": "create table a (id int);",
    "2_b.sql": "-- atlas:txmode none\n\ncreate table b (id int);\nselect nope;",
}
CORRECTED = BROKEN | {"2_b.sql": BROKEN["2_b.sql"].replace("nope", "1")}


@pytest.mark.parametrize(("first", "second"), [(CLI, OURS), (OURS, CLI), (OURS, OURS)])
def test_a_file_that_stopped_half_way_goes_on_behind_its_last_good_statement(
    server: Server, tmp_path: Path, first: str, second: str
) -> None:
    database, same = server.database(tmp_path / "one"), server.database(tmp_path / "two")
    for one in (database, same):
        one.write(BROKEN)
    failed = database.apply(engine=first)
    assert (failed.report.failure, failed.report.failed_file) == (Failure.SQL, "2_b.sql")
    same.apply(engine=CLI)
    stopped = history(server, same)
    assert history(server, database) == stopped
    assert (stopped[1]["applied"], stopped[1]["total"], stopped[1]["error_stmt"]) == (1, 2, "select nope;")
    database.write(CORRECTED)
    assert database.apply(engine=second).report.applied == 1
    last = history(server, database)[1]
    assert (last["applied"], last["total"], len(last["partial_hashes"])) == (2, 2, 2)
    assert database.apply(engine=CLI).report.pending == 0


def test_baseline_and_set_are_recorded_alike(server: Server, tmp_path: Path) -> None:
    histories = []
    for engine in (CLI, OURS):
        database = server.database(tmp_path / engine)
        database.write(FILES)
        server.rows(database, "CREATE TABLE old (id int)")
        assert database.apply(engine=engine).report.failure is Failure.NOT_CLEAN
        assert database.apply("1", "--baseline", "4", engine=engine).report.applied == 1
        assert database.run("set", "6", engine=engine).code == 0
        found = history(server, database)
        assert database.run("set", "5", engine=engine).code == 0
        histories.append([*found, *history(server, database)])
    assert histories[0] == histories[1]
    assert [row["type"] for row in histories[0]] == [1, 2, 4, 1, 2]


def test_the_table_is_made_alike(server: Server, tmp_path: Path) -> None:
    found = []
    for engine in (CLI, OURS):
        database = server.database(tmp_path / engine)
        database.write({"1_a.sql": "select 1;"})
        database.apply(engine=engine)
        query = (
            "SELECT column_name, data_type, is_nullable, column_default, character_maximum_length, collation_name FROM"
            " information_schema.columns WHERE table_name = 'atlas_schema_revisions' AND table_schema = SCHEMA_HERE"
            " ORDER BY ordinal_position"
        ).replace("SCHEMA_HERE", server.here)
        found.append(server.rows(database, query))
    assert len(found[0]) == len(COLUMNS)
    assert found[0] == found[1]


def test_a_file_that_was_changed_before_its_last_good_statement_is_refused(
    server: Server, tmp_path: Path
) -> None:
    database = server.database(tmp_path / "one")
    database.write(BROKEN)
    database.apply()
    before = history(server, database)
    for text in ("create table other (id int);\nselect 1;", ""):
        database.write(BROKEN | {"2_b.sql": f"-- atlas:txmode none\n\n{text}"})
        found = database.apply().report
        assert (found.failure, found.applied) == (Failure.HISTORY_DIVERGED, 0)
        assert "statement 1 of file 2_b.sql" in (found.error or "")
    assert history(server, database) == before


def test_a_file_that_gained_statements_is_done_when_they_are(server: Server, tmp_path: Path) -> None:
    """Atlas 0.13.1 keeps the old number of them, and comes back to the file for ever."""
    database = server.database(tmp_path / "one")
    database.write(BROKEN)
    database.apply()
    database.write({**CORRECTED, "2_b.sql": CORRECTED["2_b.sql"] + "\ncreate table b2 (id int);"})
    assert database.apply().report.applied == 1
    assert (history(server, database)[1]["applied"], history(server, database)[1]["total"]) == (3, 3)
    for engine in (OURS, CLI):
        assert database.apply(engine=engine).report.pending == 0
