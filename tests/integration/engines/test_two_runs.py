"""Two runs on one database, when the connection that holds the lock of the first is lost in mid-run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.engines.atlas import report
from tests.integration.engines.servers import on_postgres

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines.atlas import Database
    from tests.integration.engines.servers import Server
    from tests.integration.harness.postgres import Postgres

FILES = {
    "1_a.sql": "create table gate (id int primary key);\ncreate table effect (id int);\ninsert into gate values (1);",
    "2_b.sql": "-- atlas:txmode none\n\ninsert into effect select id from gate where id = 1 for update;",
    "3_c.sql": "insert into effect values (3);",
}
HELD = "select id from gate where id = 1 for update"
EFFECTS = "SELECT id FROM effect ORDER BY id"
OTHERS_ROW = (
    "INSERT INTO HISTORY (version, description, type, applied, total, executed_at, execution_time, hash, operator_version)"
    " SELECT '3', description, type, applied, total, executed_at, execution_time, hash, operator_version FROM HISTORY"
    " WHERE version = '1'"
)


@pytest.fixture
def database(server: Server, tmp_path: Path) -> Database:
    found = server.database(tmp_path / "one")
    found.write(FILES)
    assert found.apply("1").code == 0
    return found


def test_a_file_has_a_lock_of_its_own(server: Server, database: Database) -> None:
    with server.hold(database, HELD):
        first = database.start("apply")
        server.until(database, server.waiting)
        (holder,) = server.rows(database, server.lock_holder)
        server.rows(database, server.kill.format(holder))
        server.until(database, server.lock_holder, found=False)
        second = database.apply("--lock-timeout", "100ms")
        assert (second.report.failure, second.report.applied) == (Failure.DATABASE_LOCKED, 0), second.output
        assert server.rows(database, EFFECTS) == []
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    assert server.rows(database, EFFECTS) == ["1", "3"]


def test_a_file_that_another_run_has_recorded_since_is_not_applied(
    server: Server, database: Database
) -> None:
    with server.hold(database, HELD):
        process = database.start("apply", "--format", report.TEMPLATE)
        server.until(database, server.waiting)
        server.in_history(database, OTHERS_ROW)
    output, _ = process.communicate(timeout=300)
    found = report.parse(output, succeeded=process.returncode == 0)
    assert (found.failure, found.applied, found.to_version) == (Failure.DATABASE_LOCKED, 1, "2"), output
    assert server.rows(database, EFFECTS) == ["1"]


def test_a_row_that_nobody_saw_stays_as_it_is(postgres: Postgres, tmp_path: Path) -> None:
    """Between the look at the history and the first row of a file there is a moment; here, a policy hides the row."""
    database = on_postgres(postgres, tmp_path / "one")
    database.write(FILES)
    assert database.apply("1").code == 0
    role = f"app_{database.name}"
    history = "atlas_schema_revisions.atlas_schema_revisions"
    statements = (
        f"create role {role} login password 'hunter2'",
        f"grant usage on schema atlas_schema_revisions to {role}",
        f"grant all on {history}, effect, gate to {role}",
        f"alter table {history} enable row level security",
        f"create policy hides on {history} for select using (version <> '2')",
        f"create policy takes on {history} for insert with check (true)",
        f"create policy changes on {history} for update using (true)",
        OTHERS_ROW.replace("HISTORY", history).replace("'3'", "'2'"),
    )
    postgres.query("; ".join(statements), database.name)
    url = f"postgres://{role}:hunter2@127.0.0.1:{postgres.port}/{database.name}?sslmode=disable"
    found = dataclasses.replace(database, url=url).apply()
    assert (found.report.failure, found.report.applied) == (Failure.DATABASE_LOCKED, 0), found.output
    assert postgres.query(EFFECTS, database.name) == []
