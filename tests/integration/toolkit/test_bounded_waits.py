"""Limits for waits on a real PostgreSQL: nobody queues behind a migration for long, and it gets its lock in the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from e2e.cluster import tools
from tests.integration.harness.pgbouncer import pgbouncer
from tests.integration.toolkit.conftest import PASSWORD, Server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.integration.toolkit.conftest import Toolkit

SQL, LOCKED = 7, 8
TABLE = "create table t (a int);"
ALTER = "alter table t add column b int;"
NO_TRANSACTION = "-- atlas:txmode none\n\n"

SEEN = "insert into seen select current_setting('lock_timeout'), current_setting('statement_timeout');"
WAITING = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
COLUMN = "select attname from pg_attribute where attrelid = 't'::regclass and attname = 'b'"


@pytest.fixture(params=["Atlas", "Psql"])
def both(request: pytest.FixtureRequest, toolkit: Toolkit) -> Toolkit:
    """A database for each engine."""
    toolkit.variables["MIGRATE_ENGINE"] = request.param
    return toolkit


@pytest.fixture
def table_of_both(both: Toolkit) -> Toolkit:
    """The same with a table, and the file that has made it."""
    both.write(v1=TABLE)
    assert both.run("apply").code == 0
    return both


@pytest.fixture
def table(toolkit: Toolkit) -> Toolkit:
    """A database for Atlas with a table, and the file that has made it."""
    toolkit.write(v1=TABLE)
    assert toolkit.run("apply").code == 0
    return toolkit


def event(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """The next event of that name that a running call prints."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("{") and (found := json.loads(line))["event"] == name:
            return dict(found)
    raise AssertionError(f"it has ended without {name}")


class Client(threading.Thread):
    """Executes a statement on the table again and again."""

    def __init__(self, url: str, statement: str) -> None:
        super().__init__(daemon=True)
        self.url, self.statement, self.done, self.stopping = url, statement, 0, False
        self.has_done = threading.Condition()

    def run(self) -> None:
        asyncio.run(self._execute())

    async def _execute(self) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            while not self.stopping:
                await connection.execute(self.statement)
                with self.has_done:
                    self.done += 1
                    self.has_done.notify_all()
                await asyncio.sleep(0.05)
        finally:
            await connection.close()

    def goes_on(self) -> bool:
        """Whether a statement that begins from now on comes to its end."""
        with self.has_done:
            before = self.done
            return self.has_done.wait_for(lambda: self.done > before + 1, timeout=300)


@contextmanager
def client(toolkit: Toolkit, statement: str) -> Iterator[Client]:
    executing = Client(toolkit.server.url(toolkit.database), statement)
    executing.start()
    try:
        yield executing
    finally:
        executing.stopping = True
        executing.join(300)


def test_nobody_waits_behind_a_migration_for_long_and_it_succeeds_in_the_end(table_of_both: Toolkit) -> None:
    table = table_of_both
    table.write(v2=f"create table other (a int); {ALTER}")
    with client(table, "select * from t") as reader:
        with table.hold("select * from t"):
            process = table.start("apply", MIGRATE_LOCK_TIMEOUT="500ms")
            tries = [event(process, "lock_timeout") for _ in range(2)]
            assert reader.goes_on()  # while the session holds its lock, and the migration goes on trying
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert [(one["file"], one["sqlstate"], one["attempt"]) for one in tries] == [
        ("2_x.sql", "55P03", 1),
        ("2_x.sql", "55P03", 2),
    ]
    assert tries[1]["pause"] > tries[0]["pause"]
    assert table.fetch(COLUMN) == ["b"]
    assert table.run("apply").event("finished")["applied"] == 0


def test_a_file_that_gets_no_lock_until_the_deadline_is_undone(table_of_both: Toolkit) -> None:
    table = table_of_both
    table.write(v2="create table before (a int);", v3=f"create table other (a int); {ALTER}")
    with table.hold("select * from t"):
        failed = table.run("apply", MIGRATE_LOCK_TIMEOUT="300ms", MIGRATE_DEADLINE="1m")
    event = failed.event("failed")
    assert (failed.code, event["failure"], event["file"]) == (LOCKED, "LockTimeout", "3_x.sql")
    assert table.tables() - {"dbupgrade_migrations"} == {"t", "before"}
    assert table.run("apply").event("finished")["applied"] == 1


@pytest.mark.parametrize("head", [NO_TRANSACTION, "select 1; commit; "], ids=["none", "own"])
def test_what_was_not_undone_is_not_repeated(table: Toolkit, head: str) -> None:
    table.write(v2=head + ALTER)
    with table.hold("select * from t"):
        failed = table.run("apply", MIGRATE_LOCK_TIMEOUT="300ms")
    assert (failed.code, failed.event("failed")["failure"]) == (LOCKED, "SQLError"), failed.text
    assert "lock_timeout" not in [event["event"] for event in failed.events]


def test_a_deadlock_is_tried_again(table_of_both: Toolkit) -> None:
    table = table_of_both
    table.execute("create table u (a int)")
    table.write(v2="lock table u; select pg_advisory_xact_lock(7); lock table t; insert into t values (2);")
    # The other session never looks for deadlocks, so that the migration is what the server ends.
    statements = ("set deadlock_timeout = '1h'", "begin", "lock table t", "lock table u")
    other = threading.Thread(target=table.execute, args=statements)
    with table.hold("select pg_advisory_lock(7)"):
        process = table.start("apply", MIGRATE_LOCK_TIMEOUT="10m")
        table.until(WAITING)
        other.start()
        table.until(f"{WAITING} offset 1")
    told = event(process, "lock_timeout")
    other.join(300)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, told["sqlstate"]) == (0, "40P01"), output
    assert table.fetch("select a from t") == [2]


