"""The toolkit on MariaDB: what Atlas does there, and what is PostgreSQL's alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.toolkit.lint.mysql import findings
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.sql.concurrently import File
from e2e.cluster import tools
from e2e.ports import free_port
from e2e.scenarios.support.mariadb import MariaDb, mariadb
from e2e.scenarios.support.world import wait_until
from tests.integration.toolkit.conftest import Server, Toolkit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = {"v1": "create table a (id int);"}
BROKEN = {**GOOD, "v2": "create table b (id int);\nalter table missing add c int comment 'hunter2';"}
CORRECTED = {**GOOD, "v2": "create table b (id int);\nalter table b add c int comment 'hunter2';"}


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb("127.0.0.1") as server:
        server.rows("create database dev; grant all on dev.* to shop")
        server.rows("create database old; create table old.t (id int); grant all on old.* to shop")
        yield server


@dataclass
class OnMariaDb(Toolkit):
    """The command line on a database of that server."""

    @classmethod
    def of(cls, maria: MariaDb, folder: Path, database: str = "shop") -> OnMariaDb:
        url = maria.url().rpartition("/")[0]
        return cls(Server(maria.port), database, folder, {"DATABASE_URL": f"{url}/{database}"})


def test_status_validate_and_apply_work_and_a_failed_file_goes_on_after_its_last_good_statement(
    maria: MariaDb, tmp_path: Path
) -> None:
    toolkit = OnMariaDb.of(maria, tmp_path)
    toolkit.write(**BROKEN)
    status = toolkit.run("status", DATABASE_URL=maria.url("mysql"))
    assert (status.code, status.event("status")["pending"]) == (9, ["1_x.sql", "2_x.sql"])
    dev = {"DEV_DATABASE_URL": f"{maria.url().rpartition('/')[0]}/dev"}
    assert [toolkit.run("validate", **given).code for given in ({}, dev)] == [0, 7]
    failed = toolkit.run("apply")
    assert (failed.code, failed.event("failed")["statement"]) == (
        7,
        "alter table missing add c int comment '***';",
    )
    toolkit.write(**CORRECTED)
    assert toolkit.run("validate", **dev).code == 0
    assert toolkit.run("apply").event("finished")["applied"] == 1
    assert toolkit.run("status").code == 0
    assert maria.rows("show columns from b like 'c'")


def test_a_populated_database_needs_a_baseline(maria: MariaDb, tmp_path: Path) -> None:
    toolkit = OnMariaDb.of(maria, tmp_path, "old")
    toolkit.write(**CORRECTED)
    assert toolkit.run("apply").code == 6
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="1").event("finished")["applied"] == 1


def test_a_database_that_golang_migrate_has_migrated(maria: MariaDb, tmp_path: Path) -> None:
    # The tables as golang-migrate 4.20.1 made them on MariaDB 10.11.
    maria.rows(
        "create database gm; grant all on gm.* to shop; create table gm.customers (id bigint primary key)"
    )
    maria.rows(
        "create table gm.schema_migrations (version bigint not null primary key, dirty boolean not null)"
    )
    maria.rows("insert into gm.schema_migrations values (2, 0)")
    source = tmp_path / "db"
    source.mkdir()
    (source / "1_customers.up.sql").write_text("create table customers (id bigint primary key);\n")
    (source / "2_name.up.sql").write_text("alter table customers add column name text;\n")
    (source / "3_note.up.sql").write_text("alter table customers add column note text;\n")
    toolkit = OnMariaDb.of(maria, tmp_path / "migrations", "gm")
    found = toolkit.run("import", "--from", "golang-migrate", str(source))
    assert found.event("baseline")["baseline"] == "000002"
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="000002").event("finished")["applied"] == 1
    assert len(maria.rows("show columns from gm.customers")) == 2
    maria.rows("update gm.schema_migrations set dirty = 1")
    assert "dirty" in toolkit.run("import", "--from", "golang-migrate", str(source)).text
    assert (
        "no table flyway"
        in toolkit.run("import", "--from", "golang-migrate", str(source), "--history", "flyway").text
    )


def test_what_keeps_us_out(maria: MariaDb, tmp_path: Path) -> None:
    toolkit = OnMariaDb.of(maria, tmp_path)
    toolkit.write(**GOOD)
    assert toolkit.run("status", DATABASE_URL=maria.url(password="hunter2")).code == 5
    away = maria.url(port=free_port())
    assert toolkit.run("status", DATABASE_URL=away, MIGRATE_WAIT_TIMEOUT="1s").code == 75


def run_lock(database: str) -> str:
    """The name of the lock of a run, which is one of the server's."""
    return f"'dbupgrade_run_{hashlib.sha256(database.encode()).hexdigest()[:32]}'"


