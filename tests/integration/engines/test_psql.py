"""The engine Psql on a real PostgreSQL: what is applied, what is refused, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import NO_TRANSACTION, ONE, TWO, failure

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner

BROKEN = """CREATE TABLE items (id int);

INSERT INTO users (id, name)
  VALUES (2, 'hunter2'), (2, 'hunter2');
CREATE TABLE never (id int);
"""


def test_files_are_applied_in_order_and_once(runner: Runner) -> None:
    first = runner.migrate({**TWO, **ONE})
    assert (first.code, first.report.applied, first.report.pending) == (0, 2, 0), first.log
    assert (first.report.from_version, first.report.to_version) == (None, "002")
    again = runner.migrate()
    assert (again.code, again.report.applied, again.report.from_version) == (0, 0, "002")
    more = runner.migrate({**ONE, **TWO, "003 more (last).sql": "INSERT INTO users VALUES (2);"})
    assert (more.report.applied, more.report.to_version) == (1, "003 more (last)"), more.log
    assert runner.query("SELECT count(*) FROM users") == ["2"]
    assert runner.history == ["001_users.sql", "002_orders.sql", "003 more (last).sql"]


def test_a_file_that_fails_in_the_middle_is_undone_and_names_its_line(runner: Runner) -> None:
    outcome = runner.migrate({**ONE, **TWO, "003_items.sql": BROKEN, "004_last.sql": "SELECT 1;"})
    report = outcome.report
    assert outcome.code == ExitCode.SQL
    assert failure(outcome) == (Failure.SQL, "003_items.sql")
    assert (report.line, report.sqlstate) == (4, "23505")
    assert report.error
    assert report.error.startswith("line 4: duplicate key value violates unique constraint"), report
    assert report.failed_statement == "INSERT INTO users (id, name) VALUES (2, '***'), (2, '***');"
    assert "hunter2" not in repr(report)
    assert (report.applied, report.pending, report.to_version) == (2, 2, "002")
    assert runner.tables == ["orders", "users"]
    corrected = runner.migrate({**ONE, **TWO, "003_items.sql": "CREATE TABLE items (id int);"})
    assert (corrected.code, corrected.report.applied, corrected.report.from_version) == (0, 1, "002")


@pytest.mark.parametrize(
    ("statement", "line", "told"),
    [
        ("\n\nSELEC 1;", 3, "syntax error at or near"),
        ("SELECT * FROM absent;", 1, "does not exist at character 15"),
        ("SELECT 1;\nSELECT 1/0", 2, "division by zero"),
        ("\\unknown", 1, "invalid command"),
        ("\\if true\nSELECT 1;", 2, "without finding closing"),
        (
            "CREATE INDEX CONCURRENTLY i ON users (id);",
            1,
            "cannot run inside a transaction block (let the file begin with `-- dbupgrade:txmode none`)",
        ),
        (
            "COPY users FROM STDIN;\n5\tfive\n\\.\n\nCOPY users FROM STDIN;\nx\ty\n\\.\n",
            7,
            "invalid input syntax",
        ),
    ],
)
def test_what_a_file_can_have_wrong(runner: Runner, statement: str, line: int, told: str) -> None:
    outcome = runner.migrate({**ONE, "002.sql": statement})
    assert failure(outcome) == (Failure.SQL, "002.sql"), outcome.log
    assert outcome.report.error
    assert outcome.report.error.startswith(f"line {line}: ")
    assert told in outcome.report.error
    assert runner.history == ["001_users.sql"]


def test_a_file_that_was_applied_may_not_change(runner: Runner) -> None:
    runner.migrate({**ONE, **TWO})
    changed = {
        **ONE,
        "002_orders.sql": TWO["002_orders.sql"] + "\n",
        "003.sql": "CREATE TABLE never (id int);",
    }
    outcome = runner.migrate(changed)
    assert failure(outcome) == (Failure.FILE_CHANGED, "002_orders.sql")
    assert runner.tables == ["orders", "users"]


def test_files_that_do_not_continue_the_history(runner: Runner) -> None:
    runner.migrate({**ONE, "003.sql": "SELECT 1;"})
    late = runner.migrate({**ONE, **TWO, "003.sql": "SELECT 1;"})
    assert failure(late) == (Failure.HISTORY_DIVERGED, "002_orders.sql")
    missing = runner.migrate({**TWO, "003.sql": "SELECT 1;"})
    assert failure(missing) == (Failure.HISTORY_DIVERGED, "001_users.sql")
    older = runner.migrate(ONE)
    assert (older.code, older.report.applied, older.report.to_version) == (0, 0, "003")


def test_no_files_is_an_error(runner: Runner) -> None:
    outcome = runner.migrate({"readme.txt": ""})
    assert (outcome.code, outcome.report.failure) == (ExitCode.FOLDER, Failure.EMPTY_FOLDER)


@pytest.mark.parametrize(
    "name", ["a'b.sql", "a$(b).sql", 'a"b.sql', "a;b.sql", "a\\b.sql", "é.sql", "a\nb.sql"]
)
def test_a_name_that_could_be_more_than_data_is_refused(runner: Runner, name: str) -> None:
    outcome = runner.migrate({**ONE, name: "SELECT 1;"})
    assert outcome.report.failure is Failure.UNUSABLE_FILE
    assert runner.tables == []


def test_a_database_with_tables_needs_a_baseline(runner: Runner) -> None:
    runner.query("CREATE TABLE users (id int, name text)")
    assert runner.migrate({**ONE, **TWO}).report.failure is Failure.NOT_CLEAN
    assert runner.migrate(MIGRATE_BASELINE_VERSION="007").report.failure is Failure.BASELINE_NOT_FOUND
    outcome = runner.migrate(MIGRATE_BASELINE_VERSION="001")
    assert (outcome.code, outcome.report.applied, outcome.report.to_version) == (0, 1, "002"), outcome.log
    assert outcome.report.from_version == "001"
    assert runner.query("SELECT name, baseline FROM dbupgrade_migrations ORDER BY 1") == [
        "001_users.sql|t",
        "002_orders.sql|f",
    ]
    assert (
        runner.migrate(MIGRATE_BASELINE_VERSION="007").code == 0
    )  # counts only for a database without history


def test_a_baseline_passes_nothing_over_in_a_new_database(runner: Runner) -> None:
    outcome = runner.migrate({**ONE, **TWO}, MIGRATE_BASELINE_VERSION="001")
    assert (outcome.code, outcome.report.applied, outcome.report.from_version) == (0, 2, None), outcome.log
    assert runner.tables == ["orders", "users"]


def test_a_search_path_that_leads_elsewhere_begins_no_second_history(runner: Runner) -> None:
    runner.query("CREATE TABLE old (id int)")
    runner.migrate({**ONE, "002.sql": "CREATE TABLE later (id int);"}, MIGRATE_BASELINE_VERSION="001")
    runner.query(f"CREATE SCHEMA first; ALTER DATABASE {runner.database} SET search_path = first, public")
    outcome = runner.migrate(MIGRATE_BASELINE_VERSION="001")
    assert outcome.report.failure is Failure.HISTORY_DIVERGED, outcome.log
    assert outcome.report.error
    assert "dbupgrade_migrations is not in the first schema of the search path" in outcome.report.error
    bound = runner.migrate(DATABASE_URL=runner.url(options="-c search_path=public"))
    assert (bound.code, bound.report.applied) == (0, 0), bound.log


def test_a_file_whose_end_was_not_recorded_is_not_taken_for_applied(runner: Runner) -> None:
    runner.migrate(ONE)
    runner.query(
        "ALTER TABLE dbupgrade_migrations DISABLE TRIGGER ALL; UPDATE dbupgrade_migrations SET complete = ''"
    )
    assert failure(runner.migrate()) == (Failure.PARTLY_APPLIED, "001_users.sql")


def test_a_first_file_that_fails_leaves_a_database_that_is_clean(runner: Runner) -> None:
    assert runner.migrate({"001.sql": "CREATE TABLE a (id int); SELECT 1/0;"}).code == ExitCode.SQL
    assert runner.migrate({"001.sql": "CREATE TABLE a (id int);"}).code == 0


def test_files_as_windows_writes_them(runner: Runner) -> None:
    rows = "\ufeffCREATE TABLE half (id int);\r\nCOPY half FROM STDIN;\r\n1\r\n2\r\n\\.\r\nSELECT 1;\r\n"
    outcome = runner.migrate({"001.sql": rows, "002.sql": f"\ufeff{NO_TRANSACTION}\r\nVACUUM;\r\n"})
    assert outcome.code == 0, outcome.log
    assert runner.query("SELECT sum(id) FROM half") == ["3"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("002_orders.down.sql", "DROP TABLE users;", Failure.FOREIGN_FORMAT),
        ("002.sql", "SELECT 1;\0DROP TABLE users;", Failure.UNREADABLE_FILE),
    ],
)
def test_a_fault_counts_until_its_file_is_applied(
    runner: Runner, name: str, text: str, expected: Failure
) -> None:
    files = {**ONE, name: text}
    assert failure(runner.migrate(files)) == (expected, name)
    runner.query("CREATE TABLE users (id int)")
    assert failure(runner.migrate(MIGRATE_BASELINE_VERSION="001")) == (expected, name)
    adopted = runner.migrate(MIGRATE_BASELINE_VERSION=name.removesuffix(".sql").partition("_")[0])
    assert adopted.code == 0, adopted.log
    assert "old_fault" in {event["event"] for event in adopted.events}


def test_a_file_that_nobody_can_read_is_named(runner: Runner) -> None:
    runner.write(ONE)
    (runner.migrations / "002.sql").mkdir()
    outcome = runner.migrate()
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.tables == []
