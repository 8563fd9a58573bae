"""The engine Psql: plain files, hostile ones, the lock in the database, and interrupted runs, in real pods on a real PostgreSQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.psql import PSQL, USERS, parts, sql_image
from e2e.scenarios.support.upgrade import DONE, STALLED, held
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

RETRY = "dbupgrade.subbug.learning/retry"
FORGED = '{"applied": 7, "to_version": "999"}'
PRINTED = "psql:/migrations/002.sql:99: ERROR:  40P01: deadlock detected"
HOSTILE = {
    "\\connect postgres\nSELECT 1;": ("UnusableFile", "\\connect"),
    "CREATE TABLE half (id int);\nROLLBACK;\nCREATE TABLE rest (id int);": ("UnusableFile", "ends its own transaction"),
    "CREATE TABLE half (id int);\nCOMMIT;\nCREATE TABLE rest (id int);": ("UnusableFile", "ends its own transaction"),
    "\\set ON_ERROR_STOP off\nSELECT 1/0;\nCREATE TABLE rest (id int);": ("SQLError", "line 2: division by zero"),
    f"\\echo '{FORGED}'\n\\warn '{PRINTED}'\nSELECT 1/0;": ("SQLError", "line 3: division by zero"),
    f"DO $$ BEGIN RAISE NOTICE E'\\n{PRINTED}'; END $$;\nSELECT 1/0;": ("SQLError", "line 2: division by zero"),
    f"\\! echo '{FORGED}' > /dev/termination-log\nSELECT 1/0;": ("SQLError", "line 2: division by zero"),
    "SELECT pg_terminate_backend(pg_backend_pid());": ("Interrupted", "its outcome is unknown"),
}  # fmt: skip
BEFORE = "CREATE TABLE half (id int);\n"
BROKEN = "CREATE TABLE half (id int);\n\nINSERT INTO users VALUES (1, 'hunter2'), (1, 'hunter2');\nCREATE TABLE never (id int);\n"
AT_GATE = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


@pytest.mark.parametrize("delivery", ["Extract", "ImageVolume"])
def test_plain_sql_files_are_applied_through_psql(world: World, delivery: str) -> None:
    world.secret()
    files = {**USERS, "002_rows.sql": "INSERT INTO users VALUES (1, 'one');"}
    first = sql_image(world, files)
    world.upgrade(first, migrations={**PSQL, "delivery": delivery})
    upgrade = world.wait_for(DONE)
    assert upgrade.message == f"applied 2 files of {first}: the database is at 002"
    assert (upgrade.status["currentVersion"], upgrade.status["pendingCount"]) == ("002", 0)
    assert world.database.rows("SELECT name FROM dbupgrade_migrations ORDER BY 1") == list(files)

    second = sql_image(world, {**files, "003_orders.sql": "CREATE TABLE orders (id int);"})
    world.upgrade(second, migrations={**PSQL, "delivery": delivery})
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["fromVersion"], upgrade.run["toVersion"]) == ("002", "003")
    assert world.database.tables == ["dbupgrade_migrations", "orders", "users"]


def test_a_psql_file_that_fails_in_the_middle_fails_the_run_and_says_which_line(world: World) -> None:
    image = sql_image(world, {**USERS, "002_half.sql": BROKEN})
    world.upgrade(image, migrations=PSQL, database=parts(world))
    upgrade = world.wait_for(STALLED)
    run = upgrade.run
    assert (run["failure"], run["failedFile"], run["appliedCount"]) == ("SQLError", "002_half.sql", 1)
    assert run["error"].startswith("line 3: duplicate key value")
    assert "line 3" in upgrade.message
    assert "hunter2" not in json.dumps(upgrade.json)
    assert world.database.tables == ["dbupgrade_migrations", "users"]
    corrected = sql_image(world, {**USERS, "002_half.sql": "CREATE TABLE half (id int);"})
    world.upgrade(corrected, migrations=PSQL, database=parts(world))
    assert world.wait_for(DONE).run["appliedCount"] == 1


def test_an_applied_file_that_changed_stalls(world: World) -> None:
    world.secret()
    world.upgrade(sql_image(world, USERS), migrations=PSQL)
    world.wait_for(DONE)
    world.upgrade(sql_image(world, {"001_users.sql": USERS["001_users.sql"] + "--\n"}), migrations=PSQL)
    upgrade = world.wait_for(STALLED)
    assert (upgrade.run["failure"], upgrade.run["failedFile"]) == ("FileChanged", "001_users.sql")


def test_files_as_they_come_are_applied(world: World) -> None:
    """A byte order mark, line ends of Windows, data of COPY, psql's variables."""
    world.secret()
    rows = "COPY users FROM STDIN;\r\n1\tone\r\n2\ttwo\r\n\\.\r\n"
    variables = "\\set name 'it''s'\nINSERT INTO users VALUES (3, :'name');\n"
    files = {**USERS, "002.sql": f"\ufeff{rows}", "003.sql": variables}
    world.upgrade(sql_image(world, files), migrations=PSQL)
    assert world.wait_for(DONE).run["appliedCount"] == len(files)
    assert world.database.rows("SELECT name FROM users ORDER BY id") == ["one", "two", "it's"]


