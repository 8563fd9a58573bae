"""What our engine does beyond Atlas's command line: sessions, the lock, events, and nothing begun that cannot be finished."""

from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.engines.atlas import CLI, OURS
from tests.integration.engines.servers import on_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines.atlas import Database
    from tests.integration.harness.postgres import Postgres

TABLES = (
    "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r'"
    " AND nspname NOT IN ('pg_catalog', 'information_schema', 'atlas_schema_revisions') ORDER BY 1"
)
LEAKS = {
    "1_a.sql": "create schema app;\nset search_path to app;\ncreate table one (id int);\ncreate temp table t (id int);",
    "2_b.sql": "create table two (id int);",
    "3_c.sql": "alter database :name set search_path to app;",
    "4_d.sql": "create table four (id int);",
}


def leaks(database: Database) -> dict[str, str]:
    return {name: text.replace(":name", database.name) for name, text in LEAKS.items()}


def test_settings_end_with_their_file_however_many_files_a_run_takes(
    postgres: Postgres, tmp_path: Path
) -> None:
    found = []
    for name, runs in (("at once", [[]]), ("one by one", [["1"]] * 4)):
        database = on_postgres(postgres, tmp_path / name)
        database.write(leaks(database))
        assert [database.apply(*arguments).code for arguments in runs] == [0] * len(runs)
        found.append(postgres.query(TABLES, database.name))
    assert found == [["app.four", "app.one", "public.two"]] * 2


QUIET = "create temp table t (id int);\ncreate table {name} (id int);\nprepare p as table t;"


@pytest.mark.parametrize(("last", "sessions"), [("", 1), ("\nselect 1;", 2), ("\ndo $$ begin end $$;", 2)])
def test_a_file_that_cannot_have_changed_its_session_lends_it_to_the_next_which_finds_it_new(
    database: Database, last: str, sessions: int
) -> None:
    files = {
        "1_a.sql": QUIET.format(name="a") + last,
        "2_b.sql": QUIET.format(name="b"),
        "3_c.sql": "create table t ();",
    }
    database.write(files)
    found = database.events()
    assert found[-1] | {"time": ""} == {"event": "runEnd", "applied": 3, "time": ""}
    assert len({event["backend"] for event in found if event["event"] == "file"}) == sessions


