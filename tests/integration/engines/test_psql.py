"""The engine Psql on a real PostgreSQL: what is applied, what is refused, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.status import Failure
from dbupgrade.pod.engines.psql.script import SCRIPT
from e2e.ports import free_port
from tests.integration.harness.postgres import PASSWORD, USER

if TYPE_CHECKING:
    from tests.integration.engines.conftest import Outcome, Runner

ONE = {"001_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text);\n"}
TWO = {"002_orders.sql": "CREATE TABLE orders (id int);\nINSERT INTO users VALUES (1, 'one');\n"}
NO_TRANSACTION = "-- dbupgrade:txmode none\n"
BROKEN = """CREATE TABLE items (id int);

INSERT INTO users (id, name)
  VALUES (2, 'hunter2'), (2, 'hunter2');
CREATE TABLE never (id int);
"""


def failure(outcome: Outcome) -> tuple[Failure | None, str | None]:
    return outcome.report.failure, outcome.report.failed_file


def test_files_are_applied_in_order_and_once(any_runner: Runner) -> None:
    first = any_runner.migrate({**TWO, **ONE})
    assert (first.code, first.report.applied, first.report.pending) == (0, 2, 0), first.log
    assert (first.report.from_version, first.report.to_version) == (None, "002")
    again = any_runner.migrate()
    assert (again.code, again.report.applied, again.report.from_version) == (0, 0, "002")
    more = any_runner.migrate({**ONE, **TWO, "003 more (last).sql": "INSERT INTO users VALUES (2);"})
    assert (more.report.applied, more.report.to_version) == (1, "003 more (last)"), more.log
    assert any_runner.query("SELECT count(*) FROM users") == ["2"]
    assert any_runner.history == ["001_users.sql", "002_orders.sql", "003 more (last).sql"]


def test_a_file_that_fails_in_the_middle_is_undone_and_names_its_line(any_runner: Runner) -> None:
    outcome = any_runner.migrate({**ONE, **TWO, "003_items.sql": BROKEN, "004_last.sql": "SELECT 1;"})
    report = outcome.report
    assert outcome.code == 1
    assert failure(outcome) == (Failure.SQL, "003_items.sql")
    assert report.error
    assert report.error.startswith("line 4: duplicate key value violates unique constraint"), report
    assert report.failed_statement == "INSERT INTO users (id, name) VALUES (2, '***'), (2, '***');"
    assert "hunter2" not in repr(report)
    assert (report.applied, report.pending, report.to_version) == (2, 2, "002")
    assert any_runner.tables == ["orders", "users"]
    corrected = any_runner.migrate({**ONE, **TWO, "003_items.sql": "CREATE TABLE items (id int);"})
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


def test_no_files_is_an_error(any_runner: Runner) -> None:
    outcome = any_runner.migrate({"readme.txt": ""})
    assert (outcome.code, outcome.report.failure) == (1, Failure.EMPTY_FOLDER)


@pytest.mark.parametrize(
    "name", ["a'b.sql", "a$(b).sql", 'a"b.sql', "a;b.sql", "a\\b.sql", "é.sql", "a\nb.sql"]
)
def test_a_name_that_could_be_more_than_data_is_refused(runner: Runner, name: str) -> None:
    outcome = runner.migrate({**ONE, name: "SELECT 1;"})
    assert outcome.report.failure is Failure.UNUSABLE_FILE
    assert runner.tables == []


def test_a_database_with_tables_needs_a_baseline(any_runner: Runner) -> None:
    any_runner.query("CREATE TABLE users (id int, name text)")
    assert any_runner.migrate({**ONE, **TWO}).report.failure is Failure.NOT_CLEAN
    assert any_runner.migrate(BASELINE="007").report.failure is Failure.BASELINE_NOT_FOUND
    outcome = any_runner.migrate(BASELINE="001")
    assert (outcome.code, outcome.report.applied, outcome.report.to_version) == (0, 1, "002"), outcome.log
    assert outcome.report.from_version == "001"
    assert any_runner.query("SELECT name, baseline FROM dbupgrade_migrations ORDER BY 1") == [
        "001_users.sql|t",
        "002_orders.sql|f",
    ]
    assert any_runner.migrate(BASELINE="007").code == 0  # counts only for a database without history


def test_a_baseline_passes_nothing_over_in_a_new_database(any_runner: Runner) -> None:
    outcome = any_runner.migrate({**ONE, **TWO}, BASELINE="001")
    assert (outcome.code, outcome.report.applied, outcome.report.from_version) == (0, 2, None), outcome.log
    assert any_runner.tables == ["orders", "users"]


def test_a_search_path_that_leads_elsewhere_begins_no_second_history(runner: Runner) -> None:
    runner.query("CREATE TABLE old (id int)")
    runner.migrate({**ONE, "002.sql": "CREATE TABLE later (id int);"}, BASELINE="001")
    runner.query(f"CREATE SCHEMA first; ALTER DATABASE {runner.database} SET search_path = first, public")
    outcome = runner.migrate(BASELINE="001")
    assert outcome.report.failure is Failure.HISTORY_DIVERGED, outcome.log
    assert outcome.report.error
    assert "dbupgrade_migrations is not in the first schema of the search path" in outcome.report.error
    bound = runner.migrate(PGOPTIONS="-c search_path=public")
    assert (bound.code, bound.report.applied) == (0, 0), bound.log


def test_a_file_whose_end_was_not_recorded_is_not_taken_for_applied(runner: Runner) -> None:
    runner.migrate(ONE)
    runner.query(
        "ALTER TABLE dbupgrade_migrations DISABLE TRIGGER ALL; UPDATE dbupgrade_migrations SET complete = ''"
    )
    assert failure(runner.migrate()) == (Failure.PARTLY_APPLIED, "001_users.sql")


def test_a_first_file_that_fails_leaves_a_database_that_is_clean(runner: Runner) -> None:
    assert runner.migrate({"001.sql": "CREATE TABLE a (id int); SELECT 1/0;"}).code == 1
    assert runner.migrate({"001.sql": "CREATE TABLE a (id int);"}).code == 0


# --- transactions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["COMMIT;", "BEGIN; SELECT 1; COMMIT;", "END;", "COMMIT AND CHAIN;"])
def test_a_file_may_not_commit_by_itself(runner: Runner, ending: str) -> None:
    outcome = runner.migrate(
        {**ONE, "002.sql": f"CREATE TABLE half (id int);\n{ending}\nCREATE TABLE rest (id int);"}
    )
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.tables == ["users"]
    assert runner.history == ["001_users.sql"]


def test_a_file_may_not_roll_back_by_itself(runner: Runner) -> None:
    outcome = runner.migrate({**ONE, "002.sql": "CREATE TABLE half (id int);\nROLLBACK;"})
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.history == ["001_users.sql"]


def test_a_header_opts_out_of_the_transaction(any_runner: Runner) -> None:
    index = f"{NO_TRANSACTION}CREATE INDEX CONCURRENTLY by_name ON users (name);\nVACUUM users;"
    own = "-- by hand\n\n  --  dbupgrade:txmode none  \r\nBEGIN;\nCREATE TABLE own (id int);\nCOMMIT;"
    outcome = any_runner.migrate({**ONE, "002.sql": index, "003.sql": own})
    assert outcome.code == 0, outcome.log
    assert any_runner.tables == ["own", "users"]


def test_a_file_without_a_transaction_that_fails_is_not_run_again_by_itself(runner: Runner) -> None:
    files = {**ONE, "002.sql": f"{NO_TRANSACTION}CREATE TABLE half (id int);\nSELECT 1/0;"}
    outcome = runner.migrate(files)
    assert failure(outcome) == (Failure.SQL, "002.sql")
    assert runner.tables == ["half", "users"]
    assert failure(runner.migrate()) == (Failure.PARTLY_APPLIED, "002.sql")
    runner.query("UPDATE dbupgrade_migrations SET complete = name WHERE name = '002.sql'")
    assert runner.migrate().code == 0


def test_a_file_may_not_leave_its_transaction_open(runner: Runner) -> None:
    outcome = runner.migrate({**ONE, "002.sql": f"{NO_TRANSACTION}BEGIN;\nCREATE TABLE half (id int);"})
    assert failure(outcome) == (Failure.PARTLY_APPLIED, "002.sql"), outcome.log
    assert runner.tables == ["users"]


@pytest.mark.parametrize(
    "header", ["-- dbupgrade:txmode all", "-- dbupgrade:tx none", "-- dbupgrade:txmode none really"]
)
def test_a_header_that_is_none_is_refused(runner: Runner, header: str) -> None:
    outcome = runner.migrate({"001.sql": f"{header}\nCREATE TABLE a (id int);"})
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "001.sql")
    assert runner.tables == []


def test_a_header_counts_only_at_the_head(runner: Runner) -> None:
    outcome = runner.migrate({"001.sql": f"CREATE TABLE a (id int);\n{NO_TRANSACTION}SELECT 1/0;"})
    assert outcome.report.failure is Failure.SQL
    assert runner.tables == []


# --- what a file leaves behind ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaving",
    [
        "SET search_path = '';",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SET client_min_messages = error; SET lock_timeout = 1;",
        "\\set ON_ERROR_STOP off\n",
        "\\set AUTOCOMMIT off\n",
        "\\o /tmp/none\nSELECT 1;",
        "CREATE TEMP TABLE b (id int);",
        "\\q\nSELECT 1/0;",
        "PREPARE p AS SELECT 1;",
        "CREATE ROLE reader_@; SET ROLE reader_@;",
        "SET ROLE pg_monitor;",
        "\\set ECHO all\n\\set QUIET off\n\\timing on\n\\set VERBOSITY verbose\n",
        "\\set SINGLELINE on\n",
    ],
)
def test_what_a_file_sets_does_not_reach_the_next(runner: Runner, leaving: str) -> None:
    leaving = leaving.replace("@", runner.database)
    second = "CREATE TABLE b (id int);\nPREPARE p AS SELECT 1;"
    outcome = runner.migrate({"001.sql": f"CREATE TABLE a (id int);\n{leaving}", "002.sql": second})
    assert outcome.code == 0, outcome.log
    assert runner.tables == ["a", "b"]
    assert failure(
        runner.migrate(
            {"001.sql": f"CREATE TABLE a (id int);\n{leaving}", "002.sql": second, "003.sql": "SELECT 1/0;"}
        )
    ) == (
        Failure.SQL,
        "003.sql",
    )


def test_errors_that_a_file_hides_still_fail_it(runner: Runner) -> None:
    outcome = runner.migrate(
        {**ONE, "002.sql": "\\set ON_ERROR_STOP off\nSELECT 1/0;\nCREATE TABLE b (id int);"}
    )
    assert outcome.code == 1
    assert runner.tables == ["users"]


@pytest.mark.parametrize(
    ("hiding", "line", "told"),
    [
        ("\\set ON_ERROR_ROLLBACK on\nSELECT 1/0;", 3, "division by zero"),
        ("\\i missing.sql", 2, "missing.sql: No such file"),
        ("\\if false\n", 3, "reached EOF without finding closing"),
    ],
)
def test_a_success_that_hides_an_error_is_none(any_runner: Runner, hiding: str, line: int, told: str) -> None:
    text = f"\\set ON_ERROR_STOP off\n{hiding}\n"
    outcome = any_runner.migrate({**ONE, "002.sql": text, "003.sql": "CREATE TABLE never (id int);"})
    assert (outcome.code, *failure(outcome)) == (1, Failure.SQL, "002.sql"), outcome.log
    assert f"line {line}: {told}" in (outcome.report.error or "")
    assert any_runner.tables == ["users"]
    assert any_runner.history == ["001_users.sql"]


def test_without_a_transaction_a_hidden_error_needs_a_person(runner: Runner) -> None:
    text = f"{NO_TRANSACTION}\\set ON_ERROR_STOP off\nSELECT 1/0;\n"
    outcome = runner.migrate({**ONE, "002.sql": text, "003.sql": "CREATE TABLE never (id int);"})
    assert (outcome.code, *failure(outcome)) == (1, Failure.SQL, "002.sql"), outcome.log
    assert failure(runner.migrate()) == (Failure.PARTLY_APPLIED, "002.sql")


@pytest.mark.parametrize(("head", "to"), [("", ""), ("", "postgres"), (NO_TRANSACTION, "postgres")])
def test_a_file_may_not_reconnect(runner: Runner, head: str, to: str) -> None:
    text = f"{head}SELECT 1;\n\\c {to}\nCREATE TEMP TABLE b (id int);"
    outcome = runner.migrate({**ONE, "002.sql": text, "003.sql": "CREATE TABLE never (id int);"})
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.history == ["001_users.sql"]
    assert "never" not in runner.tables


def test_what_follows_a_rollback_or_a_new_connection_is_not_kept(runner: Runner) -> None:
    for leaving in ("ROLLBACK;", "\\c"):
        outcome = runner.migrate({**ONE, "002.sql": f"{leaving}\nCREATE TABLE rest (id int);"})
        assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
        assert runner.tables == ["users"]


def test_files_as_windows_writes_them(any_runner: Runner) -> None:
    rows = "\ufeffCREATE TABLE half (id int);\r\nCOPY half FROM STDIN;\r\n1\r\n2\r\n\\.\r\nSELECT 1;\r\n"
    outcome = any_runner.migrate({"001.sql": rows, "002.sql": f"\ufeff{NO_TRANSACTION}\r\nVACUUM;\r\n"})
    assert outcome.code == 0, outcome.log
    assert any_runner.query("SELECT sum(id) FROM half") == ["3"]


def test_a_file_that_nobody_can_read_is_named(any_runner: Runner) -> None:
    any_runner.write(ONE)
    (any_runner.migrations / "002.sql").mkdir()
    outcome = any_runner.migrate()
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert any_runner.tables == []


# --- the lock ----------------------------------------------------------------------------------------------------


def test_two_runs_on_one_database_apply_each_file_once(runner: Runner) -> None:
    runner.write({**ONE, "002.sql": "SELECT pg_sleep(0.5);\nINSERT INTO users VALUES (7);"})
    both = [runner.start(SCRIPT) for _ in range(2)]
    outcomes = [runner.finish(process) for process in both]
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.log for outcome in outcomes]
    assert sorted(outcome.report.applied or 0 for outcome in outcomes) == [0, 2]


def test_a_lock_that_is_held_is_told(runner: Runner) -> None:
    short = SCRIPT.replace("lock_timeout = '10s'", "lock_timeout = '100ms'")
    assert short != SCRIPT
    runner.write({"001.sql": "SELECT pg_sleep(600);"})
    holder = runner.start(SCRIPT)
    assert holder.stdout
    assert any("begin 001.sql" in line for line in holder.stdout)
    try:
        outcome = runner.finish(runner.start(short))
        assert (outcome.code, outcome.report.failure) == (1, Failure.DATABASE_LOCKED), outcome.log
        outcome = runner.finish(runner.start(SCRIPT, PGOPTIONS="-c statement_timeout=2s"))
        assert (outcome.code, outcome.report.failure) == (1, Failure.DATABASE_LOCKED), outcome.log
    finally:
        holder.terminate()
    # A pod that is asked to end has psql cancel the statement: nothing is left at work in the server.
    ended = runner.finish(holder)
    assert ended.code == 1
    at_work = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    runner.postgres.until(at_work, runner.database, found=False)
    assert runner.history == []


def test_a_connection_that_breaks_in_a_file_leaves_its_end_unknown(runner: Runner) -> None:
    files = {**ONE, "002.sql": "SELECT pg_terminate_backend(pg_backend_pid());"}
    outcome = runner.migrate(files)
    assert failure(outcome) == (Failure.INTERRUPTED, "002.sql"), outcome.log


# --- the connection ----------------------------------------------------------------------------------------------


def test_a_url_is_understood_in_every_part(any_runner: Runner) -> None:
    any_runner.query("CREATE SCHEMA tenant; CREATE TABLE elsewhere (id int)")
    url = f"{any_runner.url}?sslmode=disable&search_path=tenant&connect_timeout=3&application_name=a%20b"
    outcome = any_runner.migrate(ONE, DATABASE_URL=url)
    assert outcome.code == 0, outcome.log
    assert any_runner.query("SELECT count(*) FROM tenant.users") == ["0"]
    assert any_runner.query("SELECT name FROM tenant.dbupgrade_migrations") == ["001_users.sql"]


def test_a_schema_of_the_parts_is_where_all_is_made(runner: Runner) -> None:
    runner.query('CREATE SCHEMA "Tenant"; CREATE TABLE elsewhere (id int)')
    outcome = runner.migrate(ONE, PGOPTIONS='-c search_path="Tenant"')
    assert outcome.code == 0, outcome.log
    assert runner.query('SELECT name FROM "Tenant".dbupgrade_migrations') == ["001_users.sql"]


@pytest.mark.parametrize(
    ("variables", "code", "expected"),
    [
        ({"PGPASSWORD": "wrong"}, 1, Failure.AUTHENTICATION),
        ({"PGUSER": "nobody"}, 1, Failure.AUTHENTICATION),
        ({"PGDATABASE": "absent"}, 75, Failure.DATABASE_UNREACHABLE),
        ({"PGHOST": "absent.invalid"}, 75, Failure.DATABASE_UNREACHABLE),
        ({"PGSSLMODE": "require"}, 1, Failure.CONNECTION_SETTINGS),
        ({"PGSSLMODE": "verify-full"}, 1, Failure.CONNECTION_SETTINGS),
        ({"PGOPTIONS": "-c search_path=absent"}, 1, Failure.CONNECTION_SETTINGS),
        ({"DATABASE_URL": "postgres://u:p@127.0.0.1/d?fancy=1"}, 1, Failure.CONNECTION_SETTINGS),
    ],
)
def test_what_keeps_it_from_the_database(
    runner: Runner, variables: dict[str, str], code: int, expected: Failure
) -> None:
    outcome = runner.migrate(ONE, **variables)
    assert (outcome.code, outcome.report.failure) == (code, expected), outcome.log


def test_a_server_that_does_not_answer_may_be_tried_again(any_runner: Runner) -> None:
    outcome = any_runner.migrate(ONE, PGPORT=str(free_port()))
    assert (outcome.code, outcome.report.failure) == (75, Failure.DATABASE_UNREACHABLE)


def test_rights_that_are_missing_are_told(runner: Runner) -> None:
    runner.query(
        f"CREATE ROLE {runner.database} LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    outcome = runner.migrate(ONE, PGUSER=runner.database, PGPASSWORD="guest")
    assert outcome.report.failure is Failure.AUTHENTICATION, outcome.log
    assert outcome.report.error
    assert "permission denied for schema" in outcome.report.error


def test_no_credential_is_told(any_runner: Runner) -> None:
    statement = f"CREATE ROLE x_{any_runner.database} PASSWORD 'hunter2' NONSENSE;\n"
    for outcome in (
        any_runner.migrate({"001.sql": statement}, DATABASE_URL=any_runner.url),
        any_runner.migrate({"001.sql": "SELECT 1;"}, DATABASE_URL=any_runner.url.replace(USER, "wrong")),
        any_runner.migrate({"001.sql": f"DO $$ BEGIN RAISE EXCEPTION '{PASSWORD}'; END $$;"}),
    ):
        assert outcome.code == 1, outcome.log
        assert "hunter2" not in repr(outcome.report)
        assert PASSWORD not in repr(outcome.report)
