"""The engine Psql on a real PostgreSQL: the lock, and runs that are interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import NO_TRANSACTION, ONE, SLEEPING, failure

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner


def test_two_runs_on_one_database_apply_each_file_once(runner: Runner) -> None:
    runner.write({**ONE, "002.sql": "SELECT pg_sleep(0.5);\nINSERT INTO users VALUES (7);"})
    both = {name: runner.start(name, MIGRATE_RUN_LOCK_TIMEOUT="5m") for name in ("one", "other")}
    outcomes = [runner.finish(process, name) for name, process in both.items()]
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.log for outcome in outcomes]
    assert sorted(outcome.report.applied or 0 for outcome in outcomes) == [0, 2]


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


# A session that is terminated has its locks a moment longer.
LOSE_THE_LOCK = """CREATE TEMP VIEW held AS SELECT pid FROM pg_locks WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT pg_terminate_backend(pid) FROM held;
DO $$ BEGIN WHILE EXISTS (SELECT FROM held) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;
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
