"""`dbupgrade migrate` on a real PostgreSQL with the real Atlas: what it does, and its exit codes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import tools
from e2e.ports import free_port
from tests.integration.toolkit.conftest import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.toolkit.conftest import Server, Toolkit


def test_from_nothing_to_the_last_file(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id int);")
    status = toolkit.run("status")
    assert (status.code, status.event("status")["pending"]) == (9, ["1_x.sql", "2_x.sql"])
    assert toolkit.fetch("select nspname from pg_namespace where nspname like 'atlas%'") == []
    assert toolkit.run("validate", DATABASE_URL="").code == 0
    applied = toolkit.run("apply")
    assert applied.code == 0
    assert [event["version"] for event in applied.events if event["event"] == "applied"] == ["1", "2"]
    assert applied.event("finished")["applied"] == 2
    assert toolkit.tables() == {"a", "b"}
    assert toolkit.run("status").code == 0
    assert toolkit.run("apply").event("finished")["applied"] == 0


def test_a_database_named_by_its_parts(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int);")
    secret = tmp_path / "password"
    secret.write_text("p@ss:w/rd#?% hunter2\n")
    parts = {
        "DATABASE_URL": "",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(toolkit.server.port),
        "DB_USER": "admin",
        "DB_NAME": toolkit.database,
        "DB_SSLMODE": "disable",
    }
    assert toolkit.run("apply", **parts, DB_PASSWORD_FILE=str(secret), DB_PASSWORD="wrong").code == 0
    assert toolkit.tables() == {"a"}
    assert toolkit.run("status", **parts, DB_PASSWORD="wrong").code == 5


def test_checksums(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);")
    (toolkit.folder / "1_x.sql").write_text("create table changed (id int);")
    assert [toolkit.run(command).code for command in ("validate", "status", "apply")] == [3, 3, 3]
    (toolkit.folder / "atlas.sum").unlink()
    assert [toolkit.run(command).code for command in ("validate", "status", "apply")] == [3, 3, 3]
    assert toolkit.tables() == set()
    assert toolkit.run("hash", ATLAS_BIN="/there/is/none").code == 0
    assert toolkit.run("validate").code == 0
    os.mkfifo(toolkit.folder / "2_y.sql")
    before = (toolkit.folder / "atlas.sum").read_bytes()
    refused = toolkit.run("hash")
    assert refused.event("failed")["file"] == "2_y.sql"
    assert (toolkit.folder / "atlas.sum").read_bytes() == before


def test_hash_needs_no_engine_and_writes_what_engines_check(toolkit: Toolkit) -> None:
    (toolkit.folder / "1_a.sql").write_text("create table a (n int);\n")
    (toolkit.folder / "2_b.sql").write_text("-- atlas:sum ignore\ncreate table b (n int);\n")
    assert toolkit.run("hash", ATLAS_BIN="nowhere").code == 0
    assert [path.name for path in sorted(toolkit.folder.iterdir())] == ["1_a.sql", "2_b.sql", "atlas.sum"]
    for engine in ("engine", "atlas"):
        assert toolkit.run("validate", ATLAS_BIN=str(tools.binary(engine))).code == 0


def test_hash_says_that_it_cannot_write(toolkit: Toolkit) -> None:
    (toolkit.folder / "1_a.sql").write_text("create table a (n int);\n")
    (toolkit.folder / "atlas.sum").mkdir()
    unwritable = toolkit.run("hash")
    assert (unwritable.code, "atlas.sum cannot be written (Is a directory)" in unwritable.text) == (11, True)


@pytest.mark.parametrize("present", [True, False])
def test_a_folder_without_migrations_is_no_success(toolkit: Toolkit, present: bool) -> None:
    if not present:
        toolkit.folder.rmdir()
    assert [toolkit.run(command).code for command in ("hash", "validate", "apply")] == [11, 11, 11]


def test_what_keeps_us_out(toolkit: Toolkit, server: Server) -> None:
    toolkit.write(v1="select 1;")
    assert toolkit.run("status", DATABASE_URL=server.url(toolkit.database, "wrong")).code == 5
    assert toolkit.run("status", DATABASE_URL=server.url("nowhere")).code == 75
    nobody = f"postgres://u@127.0.0.1:{free_port()}/d?sslmode=disable"
    unreachable = toolkit.run("apply", DATABASE_URL=nobody, MIGRATE_WAIT_TIMEOUT="1500ms")
    assert (unreachable.code, unreachable.event("waiting")["reason"]) == (75, "connection refused")
    without_tls = toolkit.run("status", DATABASE_URL=server.url("x").replace("disable", "require"))
    assert (without_tls.code, "the server does not support TLS: " in without_tls.text) == (2, True)
    unknown = f"{server.url(toolkit.database)}&schema=app&pgbouncer=true"
    refused = toolkit.run("status", DATABASE_URL=unknown)
    assert (refused.code, "nor the server knows: pgbouncer, schema (use search_path)" in refused.text) == (
        2,
        True,
    )
    for mode in ("allow", "prefer"):
        other = server.url(toolkit.database).replace("postgres:", "postgresql:").replace("disable", mode)
        assert toolkit.run("status", DATABASE_URL=other).code in {0, 9}
    assert toolkit.run("status", DATABASE_URL="").code == 2
    assert toolkit.run("status", ATLAS_BIN="no-such-atlas").code == 2


def test_a_database_that_comes_later_is_waited_for(toolkit: Toolkit) -> None:
    toolkit.write(v1="select 1;")
    port = free_port()
    away = replace(toolkit.server, port=port).url("postgres")
    with toolkit.start("status", DATABASE_URL=away, MIGRATE_WAIT_TIMEOUT="5m") as process:
        assert process.stdout
        assert "waiting" in process.stdout.readline()
        with running_server(port=port):
            process.communicate(timeout=300)
    assert process.returncode == 9


def test_a_failed_statement(toolkit: Toolkit) -> None:
    toolkit.write(
        v1="create table a (id int);", v2="create table b (id int); insert into a values ('hunter2');"
    )
    failed = toolkit.run("apply")
    assert failed.code == 7
    assert failed.event("failed")["file"] == "2_x.sql"
    assert failed.event("failed")["statement"] == "insert into a values ('***');"
    assert toolkit.tables() == {"a"}
    toolkit.write(v2="create table b (id int);")
    assert toolkit.run("apply").code == 0


def test_the_sql_is_tried_on_a_dev_database(toolkit: Toolkit, server: Server) -> None:
    toolkit.write(v1="create table a (id int);")
    dev = f"{toolkit.database}_dev"
    server.execute("postgres", f"create database {dev}")
    assert toolkit.run("validate", DEV_DATABASE_URL=server.url(dev)).code == 0
    toolkit.write(v2="create role b password 'hunter2' tabl;")
    failed = toolkit.run("validate", DEV_DATABASE_URL=server.url(dev))
    assert (failed.code, "unrecognized role option" in failed.text, "version 2" in failed.text) == (
        7,
        True,
        True,
    )
    assert toolkit.tables() == set()


def test_a_populated_database_needs_a_baseline(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id int);")
    toolkit.execute("create table a (id int)")
    assert toolkit.run("apply").code == 6
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="7").code == 2
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="1").code == 0
    assert toolkit.tables() == {"a", "b"}


def test_a_baseline_of_an_empty_database_skips_nothing(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id int);")
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="1").code == 0
    assert toolkit.tables() == {"a", "b"}


def test_a_baseline_by_command_is_recorded_once(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id int);")
    toolkit.execute("create table a (id int)")
    assert toolkit.run("baseline", "7").code == 2
    assert toolkit.run("baseline", "1").code == 0
    assert toolkit.run("baseline", "2").code == 2
    assert toolkit.run("status").event("status")["pending"] == ["2_x.sql"]
    assert toolkit.run("apply").code == 0


def test_a_lock_is_not_waited_for_without_end(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="alter table a add column b int;")
    with toolkit.hold("lock table a in access share mode"):
        failed = toolkit.run("apply", MIGRATE_LOCK_TIMEOUT="300ms", MIGRATE_DEADLINE="1m")
    assert failed.code == 8
    with toolkit.hold("select pg_advisory_lock(2686470616)"):
        assert toolkit.run("apply", MIGRATE_RUN_LOCK_TIMEOUT="300ms").code == 8
    assert toolkit.run("apply").code == 0


def test_a_history_apart_and_files_that_are_passed_over(toolkit: Toolkit) -> None:
    toolkit.variables["ATLAS_REVISIONS_SCHEMA"] = "history"
    toolkit.write(v1="select 1;", v3="select 3;")
    assert toolkit.run("apply").code == 0
    assert toolkit.fetch("select count(*) from history.atlas_schema_revisions") == [2]
    toolkit.write(v2="select 2;")
    (toolkit.folder / "1_x.sql").unlink()
    assert toolkit.run("hash").code == 0
    status = toolkit.run("status", MIGRATE_EXEC_ORDER="LinearSkip")
    assert status.event("skipped")["file"] == "2_x.sql"
    assert status.event("ahead")["versions"] == ["1"]


def test_rollback_explains(toolkit: Toolkit) -> None:
    answer = toolkit.run("rollback")
    assert (answer.code, "Write a new migration" in answer.text) == (2, True)


def test_lint_needs_no_database_and_has_a_code_of_its_own(toolkit: Toolkit) -> None:
    toolkit.write(v1="drop table a;", v2="create table b (id bigint);")
    assert toolkit.run("lint", "--latest", "1", DATABASE_URL="", ATLAS_BIN="none").code == 0
    found = toolkit.run("lint", DATABASE_URL="")
    assert (found.code, found.event("lint")["findings"][0]["rule"]) == (10, "ban-drop-table")
    assert found.event("no_git")["files"] == 2
    sarif = toolkit.run("lint", "--all", "--format", "sarif", DATABASE_URL="")
    assert (sarif.code, json.loads(sarif.text)["runs"][0]["results"][0]["ruleId"]) == (10, "ban-drop-table")
