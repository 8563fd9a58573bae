"""What the log says of a run that waits or takes long."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.integration.toolkit.conftest import Toolkit

PATIENCE = {"MIGRATE_LOCK_TIMEOUT": "5m"}


def event(
    process: subprocess.Popen[str], name: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first such event of a run."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == name and wanted(found):
            return found
    raise AssertionError(f"the run ended without the event {name}")


def test_a_lock_that_is_waited_for_is_told_with_who_holds_it(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table orders (id int, note text);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="create table first (n int);", v3="select 1; alter table orders add column total int;")
    with asyncio.Runner() as runner:
        url = f"{toolkit.server.url(toolkit.database)}&application_name=reporting"
        reader = runner.run(asyncpg.connect(url))
        runner.run(reader.execute("begin; select id from orders where note = 'hunter2'"))
        with toolkit.start("apply", **PATIENCE) as process:
            try:
                told = event(process, "blocked", lambda found: found["statement"] == 2)
            finally:
                runner.run(reader.close())
            out, err = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in err) == (0, False), (out, err)
    where = {name: told[name] for name in ("file", "number", "of", "statements", "line", "relation", "mode")}
    assert where == {
        "file": "3_x.sql",
        "number": 2,
        "of": 2,
        "statements": 2,
        "line": 1,
        "relation": "orders",
        "mode": "AccessExclusiveLock",
    }
    (blocker,) = told["blockers"]
    assert (blocker["application"], blocker["user"], blocker["state"]) == (
        "reporting",
        "admin",
        "idle in transaction",
    )
    assert blocker["statement"] == "begin; select id from orders where note = '***'"
    assert told["message"].startswith("3_x.sql (2 of 2): waiting ")
    assert "for a lock on orders, held by application 'reporting' (pid " in told["message"]


def test_engine_psql_tells_it_too(toolkit: Toolkit) -> None:
    toolkit.variables["MIGRATE_ENGINE"] = "Psql"
    toolkit.write(v1="create table orders (id int);")
    assert toolkit.run("apply").code == 0
    toolkit.write(v2="select 'hunter2';\n\nalter table orders\n  add column total int;")
    with toolkit.hold("select id from orders"), toolkit.start("apply", **PATIENCE) as process:
        told = event(process, "blocked", lambda found: bool(found["relation"]))
        where = (told["file"], told["number"], told["of"], told["relation"], "statement" in told)
        assert told["line"] == 3
        assert told["message"].startswith("2_x.sql (1 of 1, line 3): waiting ")
        toolkit.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'begin; select id%'"
        )
        process.communicate(timeout=300)
    assert where == ("2_x.sql", 1, 1, "orders", False)
    assert process.returncode == 0


@pytest.mark.parametrize("engine", ["Atlas", "Psql"])
def test_how_far_a_copy_is(toolkit: Toolkit, engine: str) -> None:
    """It copies from a pipe that is not closed yet; the rows before that are counted."""
    toolkit.variables["MIGRATE_ENGINE"] = engine
    (data,) = toolkit.fetch("show data_directory")
    pipe = Path(data) / f"{toolkit.database}.pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    writing = os.open(pipe, os.O_RDWR)  # which waits for nobody
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1024 * 1024)
    os.write(writing, "".join(f"{number}\n" for number in range(100_000)).encode())
    copy = f"copy numbers from '{pipe}'"
    toolkit.write(v1="create table numbers (n int);", v2=f"select 1;\n{copy};")
    with toolkit.start("apply", **PATIENCE) as process:
        try:
            told = event(process, "running", lambda found: "COPY FROM" in found["message"])
        finally:
            os.close(writing)
        process.communicate(timeout=300)
    pipe.unlink()
    assert "(COPY FROM of numbers, " in told["message"]
    assert told["message"].endswith(" rows)")
    assert told["line"] == 2
    assert process.returncode == 0