def test_one_run_at_a_time_from_its_first_look(maria: MariaDb, tmp_path: Path) -> None:
    maria.rows("create or replace database runs; grant all on runs.* to shop")
    toolkit = OnMariaDb.of(maria, tmp_path, "runs")
    toolkit.write(**GOOD)
    with maria.session(f"select get_lock({run_lock('runs')}, 0)"):
        failed = toolkit.run("apply", MIGRATE_RUN_LOCK_TIMEOUT="300ms")
        assert (failed.code, failed.event("failed")["failure"]) == (8, "DatabaseLocked"), failed.text
        assert failed.event("waiting_for_lock")
        assert maria.rows("show tables from runs") == []
    gate = "select get_lock('gate', 300);"
    toolkit.write(v2=gate)
    with maria.closed_gate():
        process = toolkit.start("apply")
        wait_until(lambda: maria.rows(WAITING_AT_GATE) != [], "the file waits at the gate")
        (holder,) = maria.rows(f"select is_used_lock({run_lock('runs')})")
        assert holder != "NULL"
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert maria.rows(f"select is_used_lock({run_lock('runs')})") == ["NULL"]


def test_waits_are_limited_and_nothing_is_repeated(maria: MariaDb, tmp_path: Path) -> None:
    maria.rows("create or replace database waits; grant all on waits.* to shop")
    toolkit = OnMariaDb.of(maria, tmp_path, "waits")
    seen = "insert into seen select @@lock_wait_timeout, @@innodb_lock_wait_timeout;"
    toolkit.write(v1="create table seen (tables bigint, row_locks bigint);", v2=seen, v3=seen)
    assert toolkit.run("apply").code == 0
    toolkit.write(v4=seen)
    assert toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="10m").code == 0
    assert maria.rows("select * from waits.seen") == ["5\t5", "5\t5", "600\t50"]
    toolkit.write(v5="alter table seen add column a int;")
    with maria.session("start transaction; select * from waits.seen"):
        failed = toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="1s")
    assert (failed.code, failed.event("failed")["failure"]) == (8, "SQLError"), failed.text
    assert "lock_timeout" not in [event["event"] for event in failed.events]
    assert toolkit.run("apply").event("finished")["applied"] == 1


WAITING_AT_GATE = (
    "select id from information_schema.processlist where info = 'select get_lock(''gate'', 300)'"
)
DEFINED = "create table t (id int primary key, a int not null, note varchar(50), long_note varchar(300), kind enum('x', 'y'));"
BLOCKING = (
    "modify a bigint",
    "modify note varchar(40)",
    "modify kind enum('y', 'x')",
    "add column b int as (a * 2) stored",
    "convert to character set utf16",
    "partition by hash(id) partitions 4",
    "add fulltext index f (note)",
    "drop primary key",
)
HARMLESS = (
    "modify note varchar(63)",
    "modify long_note varchar(400)",
    "modify kind enum('x', 'y', 'z')",
    "modify a int not null default 3",
    "add column b int",
    "add column b int not null default 0 after id",
    "add index i (a), add unique key u (note)",
    "alter column a set default 3",
    "drop primary key, add primary key (id, a)",
)


