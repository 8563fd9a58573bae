"""The engine Psql of the runner on a real PostgreSQL: what is applied, what is refused, and what is told of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.status import Failure
from e2e.ports import free_port
from tests.integration.engines.psql import Runner
from tests.integration.harness.postgres import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines.psql import Outcome
    from tests.integration.harness.postgres import Postgres

ONE = {"001_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text);\n"}
TWO = {"002_orders.sql": "CREATE TABLE orders (id int);\nINSERT INTO users VALUES (1, 'one');\n"}
NO_TRANSACTION = "-- dbupgrade:txmode none\n"
BROKEN = """CREATE TABLE items (id int);

INSERT INTO users (id, name)
  VALUES (2, 'hunter2'), (2, 'hunter2');
CREATE TABLE never (id int);
"""


@pytest.fixture
def runner(postgres: Postgres, tmp_path: Path) -> Runner:
    """The engine Psql with a database of its own."""
    return Runner.create(postgres, tmp_path)


def failure(outcome: Outcome) -> tuple[Failure | None, str | None]:
    return outcome.report.failure, outcome.report.failed_file


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


def test_a_header_opts_out_of_the_transaction(runner: Runner) -> None:
    index = f"{NO_TRANSACTION}CREATE INDEX CONCURRENTLY by_name ON users (name);\nVACUUM users;"
    own = "-- by hand\n\n  --  dbupgrade:txmode none  \r\nBEGIN;\nCREATE TABLE own (id int);\nCOMMIT;"
    outcome = runner.migrate({**ONE, "002.sql": index, "003.sql": own})
    assert outcome.code == 0, outcome.log
    assert runner.tables == ["own", "users"]


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
    assert outcome.code == ExitCode.SQL
    assert runner.tables == ["users"]


@pytest.mark.parametrize(
    ("hiding", "line", "told"),
    [
        ("\\set ON_ERROR_ROLLBACK on\nSELECT 1/0;", 3, "division by zero"),
        ("\\i missing.sql", 2, "missing.sql: No such file"),
        ("\\if false\n", 3, "reached EOF without finding closing"),
    ],
)
def test_a_success_that_hides_an_error_is_none(runner: Runner, hiding: str, line: int, told: str) -> None:
    text = f"\\set ON_ERROR_STOP off\n{hiding}\n"
    outcome = runner.migrate({**ONE, "002.sql": text, "003.sql": "CREATE TABLE never (id int);"})
    assert (outcome.code, *failure(outcome)) == (ExitCode.SQL, Failure.SQL, "002.sql"), outcome.log
    assert f"line {line}: {told}" in (outcome.report.error or "")
    assert runner.tables == ["users"]
    assert runner.history == ["001_users.sql"]


def test_without_a_transaction_a_hidden_error_needs_a_person(runner: Runner) -> None:
    text = f"{NO_TRANSACTION}\\set ON_ERROR_STOP off\nSELECT 1/0;\n"
    outcome = runner.migrate({**ONE, "002.sql": text, "003.sql": "CREATE TABLE never (id int);"})
    assert (outcome.code, *failure(outcome)) == (ExitCode.SQL, Failure.SQL, "002.sql"), outcome.log
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


def test_files_as_windows_writes_them(runner: Runner) -> None:
    rows = "\ufeffCREATE TABLE half (id int);\r\nCOPY half FROM STDIN;\r\n1\r\n2\r\n\\.\r\nSELECT 1;\r\n"
    outcome = runner.migrate({"001.sql": rows, "002.sql": f"\ufeff{NO_TRANSACTION}\r\nVACUUM;\r\n"})
    assert outcome.code == 0, outcome.log
    assert runner.query("SELECT sum(id) FROM half") == ["3"]


def test_a_file_that_nobody_can_read_is_named(runner: Runner) -> None:
    runner.write(ONE)
    (runner.migrations / "002.sql").mkdir()
    outcome = runner.migrate()
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.tables == []


# --- the lock ----------------------------------------------------------------------------------------------------


def test_two_runs_on_one_database_apply_each_file_once(runner: Runner) -> None:
    runner.write({**ONE, "002.sql": "SELECT pg_sleep(0.5);\nINSERT INTO users VALUES (7);"})
    both = {name: runner.start(name, MIGRATE_RUN_LOCK_TIMEOUT="5m") for name in ("one", "other")}
    outcomes = [runner.finish(process, name) for name, process in both.items()]
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.log for outcome in outcomes]
    assert sorted(outcome.report.applied or 0 for outcome in outcomes) == [0, 2]


SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND state = 'active' AND datname = current_database()"
TERMINATED = 143


def test_a_lock_that_is_held_is_told(runner: Runner) -> None:
    runner.write({"001.sql": "SELECT pg_sleep(600);"})
    holder = runner.start()
    runner.until(SLEEPING, ["1"])
    try:
        for url in (runner.url(), runner.url(options="-c statement_timeout=2s")):
            outcome = runner.migrate(DATABASE_URL=url, MIGRATE_RUN_LOCK_TIMEOUT="500ms", report="second")
            expected = (ExitCode.LOCK, Failure.DATABASE_LOCKED)
            assert (outcome.code, outcome.report.failure) == expected, outcome.log
    finally:
        holder.terminate()
    # A pod that is asked to end has psql cancel the statement: nothing is left at work in the server.
    ended = runner.finish(holder)
    assert (ended.code, ended.report.failure) == (TERMINATED, Failure.INTERRUPTED), ended.log
    assert runner.query(SLEEPING) == ["0"]
    assert runner.history == []


def test_nobody_waits_for_the_lock_in_the_server(runner: Runner) -> None:
    """Whoever did would hold up builds with CONCURRENTLY, those of the run that has the lock too."""
    index = "SELECT pg_sleep(2);\nCREATE INDEX CONCURRENTLY i ON users (id);"
    runner.write({**ONE, "002.sql": f"{NO_TRANSACTION}{index}"})
    both = {name: runner.start(name, MIGRATE_RUN_LOCK_TIMEOUT="5m") for name in ("one", "other")}
    outcomes = [runner.finish(process, name) for name, process in both.items()]
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.log for outcome in outcomes]


STUBBORN = """DO $$ BEGIN
  LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;
