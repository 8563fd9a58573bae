"""An engine that is stopped in a statement: nothing is executed twice, and what nobody can know is left to a person."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.engines.atlas import report
from tests.integration.engines.atlas import CLI, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.pod.report import Report
    from tests.integration.engines.atlas import Database
    from tests.integration.engines.servers import Server

HEADER = "-- atlas:txmode none\n\n"
SLOW = "insert into effect select id from gate where id = 1 for update;"
"""Waits for who holds the row of the gate, and does not notice that its client has gone."""
STATEMENTS = "insert into effect values (0);\nSLOW\ninsert into effect values (2);".replace("SLOW", SLOW)
FILES = {
    "1_a.sql": "create table gate (id int primary key);\ncreate table effect (id int);\ninsert into gate values (1);",
    "2_b.sql": HEADER + STATEMENTS,
}
HELD = "select id from gate where id = 1 for update"


@pytest.fixture
def database(server: Server, tmp_path: Path) -> Database:
    found = server.database(tmp_path / "one")
    found.write(FILES)
    assert found.apply("1").code == 0
    return found


def stop(server: Server, database: Database, how: signal.Signals, *, engine: str = OURS) -> Report:
    """Stop an engine while its second statement waits; the gate is opened behind it."""
    with server.hold(database, HELD):
        process = database.start("apply", "--format", report.TEMPLATE, engine=engine)
        server.until(database, server.waiting)
        process.send_signal(how)
        output, _ = process.communicate(timeout=300)
    server.until(database, server.busy, found=False)
    return report.parse(output, succeeded=process.returncode == 0)


def effects(server: Server, database: Database) -> list[str]:
    return server.rows(database, "SELECT id FROM effect ORDER BY id")


def row(server: Server, database: Database) -> str:
    query = (
        "SELECT CONCAT(applied, '/', total, CASE WHEN error IS NULL OR error = '' THEN ' no error' ELSE ' error' END)"
        " FROM HISTORY WHERE version = '2'"
    )
    return "".join(server.in_history(database, query))


@pytest.mark.parametrize("engine", [OURS, CLI])
def test_a_statement_of_unknown_end_is_not_executed_again(
    server: Server, database: Database, engine: str
) -> None:
    stop(server, database, signal.SIGKILL, engine=engine)
    assert row(server, database) == "1/3 no error"
    assert effects(server, database) == ["0", "1"]
    for _ in range(2):
        found = database.apply().report
        assert (found.failure, found.failed_file, found.applied) == (Failure.PARTLY_APPLIED, "2_b.sql", 0)
        assert (found.from_version, found.failed_statement) == ("2", None)
        assert "whether statement 2 of 3 took effect: its row in " in (found.error or "")
        assert effects(server, database) == ["0", "1"]


def test_who_has_looked_decides_how_a_file_goes_on(server: Server, tmp_path: Path) -> None:
    ends = {
        "it took no effect": "UPDATE HISTORY SET error = 'looked' WHERE version = '2'",
        "the file is done": "UPDATE HISTORY SET applied = total WHERE version = '2'",
    }
    found = {}
    for name, command in ends.items():
        database = server.database(tmp_path / name)
        database.write(FILES)
        database.apply("1")
        stop(server, database, signal.SIGKILL)
        server.in_history(database, command)
        assert database.apply().code == 0
        found[name] = effects(server, database)
    assert found == {"it took no effect": ["0", "1", "1", "2"], "the file is done": ["0", "1"]}


def test_a_file_of_which_every_statement_may_be_repeated_goes_on(server: Server, database: Database) -> None:
    stop(server, database, signal.SIGKILL)
    assert database.apply("--repeat-begun", "1").report.failure is Failure.PARTLY_APPLIED
    assert database.apply("--repeat-begun", "2").report.applied == 1
    assert effects(server, database) == ["0", "1", "1", "2"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_statement_in_the_server(
    server: Server, database: Database, how: signal.Signals
) -> None:
    found = stop(server, database, how)
    assert (found.failure, found.failed_file, found.applied) == (Failure.INTERRUPTED, "2_b.sql", 0)
    assert (found.error or "").startswith("interrupted: ")
    assert row(server, database) == "1/3 error"
    assert effects(server, database) == ["0"]
    assert database.apply().report.applied == 1
    assert effects(server, database) == ["0", "1", "2"]


def test_a_signal_undoes_a_file_in_a_transaction(server: Server, database: Database) -> None:
    database.write(FILES | {"2_b.sql": STATEMENTS})
    assert stop(server, database, signal.SIGTERM).failure is Failure.INTERRUPTED
    assert (row(server, database), effects(server, database)) == ("", [])
    assert database.apply().report.applied == 1
    assert effects(server, database) == ["0", "1", "2"]


def test_the_error_of_the_last_try_does_not_stand_for_the_statement_that_is_executed(
    server: Server, database: Database
) -> None:
    database.write(FILES | {"2_b.sql": FILES["2_b.sql"].replace(SLOW, "select nope;")})
    assert database.apply().report.failure is Failure.SQL
    assert row(server, database) == "1/3 error"
    database.write(FILES)
    stop(server, database, signal.SIGKILL)
    assert row(server, database) == "1/3 no error"
    assert database.apply().report.failure is Failure.PARTLY_APPLIED


def test_a_run_that_waits_for_the_lock_ends_at_a_signal(server: Server, database: Database) -> None:
    with server.hold(database, HELD):
        first = database.start("apply")
        server.until(database, server.waiting)
        second = database.start("apply", "--lock-timeout", "60s")
        server.until(database, server.queueing)
        second.send_signal(signal.SIGTERM)
        output, _ = second.communicate(timeout=300)
    first.communicate(timeout=300)
    assert (second.returncode, first.returncode) == (1, 0)
    assert report.parse(output, succeeded=False).failure is Failure.INTERRUPTED
