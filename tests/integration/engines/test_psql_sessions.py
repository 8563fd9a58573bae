"""The engine Psql on a real PostgreSQL: the transaction and the session that each file has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import NO_TRANSACTION, ONE, failure

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner


@pytest.mark.parametrize("ending", ["COMMIT;", "BEGIN; SELECT 1; COMMIT;", "END;", "COMMIT AND CHAIN;"])
def test_a_file_may_not_commit_by_itself(runner: Runner, ending: str) -> None:
    outcome = runner.migrate(
        {**ONE, "002.sql": f"CREATE TABLE half (id int);\n{ending}\nCREATE TABLE rest (id int);"}
    )
    assert failure(outcome) == (Failure.UNUSABLE_FILE, "002.sql"), outcome.log
    assert runner.tables == ["users"]
    assert runner.history == ["001_users.sql"]


def test_what_fails_only_at_the_end_has_its_sqlstate_and_its_names(runner: Runner) -> None:
    tables = "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO b VALUES (1);"
    outcome = runner.migrate({**ONE, "002.sql": tables})
    assert failure(outcome) == (Failure.SQL, "002.sql"), outcome.log
    assert (outcome.report.sqlstate, outcome.report.line) == ("23503", None)
    assert (outcome.report.error or "").startswith(
        'insert or update on table "b" violates foreign key constraint'
    )
    assert runner.tables == ["users"]


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
    assert (outcome.report.error, outcome.report.sqlstate) == ("line 2: division by zero", None)
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


@pytest.mark.parametrize("command", ["sleep 600 &", "setsid sleep 600 &"])
def test_nobody_waits_for_a_shell_command_that_a_file_has_left_running(runner: Runner, command: str) -> None:
    outcome = runner.migrate({"001.sql": f"\\! {command}\n", "002.sql": "SELECT 1;"})
    assert (outcome.code, outcome.report.applied) == (0, 2), outcome.log


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
