"""What the log says of a run that waits or takes long."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg

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
    toolkit.write(v2="alter table orders add column total int;")
    with toolkit.hold("select id from orders"), toolkit.start("apply", **PATIENCE) as process:
        told = event(process, "blocked", lambda found: bool(found["relation"]))
        where = (told["file"], told["number"], told["of"], told["relation"], "statement" in told)
        toolkit.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'begin; select id%'"
        )
        process.communicate(timeout=300)
    assert where == ("2_x.sql", 1, 1, "orders", False)
    assert process.returncode == 0