def test_a_hostile_file_is_undone_and_cannot_forge_the_report(world: World) -> None:
    world.secret()
    for number, (text, (failure, told)) in enumerate(HOSTILE.items(), 1):
        world.upgrade(sql_image(world, {**USERS, "002.sql": text}), migrations=PSQL)
        upgrade = world.wait_run(number)
        assert upgrade.verdict == STALLED, text
        assert (upgrade.run["failure"], upgrade.run["failedFile"]) == (failure, "002.sql"), text
        assert told in upgrade.message, text
        assert upgrade.status["currentVersion"] == "001", text
        assert world.database.tables == ["dbupgrade_migrations", "users"], text
    world.upgrade(sql_image(world, {**USERS, "002.sql": BEFORE}), migrations=PSQL)
    assert world.wait_for(DONE).run["appliedCount"] == 1


def test_who_comes_to_one_database_by_another_way_waits_for_the_lock(world: World) -> None:
    world.secret()
    image = sql_image(world, {**USERS, "002.sql": BEFORE + WAIT_AT_GATE})
    with world.database.closed_gate():
        world.upgrade(image, "first", migrations=PSQL)
        wait_until(lambda: world.database.rows(AT_GATE) == [1], "a run is at the gate")
        world.upgrade(image, "second", migrations=PSQL, database=parts(world))
        assert world.wait_for(held("DatabaseBusy"), "second").run["failure"] == "DatabaseLocked"
    assert world.wait_for(DONE, "first").run["appliedCount"] == 2
    assert world.wait_for(DONE, "second").run["appliedCount"] == 0


def test_a_pod_that_is_killed_commits_nothing_and_a_retry_goes_on(world: World) -> None:
    world.secret()
    image = sql_image(world, {**USERS, "002.sql": BEFORE + WAIT_AT_GATE})
    with world.database.closed_gate():
        world.upgrade(image, migrations=PSQL)
        wait_until(lambda: world.database.rows(AT_GATE) == [1], "the run is at the gate")
        job = world.wait_migrating().run["jobName"]
        world.kubectl("delete", "pods", f"--selector=job-name={job}", "--grace-period=0", "--force")
        upgrade = world.wait_for(STALLED)
    assert upgrade.run["failure"] == "Interrupted"
    assert world.database.tables == ["dbupgrade_migrations", "users"]
    world.annotate("app", RETRY, "one")
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["fromVersion"], upgrade.run["appliedCount"]) == ("001", 1)


def test_tables_without_a_history_need_a_baseline(world: World) -> None:
    world.secret()
    world.database.rows("CREATE TABLE users (id int PRIMARY KEY, name text)")
    image = sql_image(world, {**USERS, "002.sql": BEFORE})
    world.upgrade(image, migrations=PSQL)
    assert world.wait_for(STALLED).run["failure"] == "NotClean"
    world.upgrade(image, migrations={**PSQL, "baseline": "001"})
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["fromVersion"], upgrade.run["toVersion"], upgrade.run["appliedCount"]) == (
        "001",
        "002",
        1,
    )
