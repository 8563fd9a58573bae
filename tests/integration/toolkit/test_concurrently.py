"""CONCURRENTLY on a real PostgreSQL: at apply and by `convert`, and what failed builds leave."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from e2e.cluster import tools

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Toolkit

TABLE = "create table t (a int);"
MIXED = (
    "alter table t add column b int;\nCREATE INDEX  concurrently IF NOT EXISTS t_b ON t (b);\n"
    "insert into t values (1, 1);\n"
)
VALID = "select indexrelid::regclass::text || ' ' || indisvalid from pg_index where indexrelid::regclass::text like 't\\_%'"


DROPPING = "select pid from pg_stat_activity where query like 'drop index concurrently%' and wait_event_type = 'Lock'"


def plain_atlas(toolkit: Toolkit) -> str:
    command = [str(tools.binary("engine")), "migrate", "status", "--dir", f"file://{toolkit.folder}"]
    return subprocess.run(
        [*command, "--url", toolkit.server.url(toolkit.database), "--format", "{{ .Status }}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_file_with_more_than_one_step_is_applied_in_parts(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2=MIXED, v3="select 3;")
    applied = toolkit.run("apply")
    assert applied.code == 0, applied.text
    assert applied.event("converted")["parts"] == ["2_x.sql", "2a_x.sql", "2b_x.sql"]
    assert toolkit.fetch(VALID) == ["t_b true"]
    assert toolkit.fetch("select b from t") == [1]
    assert toolkit.run("status").code == 0
    assert plain_atlas(toolkit) == "OK"
    assert toolkit.run("apply").event("finished")["applied"] == 0


def test_what_was_applied_in_one_piece_is_not_applied_in_parts(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2=MIXED)
    toolkit.execute(TABLE, *MIXED.split(";\n")[:-1])
    assert toolkit.run("baseline", "2").code == 0
    assert toolkit.run("status").code == 0
    toolkit.write(v3="select 3;")
    assert toolkit.run("apply").event("finished")["applied"] == 1
    assert toolkit.fetch("select count(*) from t") == [1]


def test_a_baseline_at_apply_has_no_parts(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2=MIXED, v3="drop index concurrently t_b; select 3;")
    (toolkit.folder / "2_x.sql").rename(toolkit.folder / "2.sql")  # Atlas wants no description
    assert toolkit.run("hash").code == 0
    toolkit.execute(TABLE, *MIXED.split(";\n")[:-1])
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="2").event("finished")["applied"] == 2
    assert (toolkit.fetch(VALID), toolkit.fetch("select count(*) from t")) == ([], [1])
    assert toolkit.run("status").code == 0


def test_what_a_baseline_covers_need_not_be_convertible(toolkit: Toolkit) -> None:
    toolkit.write(
        v1="create table p (id int) partition by list (id);", v2="create index concurrently p_id on p (id);"
    )
    toolkit.write(v3="create table t (a int);")
    toolkit.execute("create table p (id int) partition by list (id)")
    assert toolkit.run("plan", MIGRATE_BASELINE_VERSION="1").code == 10
    applied = toolkit.run("apply", MIGRATE_BASELINE_VERSION="2")
    assert (applied.code, applied.event("finished")["applied"]) == (0, 1), applied.text
    assert "CONCURRENTLY" not in applied.text


def test_an_invalid_index_is_dropped_and_built_again(toolkit: Toolkit) -> None:
    index = "select 1; create unique index concurrently if not exists t_a on t (a);"
    toolkit.write(v1=TABLE, v2="insert into t values (1), (1);", v3=index)
    failed = toolkit.run("apply")
    assert (failed.code, failed.event("failed")["file"]) == (7, "3a_x.sql")
    assert toolkit.fetch(VALID) == ["t_a false"]
    toolkit.execute("delete from t where ctid = (select min(ctid) from t)")
    with toolkit.hold("select pg_advisory_lock(2686470616)"):  # as if somebody were building it
        assert toolkit.run("apply", MIGRATE_RUN_LOCK_TIMEOUT="300ms").code == 8
    done = toolkit.run("apply")
    assert (done.code, done.event("invalid_index")["index"]) == (0, "public.t_a")
    assert toolkit.fetch(VALID) == ["t_a true"]
    assert toolkit.run("status").code == 0


def test_a_build_that_was_killed_is_done_again(toolkit: Toolkit) -> None:
    index = "create index concurrently t_a on t (a);"
    toolkit.write(v1=TABLE, v2=index)
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION="1").code == 0
    toolkit.write(v3="create index concurrently t_b on t (a);")
    building = "select pid from pg_stat_activity where query like 'create index concurrently t_b%' and state = 'active'"
    with toolkit.hold("insert into t values (1)"), toolkit.start("apply") as process:
        toolkit.until(f"{building} and wait_event_type = 'Lock'")
        (engine,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(engine), signal.SIGKILL)
        out, _ = process.communicate(timeout=300)
        assert '"failure": "OutOfMemory"' in out
        toolkit.execute(building.replace("select pid", "select pg_terminate_backend(pid)"))
    assert toolkit.fetch(
        "select applied from atlas_schema_revisions.atlas_schema_revisions where version = '3'"
    ) == [0]
    assert "t_b false" in toolkit.fetch(VALID)
    done = toolkit.run("apply")
    assert (done.code, done.event("invalid_index")["index"]) == (0, "public.t_b")
    assert sorted(toolkit.fetch(VALID)) == ["t_a true", "t_b true"]


def test_what_a_failed_reindex_left_is_dropped_before_the_next(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE + "\ncreate index t_a on t (a);")
    assert toolkit.run("apply").code == 0
    with toolkit.hold("insert into t values (1)"), pytest.raises(asyncpg.LockNotAvailableError):
        toolkit.execute("set lock_timeout = '200ms'", "reindex index concurrently t_a")
    assert "t_a_ccnew false" in toolkit.fetch(VALID)
    toolkit.write(v2="reindex index concurrently t_a;")
    done = toolkit.run("apply")
    assert (done.code, done.event("invalid_index")["index"]) == (0, "public.t_a_ccnew")
    assert toolkit.fetch(VALID) == ["t_a true"]


def test_a_build_that_a_limit_of_the_url_ends_is_done_again(toolkit: Toolkit) -> None:
    toolkit.execute(TABLE)
    toolkit.write(v1="select 1;", v2="create index concurrently if not exists t_a on t (a);")
    own = f"{toolkit.server.url(toolkit.database)}&options=-c%20lock_timeout%3D300"
    baseline = {"MIGRATE_BASELINE_VERSION": "1"}
    with toolkit.hold("insert into t values (1)"):
        failed = toolkit.run("apply", DATABASE_URL=own, MIGRATE_DEADLINE="1m", **baseline)
        assert (failed.code, failed.event("failed")["file"]) == (8, "2_x.sql")
        assert toolkit.fetch(VALID) == ["t_a false"]
        process = toolkit.start("apply", DATABASE_URL=own)
        toolkit.until(DROPPING)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert '"invalid_index"' in output
    assert toolkit.fetch(VALID) == ["t_a true"]


def test_convert_writes_the_folder(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2=MIXED)
    done = toolkit.run("convert")
    assert (done.code, done.event("converted")["parts"]) == (0, ["2_x.sql", "2a_x.sql", "2b_x.sql"])
    files = {path.name: path.read_text() for path in toolkit.folder.iterdir()}
    assert set(files) == {"1_x.sql", "2_x.sql", "2a_x.sql", "2b_x.sql", "atlas.sum"}
    assert toolkit.run("convert").event("finished")["changed"] == 0
    assert {path.name: path.read_text() for path in toolkit.folder.iterdir()} == files
    assert toolkit.run("validate").code == 0
    assert toolkit.run("apply").event("finished")["applied"] == 4
    assert toolkit.fetch(VALID) == ["t_b true"]


def test_what_cannot_be_made_safe_is_refused_before_anything_is_applied(toolkit: Toolkit) -> None:
    toolkit.write(
        v1=TABLE + " create table p (a int) partition by range (a);",
        v2="create index concurrently p_a on p (a);",
    )
    assert [toolkit.run(command).code for command in ("convert", "apply")] == [10, 10]
    assert toolkit.tables() == set()


def test_an_index_by_choice_is_built_at_once(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2=MIXED)
    assert toolkit.run("convert", "--plain").code == 0
    assert (toolkit.folder / "2_x.sql").read_text() == MIXED.replace("concurrently ", "")
    assert toolkit.run("apply").code == 0


def test_a_directive_that_atlas_would_not_see(toolkit: Toolkit) -> None:
    toolkit.write(v1=TABLE, v2="-- atlas:txmode none\ncreate index concurrently t_a on t (a);")
    assert toolkit.run("apply").code == 0
    assert toolkit.fetch(VALID) == ["t_a true"]