def test_a_login_that_is_refused_in_mid_run_keeps_the_session_which_the_next_file_finds_reset(
    postgres: Postgres, tmp_path: Path
) -> None:
    """A token of a cloud outlives its quarter of an hour only on connections that are open."""
    database = on_postgres(postgres, tmp_path)
    role = f"app_{database.name}"
    postgres.query(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'first-one'")
    database = replace(
        database, url=f"postgres://{role}:first-one@127.0.0.1:{postgres.port}/{database.name}?sslmode=disable"
    )
    files = {"0_role.sql": f"create schema app;\nalter role {role} nologin;\nselect 1;"}
    for number in range(1, 6):
        files[f"{number}_t.sql"] = f"create table t{number} (id int);\nset search_path to app;"
    database.write(files)
    found = database.events()
    assert found[-1] | {"time": ""} == {"event": "runEnd", "applied": 6, "time": ""}
    assert len({event["backend"] for event in found if event["event"] == "file"}) < len(files)
    assert postgres.query(TABLES, database.name) == [f"public.t{number}" for number in range(1, 6)]


def test_a_transaction_that_a_file_leaves_open_is_committed_as_it_is_told(
    postgres: Postgres, database: Database
) -> None:
    database.write(
        {
            "1_a.sql": "-- atlas:txmode none\n\nbegin;\ncreate table a (id int);",
            "2_b.sql": "create table b ();",
        }
    )
    assert database.apply().report.applied == 2
    assert postgres.query(TABLES, database.name) == ["public.a", "public.b"]
    assert database.apply().report.pending == 0


def test_a_role_that_a_file_sets_needs_no_right_to_the_history(
    postgres: Postgres, database: Database
) -> None:
    role = f"role_{database.name}"
    database.write(
        {
            "1_a.sql": f"create role {role}; grant create, usage on schema public to {role};",
            "2_b.sql": f"set role {role};\ncreate table a (id int);\ncreate table b (id int);",
            "3_c.sql": f"-- atlas:txmode none\n\nset role {role};\ncreate table c (id int);\ncreate table d (id int);",
            "4_d.sql": "create table e (id int);",
        }
    )
    assert database.apply().report.applied == 4
    owners = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = "
    assert postgres.query(f"{owners}'{role}' ORDER BY 1", database.name) == ["a", "b", "c", "d"]


def test_a_role_for_a_transaction_ends_with_it(postgres: Postgres, database: Database) -> None:
    role = f"role_{database.name}"
    database.write(
        {
            "1_a.sql": f"create role {role}; grant create, usage on schema public to {role};",
            "2_b.sql": f"set local role {role};\ncreate table a (id int);\ncreate table b (id int);\ncommit;\ncreate table c (id int);",
        }
    )
    assert database.apply().report.applied == 2
    owners = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = "
    assert postgres.query(f"{owners}'{role}' ORDER BY 1", database.name) == ["a", "b"]


def test_a_role_that_users_begin_with_writes_the_history(postgres: Postgres, database: Database) -> None:
    owner, role = f"owner_{database.name}", f"app_{database.name}"
    statements = (
        f"create role {owner}; create role {role} login password 'hunter2'; grant {owner} to {role}",
        f"alter role {role} set role = {owner}; grant create on database {database.name} to {owner}",
        f"create schema app; grant all on schema app to {owner}",
    )
    postgres.query("; ".join(statements), database.name)
    database = replace(
        database, url=f"postgres://{role}:hunter2@127.0.0.1:{postgres.port}/{database.name}?sslmode=disable"
    )
    database.write(
        {"1_a.sql": f"create table app.a (id int);\nset role {owner};\ncreate table app.b (id int);"}
    )
    outcome = database.apply("--allow-dirty")
    assert outcome.report.applied == 1, outcome.output
    tables = postgres.query(
        "SELECT tableowner FROM pg_tables WHERE schemaname IN ('app', 'atlas_schema_revisions')",
        database.name,
    )
    assert set(tables) == {owner}


def test_a_file_that_ends_our_transaction_itself_is_recorded_as_far_as_it_came(
    postgres: Postgres, database: Database
) -> None:
    text = "create table a (id int);\ncommit;\ncreate table b (id int);"
    database.write({"1_a.sql": f"{text}\nselect nope;"})
    assert database.apply().report.failure is Failure.SQL
    rows = "SELECT applied || '/' || total FROM atlas_schema_revisions.atlas_schema_revisions"
    assert postgres.query(rows, database.name) == ["3/4"]
    database.write({"1_a.sql": f"{text}\nselect 1;"})
    assert database.apply().report.applied == 1
    assert postgres.query(rows, database.name) == ["4/4"]


LATE = {"1_a.sql": "create table a (id int);", "3_c.sql": "create table c (id int);"}


def test_a_file_out_of_order_is_an_error_unless_it_is_asked_for(postgres: Postgres, tmp_path: Path) -> None:
    found = {}
    for order in ("", "linear", "linear-skip", "non-linear"):
        database = on_postgres(postgres, tmp_path / f"order {order}")
        database.write(LATE)
        database.apply()
        database.write({**LATE, "2_b.sql": "create table b (id int);", "4_d.sql": "create table d (id int);"})
        outcome = database.apply(*(["--exec-order", order] if order else []))
        found[order] = (
            outcome.report.failure,
            "".join(row[-1] for row in postgres.query(TABLES, database.name)),
        )
        if outcome.code:
            assert outcome.report.error == (
                "sql/migrate: files were added out of order, below the version of the database: 2_b.sql"
            )
    wrong = (Failure.HISTORY_DIVERGED, "ac")
    assert found == {"": wrong, "linear": wrong, "linear-skip": (None, "acd"), "non-linear": (None, "abcd")}


HALFWAY = "-- atlas:txmode none\n\ncreate table b (id int);\nselect nope;"


def test_a_file_that_stopped_half_way_below_others_is_not_passed_over(
    postgres: Postgres, database: Database
) -> None:
    database.write(LATE)
    database.apply()
    database.write({**LATE, "2_b.sql": HALFWAY, "4_d.sql": "create table d (id int);"})
    assert database.apply("--exec-order", "non-linear").report.failure is Failure.SQL
    database.write({**LATE, "2_b.sql": HALFWAY.replace("nope", "1"), "4_d.sql": "create table d (id int);"})
    for order in ("linear", "linear-skip"):
        found = database.apply("--exec-order", order).report
        assert found.failure is Failure.HISTORY_DIVERGED
        assert "2_b stopped halfway (1 of 2 statements)" in (found.error or "")
    assert database.run("status", "--format", "{{ range .Pending }}{{ .Version }} {{ end }}").output == "2 4 "
    assert database.apply("--exec-order", "non-linear").report.applied == 2
    assert postgres.query(TABLES, database.name) == ["public.a", "public.b", "public.c", "public.d"]


def test_a_file_that_stopped_half_way_and_is_gone_is_an_error(database: Database) -> None:
    database.write(LATE)
    database.apply()
    database.write({**LATE, "2_b.sql": HALFWAY})
    database.apply("--exec-order", "non-linear")
    database.write(LATE)
    assert database.apply("--exec-order", "non-linear").report.failure is Failure.HISTORY_DIVERGED


@pytest.mark.parametrize(
    ("last", "failure"),
    [
        ("create table b (id int);\nselect 'no end;", Failure.SQL),
        ("-- atlas:txmode some\n\ncreate table b (id int);", Failure.UNKNOWN),
    ],
)
def test_nothing_is_begun_when_a_later_file_cannot_be_run(
    postgres: Postgres, database: Database, last: str, failure: Failure
) -> None:
    database.write({"1_a.sql": "create table a (id int);", "2_b.sql": last})
    found = database.apply().report
    assert (found.failure, found.applied) == (failure, 0)
    assert found.error
    assert postgres.query(TABLES, database.name) == []


def test_one_transaction_for_all_files(postgres: Postgres, database: Database) -> None:
    files = {"1_a.sql": "create table a (id int);", "2_b.sql": "create table b (id int);\nselect nope;"}
    database.write(files)
    found = database.apply("--tx-mode", "all").report
    assert (found.failure, found.failed_file) == (Failure.SQL, "2_b.sql")
    assert (found.applied, found.to_version) == (0, None)
    assert postgres.query(TABLES, database.name) == []
    database.write({**files, "2_b.sql": "create table b (id int);"})
    assert database.apply("--tx-mode", "all").report.applied == 2
    assert postgres.query(TABLES, database.name) == ["public.a", "public.b"]


def test_a_dry_run_leaves_no_trace(postgres: Postgres, database: Database) -> None:
    database.write({"1_a.sql": "create table a (id int);"})
    assert database.apply("--dry-run").report.pending == 0
    assert postgres.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'atlas%'", database.name) == []
    assert postgres.query(TABLES, database.name) == []


def test_a_constraint_that_fails_at_the_commit_fails_its_file(postgres: Postgres, database: Database) -> None:
    table = "create table a (id int primary key, b int references a deferrable initially deferred);"
    database.write({"1_a.sql": table, "2_b.sql": "insert into a values (1, 7);", "3_c.sql": "select 1;"})
    found = database.apply().report
    assert (found.failure, found.failed_file, found.failed_statement) == (Failure.SQL, "2_b.sql", "COMMIT")
    assert (found.applied, found.to_version) == (1, "1")
    assert (found.line, found.sqlstate) == (None, "23503")
    assert postgres.query(
        "SELECT version FROM atlas_schema_revisions.atlas_schema_revisions", database.name
    ) == ["1"]


@pytest.mark.parametrize(("first", "second"), [(OURS, OURS), (OURS, CLI), (CLI, OURS)])
def test_the_lock_is_held_from_the_first_look_to_the_end(
    postgres: Postgres, database: Database, first: str, second: str
) -> None:
    """Until the gate opens, a file waits in the middle of the run, and another run for the lock."""
    database.write({"1_a.sql": "create table a (id int);", "2_b.sql": "select pg_advisory_xact_lock(7);"})
    gate = subprocess.Popen(
        ["psql", "--quiet", "--command=select pg_advisory_lock(7)", "--command=select pg_sleep(600)"],
        env={"PATH": "/usr/bin:/bin", **postgres.environment(database.name)},
        stdout=subprocess.DEVNULL,
    )
    waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    try:
        postgres.until("SELECT 1 FROM pg_locks WHERE objid = 7 AND granted", database.name)
        running = database.start("apply", engine=first)
        postgres.until(f"{waits} AND objid = 7", database.name)
        assert (
            database.apply("--lock-timeout", "100ms", engine=second).report.failure is Failure.DATABASE_LOCKED
        )
        assert postgres.query(TABLES, database.name) == ["public.a"]
    finally:
        gate.kill()
        gate.wait()
    sleepers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()"
    postgres.query(sleepers, database.name)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output


def test_events_tell_each_step(database: Database) -> None:
    database.write(
        {
            "1_a.sql": "create table a (id int);\nselect 1;",
            "2_b.sql": "-- atlas:txmode none\n\nselect 1;\n\n  select 'ö',\n    nope from a;",
        }
    )
    found = database.events()
    names = [event["event"] for event in found]
    one, two = ["statement", "statementEnd"] * 2, ["statement", "statementEnd", "statement", "error"]
    assert names == ["run", "file", *one, "fileEnd", "file", *two, "runEnd"]
    assert found[0]["files"] == [
        {"file": "1_a.sql", "version": "1", "statements": 2, "transaction": "file"},
        {"file": "2_b.sql", "version": "2", "statements": 2, "transaction": "none"},
    ]
    files = [event for event in found if event["event"] == "file"]
    assert [event["number"] for event in files] == [1, 2]
    assert files[0]["backend"] != files[1]["backend"]
    starts = [event for event in found if event["event"] == "statement"]
    assert [(event["statement"], event["line"], event["column"]) for event in starts] == [
        (1, 1, 1), (2, 2, 1), (1, 3, 1), (2, 5, 3),
    ]  # fmt: skip
    error = next(event for event in found if event["event"] == "error")
    assert (error["sqlstate"], error["line"], error["column"], error["statement"]) == ("42703", 6, 5, 2)
    assert error["error"] == 'pq: column "nope" does not exist (42703)'
    assert (found[-1]["applied"], "nope" in found[-1]["error"]) == (1, True)
    again = database.events()
    assert [event["skipped"] for event in again if event["event"] == "file"] == [1]


def test_a_reader_that_reads_no_events_stops_nothing(postgres: Postgres, database: Database) -> None:
    database.write({"1_a.sql": "create table a (id int);\n" + "select 1;\n" * 60})
    pipe = database.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        assert database.apply("--events", str(pipe)).report.applied == 1
        assert len(os.read(reader, 65536)) <= 4096
    finally:
        os.close(reader)
    assert postgres.query(TABLES, database.name) == ["public.a"]


def test_a_report_says_where_a_statement_failed_and_how(database: Database) -> None:
    database.write({"1_a.sql": "select 1;\n\nselect 2,\n  nope;"})
    found = database.apply().report
    assert (found.failed_file, found.line, found.sqlstate) == ("1_a.sql", 4, "42703")
    atlas = database.apply(engine=CLI).report
    assert (atlas.failed_file, atlas.line, atlas.sqlstate) == ("1_a.sql", None, None)
    assert atlas.failed_statement == found.failed_statement


def test_validate_tries_the_files_as_apply_runs_them(postgres: Postgres, tmp_path: Path) -> None:
    database, dev = on_postgres(postgres, tmp_path / "one"), on_postgres(postgres, tmp_path / "dev")
    database.variables["DEV_URL"] = dev.url
    database.write(
        {"1_a.sql": "create schema app; set search_path to app;", "2_b.sql": "create table two (id int);"}
    )
    assert database.run("validate").code == 0
    database.write(
        {"1_a.sql": "create table a (id int);", "2_b.sql": "create index concurrently i on a (id);"}
    )
    outcome = database.run("validate")
    assert (outcome.code, "cannot run inside a transaction block (25001)" in outcome.output) == (1, True)
    assert postgres.query(TABLES, dev.name) == []