@pytest.mark.parametrize("change", [*BLOCKING, *HARMLESS])
def test_what_the_lint_says_of_a_change_is_what_the_server_does(maria: MariaDb, change: str) -> None:
    """The server itself refuses a change beside writers that the lint says keeps them waiting, and makes all others."""
    files = [File("1_x.sql", DEFINED), File("2_x.sql", f"alter table t {change};")]
    found = findings(files, {"2_x.sql"}, LintSettings())
    blocks = [each.rule.name for each in found if each.rule.name.startswith("mysql-")]
    assert bool(blocks) is (change in BLOCKING)
    maria.rows(DEFINED.replace("create table t", "create or replace table dev.t"))
    beside_writers = f"set session alter_algorithm = 'INPLACE'; alter online table dev.t {change}"
    if blocks:
        with pytest.raises(subprocess.CalledProcessError):
            maria.rows(beside_writers)
    else:
        maria.rows(beside_writers)


@pytest.mark.parametrize("command", [("lint", "--pending"), ("convert", "--all")])
def test_what_reads_postgresql_only_refuses(maria: MariaDb, tmp_path: Path, command: tuple[str, ...]) -> None:
    toolkit = OnMariaDb.of(maria, tmp_path)
    toolkit.write(v1="alter table a modify id bigint;")
    assert toolkit.run("lint", "--all").code == 10
    refused = toolkit.run(*command)
    assert (refused.code, "supports PostgreSQL only" in refused.text) == (2, True)


def test_a_limit_for_statements_is_refused(maria: MariaDb, tmp_path: Path) -> None:
    toolkit = OnMariaDb.of(maria, tmp_path, "old")
    toolkit.write(v1="create table limited (a int);")
    refused = toolkit.run("apply", MIGRATE_STATEMENT_TIMEOUT="1m")
    assert "remove MIGRATE_STATEMENT_TIMEOUT" in refused.text
    assert refused.code == 2
    assert "limited" not in maria.rows("show tables in old")


def test_the_official_command_line_has_limits_for_waits(maria: MariaDb, tmp_path: Path) -> None:
    """Ours count, and not those of the URL; what is shorter in the server stays."""
    maria.rows(
        "create database limits; grant all on limits.* to shop; create table limits.seen (a int, b int)"
    )
    toolkit = OnMariaDb.of(maria, tmp_path, "limits")
    toolkit.variables |= {"ATLAS_BIN": str(tools.binary("atlas")), "MIGRATE_BASELINE_VERSION": "1"}
    toolkit.variables["DATABASE_URL"] += "?lock_wait_timeout=77"
    toolkit.write(
        v1="select 1;", v2="insert into seen values (@@lock_wait_timeout, @@innodb_lock_wait_timeout);"
    )
    done = toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="60s")
    assert done.code == 0, done.text
    assert maria.rows("select a, b from limits.seen") == ["60\t50"]