@pytest.mark.parametrize("head", ["", NO_TRANSACTION + "select 1;\n"], ids=["alone", "among others"])
def test_a_build_with_concurrently_waits_without_our_limit(table: Toolkit, head: str) -> None:
    table.write(v2=f"{head}create index concurrently t_a on t (a);")
    with table.hold("insert into t values (1)"):
        process = table.start("apply", MIGRATE_LOCK_TIMEOUT="200ms")
        table.until(f"{WAITING} and now() - query_start > '2s'")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert '"lock_timeout"' not in output
    assert table.fetch("select indisvalid from pg_index where indexrelid = 't_a'::regclass") == [True]


def test_a_runner_that_was_killed_while_it_waited_leaves_nothing_in_the_way(table: Toolkit) -> None:
    table.write(v2=ALTER)
    with table.hold("select * from t"):
        process = table.start("apply", MIGRATE_LOCK_TIMEOUT="10m")
        table.until(WAITING)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = table.run("apply")
    process.communicate(timeout=300)
    assert done.code == 0, done.text
    assert table.fetch(COLUMN) == ["b"]
    assert table.run("status").code == 0


@pytest.mark.parametrize(
    ("setting", "options", "variables", "seen"),
    [
        ("", "", {}, "5s"),
        ("alter database {} set lock_timeout = '7s'", "", {}, "7s"),
        ("alter role admin in database {} set lock_timeout = 0", "", {}, "0"),
        ("", "lock_timeout=9s", {}, "9s"),
        ("", "lock_timeout=9s", {"MIGRATE_LOCK_TIMEOUT": "2s"}, "2s"),
        ("alter database {} set lock_timeout = '7s'", "", {"MIGRATE_LOCK_TIMEOUT": "0"}, "0"),
    ],
)
def test_whose_limit_holds(
    both: Toolkit, setting: str, options: str, variables: dict[str, str], seen: str
) -> None:
    both.write(v1="create table seen (lock text, statement text);", v2=SEEN, v3=SEEN)
    if setting:
        both.execute(setting.format(both.database))
    if options:
        url = both.server.url(both.database)
        both.variables["DATABASE_URL"] = f"{url}&options=-c%20{options.replace('=', '%3D')}"
    assert both.run("apply", **variables).code == 0
    assert both.fetch("select lock from seen") == [seen, seen]


