"""The lock of a run around Atlas, on a real PostgreSQL: one run at a time, lost locks, and connection poolers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.toolkit.history.lock import KEY
from tests.integration.harness.pgbouncer import pgbouncer
from tests.integration.toolkit.conftest import PASSWORD, Server

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Toolkit

LOCKED, USAGE = 8, 2
HOLDER = f"""select pid from pg_locks join pg_database d on d.oid = database
where datname = current_database() and locktype = 'advisory' and classid::bigint << 32 | objid::bigint = {KEY}"""  # noqa: S608
WAITING = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
HISTORY = "select 1 from pg_namespace where nspname = 'atlas_schema_revisions'"
INDEX = "create index concurrently t_a on t (a);"


def test_nothing_is_looked_at_while_another_runs(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table t (a int);")
    with toolkit.hold(f"select pg_advisory_lock({KEY})"):
        for command in (("apply",), ("baseline", "1")):
            failed = toolkit.run(*command, MIGRATE_RUN_LOCK_TIMEOUT="300ms")
            assert (failed.code, failed.event("failed")["failure"]) == (LOCKED, "DatabaseLocked"), failed.text
            assert failed.event("waiting_for_lock")
        assert toolkit.fetch(HISTORY) == []
    assert toolkit.run("apply").code == 0


def test_a_file_whose_run_has_lost_the_lock_ends_and_the_next_begins_under_it(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table t (a int);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="insert into t values (1);", v3=INDEX)
    with toolkit.hold("lock table t"):
        process = toolkit.start("apply", MIGRATE_LOCK_TIMEOUT="10m")
        toolkit.until(WAITING)
        toolkit.execute(HOLDER.replace("select pid", "select pg_terminate_backend(pid)"))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert toolkit.fetch("select a from t") == [1]


def test_a_lock_that_somebody_else_has_taken_meanwhile_ends_the_run_before_the_next_file(
    toolkit: Toolkit,
) -> None:
    toolkit.write(v1="create table t (a int);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="insert into t values (1);", v3=INDEX)
    with toolkit.hold("lock table t"):
        process = toolkit.start("apply", MIGRATE_LOCK_TIMEOUT="10m", MIGRATE_RUN_LOCK_TIMEOUT="300ms")
        toolkit.until(WAITING)
        toolkit.execute(HOLDER.replace("select pid", "select pg_terminate_backend(pid)"))
        other = toolkit.hold(f"select pg_advisory_lock({KEY})")
        other.__enter__()
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        other.__exit__(None, None, None)
    assert process.returncode == LOCKED, output
    assert toolkit.fetch("select a from t") == [1]
    assert toolkit.fetch("select 1 from pg_class where relname = 't_a'") == []
    assert toolkit.run("apply").event("finished")["applied"] == 1


def through(toolkit: Toolkit, port: int) -> str:
    return Server(port).url(toolkit.database)


def test_a_pooler_in_session_mode_is_as_good_as_the_server(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table t (a int);", v2=INDEX, v3="insert into t values (1);")
    with pgbouncer(toolkit.server.port, ("admin", PASSWORD), "session") as port:
        done = toolkit.run("apply", DATABASE_URL=through(toolkit, port))
        assert (done.code, done.event("finished")["applied"]) == (0, 3), done.text
        with toolkit.hold(f"select pg_advisory_lock({KEY})"):
            url = through(toolkit, port)
            assert toolkit.run("apply", DATABASE_URL=url, MIGRATE_RUN_LOCK_TIMEOUT="300ms").code == LOCKED


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_in_another_mode_is_refused(toolkit: Toolkit, mode: str) -> None:
    toolkit.write(v1="create table t (a int);")
    with pgbouncer(toolkit.server.port, ("admin", PASSWORD), mode) as port:
        failed = toolkit.run("apply", DATABASE_URL=through(toolkit, port))
        assert (failed.code, failed.event("failed")["failure"]) == (USAGE, "ConnectionSettings"), failed.text
        assert "in session mode" in failed.event("failed")["message"]
        assert toolkit.fetch(HOLDER) == []
    assert toolkit.fetch(HISTORY) == []