def test_a_plan_has_files_and_findings_and_may_need_approval(maria: MariaDb, tmp_path: Path) -> None:
    maria.rows("create or replace database plans; grant all on plans.* to shop")
    toolkit = OnMariaDb.of(maria, tmp_path, "plans")
    toolkit.write(v1="create table a (id int, note text);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="alter table a drop column note;", v3="create table b (id int);")
    asking = {"MIGRATE_APPROVAL": "OnFindings"}
    planned = toolkit.run("plan", **asking)
    plan = planned.event("plan")["plan"]
    assert (planned.code, plan["fileCount"], plan["fromVersion"], plan["toVersion"]) == (13, 2, "1", "3")
    assert plan["asks"].startswith("Lint finds 1 error: 2_x.sql line 1")
    refused = toolkit.run("apply", **asking)
    assert (refused.code, refused.event("failed")["failure"]) == (13, "ApprovalPending")
    assert (
        toolkit.run("apply", **asking, MIGRATE_APPROVED_PLANS=plan["digest"]).event("finished")["applied"]
        == 2
    )


def test_the_preflight_tells_what_a_user_lacks_and_stops_at_a_server_that_only_reads(
    maria: MariaDb, tmp_path: Path
) -> None:
    maria.rows(
        "create database few; create user few@'%' identified by 'secretly'; create table few.there (id int);"
        "grant select, insert, update, create on few.* to few@'%'"
    )
    url = f"mariadb://few:secretly@127.0.0.1:{maria.port}/few"
    variables = {"DATABASE_URL": url, "MIGRATE_BASELINE_VERSION": "0"}
    toolkit = OnMariaDb(Server(maria.port), "few", tmp_path, variables)
    toolkit.write(
        v0="select 1;",
        v1="create table a (id int); insert into a values (1);",
        v2="create temporary table t (id int); drop table t;\nalter table there add b int;",
    )
    done = toolkit.run("apply")
    (told,) = [each for each in done.events if each["event"] == "preflight"]
    assert (told["level"], told["check"]) == ("warning", "privileges")
    assert told["fix"] == "GRANT ALTER, CREATE TEMPORARY TABLES ON `few`.* TO 'few'@'%';"
    assert (done.code, done.event("failed")["file"]) == (7, "2_x.sql")  # as it was told
    maria.rows(told["fix"])
    maria.rows("set global read_only = on")
    try:
        done = toolkit.run("apply")
        assert (done.code, done.event("failed")["failure"]) == (14, "PreflightFailed")
        assert "rejects writes by user few@%" in done.event("failed")["message"]
    finally:
        maria.rows("set global read_only = off")
    done = toolkit.run("apply")
    assert (done.code, [each for each in done.events if each["event"] == "preflight"]) == (0, [])


def blocked_by(maria: MariaDb, folder: Path, database: str) -> dict[str, Any]:
    """What is told of an ALTER TABLE that waits for a transaction which has read the table."""
    maria.rows(f"create or replace database {database}; grant all on {database}.* to shop")
    toolkit = OnMariaDb.of(maria, folder, database)
    toolkit.write(v1="create table orders (id int);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="select 1;\nalter table orders add column total int;")
    reading = "begin; select * from orders"
    with maria.session("; ".join((f"use {database}", reading))):
        process = toolkit.start("apply", MIGRATE_LOCK_TIMEOUT="5m")
        assert process.stdout
        told: dict[str, Any] = next(
            found for found in map(json.loads, process.stdout) if found["event"] in ("blocked", "failed")
        )
    out, err = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in err) == (0, False), (out, err)
    return told


def test_a_lock_that_is_waited_for_is_told(maria: MariaDb, tmp_path: Path) -> None:
    """Without performance_schema, which MariaDB has not by default, it is not known who holds it."""
    told = blocked_by(maria, tmp_path, "waits")
    where = {name: told[name] for name in ("file", "number", "of", "statement", "statements", "line")}
    assert where == {"file": "2_x.sql", "number": 1, "of": 1, "statement": 2, "statements": 2, "line": 2}
    assert told["blockers"] == []
    assert (
        "for a lock; Waiting for table metadata lock; performance_schema with the instrument"
        in told["message"]
    )


def test_a_lock_that_is_waited_for_is_told_with_who_holds_it(tmp_path: Path) -> None:
    options = ("--performance-schema=ON", "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON")
    with mariadb("127.0.0.1", *options) as server:
        server.rows("grant select on performance_schema.* to shop")
        told = blocked_by(server, tmp_path, "waits")
    (blocker,) = told["blockers"]
    assert (told["relation"], blocker["user"]) == ("orders", "root")
    assert f"for a lock on orders, held by pid {blocker['pid']}, user root, " in told["message"]


def test_a_statement_that_takes_long_is_told(maria: MariaDb, tmp_path: Path) -> None:
    maria.rows("create database slow; grant all on slow.* to shop")
    toolkit = OnMariaDb.of(maria, tmp_path, "slow")
    toolkit.write(v1="create table a (id int);\nselect sleep(600);")
    with toolkit.start("apply") as process:
        assert process.stdout
        told = next(found for found in map(json.loads, process.stdout) if found["event"] == "running")
        (sleeper,) = maria.rows(
            "select id from information_schema.processlist where info like 'select sleep(600)%'"
        )
        maria.rows(f"kill query {sleeper}")
        process.communicate(timeout=300)
    assert "1_x.sql (1 of 1): statement 2 of 2 has been running for " in told["message"]