END $$;
"""


@pytest.mark.parametrize("head", ["", NO_TRANSACTION])
def test_a_statement_that_resists_is_ended_in_the_server(runner: Runner, head: str) -> None:
    runner.write({"001.sql": head + STUBBORN})
    process = runner.start()
    runner.until(SLEEPING, ["1"])
    process.terminate()
    assert runner.finish(process).code == TERMINATED
    runner.until(SLEEPING, ["0"])
    expected = (Failure.PARTLY_APPLIED, "001.sql") if head else (None, None)
    assert failure(runner.migrate({"001.sql": f"{head}SELECT 1;"})) == expected


def test_a_connection_that_breaks_in_a_file_leaves_its_end_unknown(runner: Runner) -> None:
    files = {**ONE, "002.sql": "SELECT pg_terminate_backend(pg_backend_pid());"}
    outcome = runner.migrate(files)
    assert failure(outcome) == (Failure.INTERRUPTED, "002.sql"), outcome.log


LOSE_THE_LOCK = """SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
"""


@pytest.mark.parametrize("after", ["", "SELECT pg_sleep(600);"])
def test_a_run_that_loses_its_lock_commits_nothing(runner: Runner, after: str) -> None:
    text = f"CREATE TABLE half (id int);\n{LOSE_THE_LOCK}{after}"
    outcome = runner.migrate({**ONE, "002.sql": text, "003.sql": "SELECT 1;"})
    assert failure(outcome) == (Failure.INTERRUPTED, "002.sql"), outcome.log
    assert outcome.report.error == "the connection that held the lock of the run was lost"
    runner.until(SLEEPING, ["0"])
    assert runner.tables == ["users"]
    assert runner.history == ["001_users.sql"]


@pytest.mark.parametrize("head", ["", NO_TRANSACTION])
def test_after_a_runner_that_was_killed_the_history_is_true(runner: Runner, head: str) -> None:
    half = f"{head}CREATE TABLE half (id int);"
    runner.write({**ONE, "002.sql": f"{half}\nSELECT pg_sleep(600);\nCREATE TABLE never (id int);"})
    process = runner.start()
    runner.until(SLEEPING, ["1"])
    process.kill()
    process.communicate()
    # In a container, psql ends with its parent. Here it goes on, and nobody tells it to commit.
    runner.query(SLEEPING.replace("count(*)", "pg_terminate_backend(pid)"))
    runner.until("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbupgrade'", ["0"])
    again = runner.migrate({**ONE, "002.sql": half})
    if head:
        assert failure(again) == (Failure.PARTLY_APPLIED, "002.sql"), again.log
    else:
        assert (again.code, again.report.applied) == (0, 1), again.log
    assert runner.tables == ["half", "users"]


# --- what files print --------------------------------------------------------------------------------------------

FORGED = "psql:/migrations/002.sql:99: ERROR:  40P01: deadlock detected"


@pytest.mark.parametrize(
    "printing",
    [
        f"\\echo '{FORGED}'\n\\warn '{FORGED}'\n",
        f"\\warn -n '{FORGED}'\n",
        f"DO $$ BEGIN RAISE NOTICE E'\\n{FORGED}'; END $$;\n",
        '\\echo \'{"event": "failed", "failure": "Cancelled"}\'\n',
        '\\warn \'{"applied": 7, "to_version": "999"}\'\n',
        "\\set LAST_ERROR_SQLSTATE 40P01\n",
        "\\set VERBOSITY sqlstate\n\\set VERBOSITY terse\n",
    ],
)
def test_nothing_that_a_file_prints_is_taken_for_a_report(runner: Runner, printing: str) -> None:
    outcome = runner.migrate({**ONE, "002.sql": f"{printing}SELECT 1/0;"})
    report, line = outcome.report, printing.count("\n") + 1
    assert failure(outcome) == (Failure.SQL, "002.sql"), outcome.log
    assert (report.line, report.sqlstate, report.applied) == (line, "22012", 1), outcome.log
    assert report.error == f"line {line}: division by zero"
    ours = {"connected", "started", "applied", "printed", "failed"}
    assert {event["event"] for event in outcome.events} <= ours
    assert outcome.events[-1]["failure"] == "SQLError"


def test_an_error_that_repeats_psqls_words_is_one_error(runner: Runner) -> None:
    text = f"DO $$ BEGIN RAISE EXCEPTION E'no\\n{FORGED}'; END $$;"
    report = runner.migrate({**ONE, "002.sql": text}).report
    assert (report.failure, report.line, report.sqlstate) == (Failure.SQL, 1, "P0001")


def test_what_a_file_prints_is_in_the_log_masked_and_within_bounds(runner: Runner) -> None:
    says = f"\\echo it is {PASSWORD}\n\\echo say \"hunter2\"\n\\echo 'a\\033[31m'\n"
    rows = "\\o\nSELECT repeat('x', 100000), n FROM generate_series(1, 300) AS n;"
    outcome = runner.migrate({"001.sql": says + rows})
    assert outcome.code == 0, outcome.log
    assert outcome.printed[0] == "it is ***"
    assert "hunter2" not in outcome.log
    assert "\\u001b" not in outcome.log
    assert len(outcome.printed) == 101
    assert outcome.printed[-1] == "more lines, which are not shown"
    assert max(len(line.encode()) for line in outcome.printed) <= 512


VARIABLES = (
    "schema", "holder", "lock", "name", "version", "checksum", "transaction", "mark", "session", "success",
)  # fmt: skip


def test_a_file_may_set_the_variables_of_our_scripts(runner: Runner) -> None:
    setting = "".join(f"\\set dbupgrade_{name} 'x'\n" for name in VARIABLES)
    outcome = runner.migrate({"001.sql": f"{setting}CREATE TABLE a (id int);", "002.sql": "SELECT 1;"})
    assert (outcome.code, outcome.report.applied) == (0, 2), outcome.log
    assert runner.history == ["001.sql", "002.sql"]


@pytest.mark.parametrize("include", ["\\ir parts/a.sql", "\\i parts/a.sql"])
def test_a_file_may_include_another(runner: Runner, include: str) -> None:
    runner.write({"001.sql": include})
    (runner.migrations / "parts").mkdir()
    (runner.migrations / "parts" / "a.sql").write_text("CREATE TABLE a (id int);")
    assert runner.migrate().code == 0
    assert runner.tables == ["a"]


# --- the connection ----------------------------------------------------------------------------------------------


def test_a_url_is_understood_in_every_part(runner: Runner) -> None:
    runner.query("CREATE SCHEMA tenant; CREATE TABLE elsewhere (id int)")
    more = {"sslmode": "disable", "connect_timeout": "3", "application_name": "a b", "channel_binding": "prefer",
            "gssencmode": "disable", "target_session_attrs": "read-write", "options": "-c work_mem=5MB"}  # fmt: skip
    names = "CREATE TABLE seen AS SELECT current_setting('application_name'), current_setting('work_mem') AS memory;"
    url = runner.url(search_path="tenant", **more)
    outcome = runner.migrate({**ONE, "002.sql": names}, DATABASE_URL=url)
    assert outcome.code == 0, outcome.log
    assert runner.query("SELECT count(*) FROM tenant.users") == ["0"]
    assert runner.query("SELECT * FROM tenant.seen") == ["a b|5MB"]
    assert runner.query("SELECT name FROM tenant.dbupgrade_migrations ORDER BY 1") == [
        "001_users.sql",
        "002.sql",
    ]


def test_postgresql_is_the_same_scheme(runner: Runner) -> None:
    url = runner.url().replace("postgres://", "postgresql://")
    assert runner.migrate(ONE, DATABASE_URL=url).code == 0


def test_a_schema_of_the_parts_is_where_all_is_made(runner: Runner) -> None:
    runner.query('CREATE SCHEMA "Tenant"; CREATE TABLE elsewhere (id int)')
    parts = {"DB_HOST": "127.0.0.1", "DB_PORT": str(runner.postgres.port), "DB_NAME": runner.database, "DB_USER": USER,
             "DB_PASSWORD": PASSWORD, "DB_SCHEMA": "Tenant", "DB_SSLMODE": "prefer"}  # fmt: skip
    outcome = runner.migrate(ONE, DATABASE_URL="", **parts)
    assert outcome.code == 0, outcome.log
    assert runner.query('SELECT name FROM "Tenant".dbupgrade_migrations') == ["001_users.sql"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"password": "wrong"}, Failure.AUTHENTICATION),
        ({"user": "nobody"}, Failure.AUTHENTICATION),
        ({"database": "absent"}, Failure.DATABASE_UNREACHABLE),
        ({"sslmode": "require"}, Failure.CONNECTION_SETTINGS),
        ({"sslmode": "verify-full"}, Failure.CONNECTION_SETTINGS),
        ({"search_path": "absent"}, Failure.CONNECTION_SETTINGS),
        ({"fancy": "1"}, Failure.CONNECTION_SETTINGS),
    ],
)
def test_what_keeps_it_from_the_database(runner: Runner, changes: dict[str, str], expected: Failure) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(**changes))
    assert outcome.report.failure is expected, outcome.log


def test_a_server_that_does_not_answer_may_be_tried_again(runner: Runner) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(port=str(free_port())))
    expected = (ExitCode.UNREACHABLE, Failure.DATABASE_UNREACHABLE)
    assert (outcome.code, outcome.report.failure) == expected


def test_another_database_is_refused(runner: Runner) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL="mysql://u:p@127.0.0.1/d")
    assert outcome.report.failure is Failure.CONNECTION_SETTINGS
    assert "PostgreSQL only" in (outcome.report.error or "")


def test_a_machine_without_psql_is_told_so(runner: Runner) -> None:
    outcome = runner.migrate(ONE, PSQL_BIN="/nowhere/psql")
    assert outcome.code == ExitCode.USAGE
    assert "PSQL_BIN" in (outcome.report.error or "")


def test_rights_that_are_missing_are_told(runner: Runner) -> None:
    runner.query(
        f"CREATE ROLE {runner.database} LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(user=runner.database, password="guest"))
    assert outcome.report.failure is Failure.AUTHENTICATION, outcome.log
    assert outcome.report.error
    assert "permission denied for schema" in outcome.report.error


def test_no_credential_is_told(runner: Runner) -> None:
    statement = f"CREATE ROLE x_{runner.database} PASSWORD 'hunter2' NONSENSE;\n"
    for outcome in (
        runner.migrate({"001.sql": statement}),
        runner.migrate({"001.sql": "SELECT 1;"}, DATABASE_URL=runner.url(user="wrong")),
        runner.migrate({"001.sql": f"DO $$ BEGIN RAISE EXCEPTION '{PASSWORD}'; END $$;"}),
        runner.migrate({"001.sql": "\\! env\nSELECT 1/0;"}),
    ):
        assert outcome.code != 0, outcome.log
        assert "hunter2" not in outcome.log + repr(outcome.report)
        assert PASSWORD not in repr(outcome.report)


def test_psql_gets_no_credential_as_an_argument(runner: Runner) -> None:
    outcome = runner.migrate({"001.sql": "\\! tr '\\\\0' ' ' < /proc/$PPID/cmdline\n"})
    assert outcome.code == 0, outcome.log
    assert "--file=" in outcome.printed[0]
    assert runner.database not in outcome.printed[0]


# --- the history -------------------------------------------------------------------------------------------------


def test_the_form_of_the_history(runner: Runner) -> None:
    runner.migrate({**ONE, **TWO})
    columns = (
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'dbupgrade_migrations' ORDER BY ordinal_position"
    )
    assert runner.query(columns) == [
        "name|text|NO",
        "version|text|NO",
        "checksum|text|NO",
        "baseline|boolean|NO",
        "started_at|timestamp with time zone|NO",
        "finished_at|timestamp with time zone|YES",
        "complete|text|YES",
    ]
    row = "SELECT name, version, checksum, complete FROM dbupgrade_migrations ORDER BY 1 LIMIT 1"
    checksum = hashlib.sha256(ONE["001_users.sql"].encode()).hexdigest()
    assert runner.query(row) == [f"001_users.sql|001|{checksum}|001_users.sql"]


def test_a_history_that_was_edited_by_hand_is_refused_in_few_words(runner: Runner) -> None:
    runner.migrate(ONE)
    runner.query(
        "INSERT INTO dbupgrade_migrations (name, version, checksum, complete)"
        " SELECT n, E'\\x1b[31m' || repeat('9', 200000), 'x', n FROM (SELECT '000' || repeat('9', 2000) AS n) AS r"
    )
    outcome = runner.migrate()
    assert outcome.report.failure is Failure.HISTORY_DIVERGED
    assert len(outcome.log) < 4096


ROLES = ("rdsadmin", "supabase_auth_admin", "somebody")


@pytest.mark.parametrize(
    ("sql", "clean"),
    [
        ("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_buffercache", True),
        ("CREATE EXTENSION hstore; CREATE TABLE t (id int); ALTER EXTENSION hstore ADD TABLE t", True),
        ("CREATE TABLE t (id int); ALTER TABLE t OWNER TO rdsadmin", True),
        (
            "CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin; SET ROLE supabase_auth_admin; CREATE TABLE auth.t (id int)",
            True,
        ),
        ("CREATE SCHEMA aws_commons AUTHORIZATION somebody; CREATE TABLE aws_commons.t (id int)", True),
        ("CREATE SCHEMA google_ads; CREATE TABLE google_ads.t (id int)", False),
        ("ALTER SCHEMA public OWNER TO rdsadmin; CREATE TABLE t (id int)", False),
        ("CREATE VIEW v AS SELECT 1", False),
        ("CREATE SCHEMA app; CREATE TABLE app.t (id int)", False),
    ],
)
def test_what_the_provider_has_brought_does_not_count(runner: Runner, sql: str, clean: bool) -> None:
    there = runner.query("SELECT rolname FROM pg_roles")
    for role in set(ROLES) - set(there):
        runner.query(f"CREATE ROLE {role}")
    runner.query(sql)
    outcome = runner.migrate({"001.sql": "CREATE TABLE mine (id int);"})
    assert outcome.report.failure is (None if clean else Failure.NOT_CLEAN), outcome.log