def test_limits_hold_through_a_pooler_in_session_mode(both: Toolkit) -> None:
    both.write(v1="create table seen (lock text, statement text);", v2=SEEN, v3=SEEN)
    with pgbouncer(both.server.port, ("admin", PASSWORD), "session") as port:
        url = Server(port).url(both.database)
        done = both.run("apply", DATABASE_URL=url, MIGRATE_STATEMENT_TIMEOUT="1h")
    assert done.code == 0, done.text
    assert both.fetch("select lock || ' ' || statement from seen") == ["5s 1h", "5s 1h"]


def test_a_statement_that_takes_too_long_is_a_failure_of_its_own(table_of_both: Toolkit) -> None:
    table = table_of_both
    table.write(v2="select pg_sleep(600);")
    failed = table.run("apply", MIGRATE_STATEMENT_TIMEOUT="300ms")
    assert (failed.code, failed.event("failed")["failure"]) == (SQL, "StatementTimeout"), failed.text


@pytest.mark.parametrize("text", ["-- dbupgrade:txmode none\n" + ALTER, f"\\echo more\n{ALTER}"])
def test_what_psql_may_have_done_is_not_repeated(toolkit: Toolkit, text: str) -> None:
    toolkit.variables["MIGRATE_ENGINE"] = "Psql"
    toolkit.write(v1=TABLE, v2=text)
    toolkit.execute(TABLE)
    toolkit.variables["MIGRATE_BASELINE_VERSION"] = "1"
    with toolkit.hold("select * from t"):
        failed = toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="300ms")
    assert (failed.code, failed.event("failed")["failure"]) == (LOCKED, "SQLError"), failed.text
    assert "lock_timeout" not in [event["event"] for event in failed.events]


def test_psql_builds_with_concurrently_without_our_limit(toolkit: Toolkit) -> None:
    toolkit.variables |= {"MIGRATE_ENGINE": "Psql", "MIGRATE_BASELINE_VERSION": "1"}
    toolkit.write(v1=TABLE, v2="-- dbupgrade:txmode none\ncreate index concurrently t_a on t (a);")
    toolkit.execute(TABLE)
    with toolkit.hold("insert into t values (1)"):
        process = toolkit.start("apply", MIGRATE_LOCK_TIMEOUT="200ms")
        toolkit.until(f"{WAITING} and now() - query_start > '2s'")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def test_the_official_command_line_has_limits_too(table: Toolkit) -> None:
    table.variables["ATLAS_BIN"] = str(tools.binary("atlas"))
    table.execute("create table seen (lock text, statement text)")
    table.write(v2=SEEN, v3=ALTER)
    with table.hold("select * from t"):
        process = table.start("apply", MIGRATE_STATEMENT_TIMEOUT="1h", MIGRATE_LOCK_TIMEOUT="500ms")
        assert event(process, "lock_timeout")["file"] == "3_x.sql"
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert table.fetch("select lock || ' ' || statement from seen") == ["500ms 1h"]
    assert table.fetch(COLUMN) == ["b"]


def test_the_official_command_line_behind_a_pooler_says_that_it_has_no_limits(toolkit: Toolkit) -> None:
    toolkit.variables["ATLAS_BIN"] = str(tools.binary("atlas"))
    toolkit.write(v1=TABLE)
    with pgbouncer(toolkit.server.port, ("admin", PASSWORD), "session") as port:
        toolkit.variables["DATABASE_URL"] = Server(port).url(toolkit.database)
        refused = toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="500ms")
        assert refused.event("failed")["failure"] == "ConnectionSettings", refused.text
        assert "lockTimeout and statementTimeout would have no effect" in refused.text
        assert toolkit.tables() == set()
        told = toolkit.run(
            "apply"
        )  # a pooler may refuse the search_path that the official CLI asks for as well
    assert "without a limit" in told.event("no_lock_timeout")["message"]


def test_an_index_is_built_while_a_client_writes(table: Toolkit) -> None:
    """The build waits for a transaction that has written to the table, and no write of others waits for the build."""
    table.write(v2=NO_TRANSACTION + "create index concurrently t_a on t (a);")
    with client(table, "insert into t values (2)") as writer, table.hold("insert into t values (1)"):
        process = table.start("apply", MIGRATE_LOCK_TIMEOUT="200ms")
        table.until(WAITING)
        assert writer.goes_on()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert table.fetch("select indisvalid from pg_index where indexrelid = 't_a'::regclass") == [True]
