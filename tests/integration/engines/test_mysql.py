"""What is MySQL's and MariaDB's alone: statements that commit, locked tables, and sessions that commit nothing."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.pod.detail import limited
from tests.integration.engines.servers import OnMariaDb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.scenarios.support.mariadb import MariaDb
    from tests.integration.engines.atlas import Database

ROWS = "SELECT CONCAT(version, ' ', applied, '/', total, ' ', COALESCE(error_stmt, '')) FROM HISTORY ORDER BY version"


@pytest.fixture
def server(maria: MariaDb) -> OnMariaDb:
    return OnMariaDb(maria)


@pytest.fixture
def database(server: OnMariaDb, tmp_path: Path) -> Database:
    return server.database(tmp_path / "one")


@pytest.mark.parametrize("mode", ["", "-- atlas:txmode none\n\n"])
def test_a_file_may_lock_its_tables(server: OnMariaDb, database: Database, mode: str) -> None:
    text = f"{mode}create table a (id int);\nlock tables a write;\ninsert into a values (1);\n"
    database.write({"1_a.sql": text + "select nope;\nunlock tables;\ncreate table b (id int);"})
    assert database.apply().report.failure is Failure.SQL
    assert server.in_history(database, ROWS) == ["1 3/6 select nope;"]
    database.write({"1_a.sql": text + "select 1;\nunlock tables;\ncreate table b (id int);"})
    assert database.apply().report.applied == 1
    assert server.in_history(database, ROWS) == ["1 6/6 "]
    assert server.rows(database, "SELECT COUNT(*) FROM a") == ["1"]


def test_a_file_that_would_keep_the_history_uncommitted_is_refused(
    server: OnMariaDb, database: Database
) -> None:
    files = {
        "1_a.sql": "create table a (id int);",
        "2_b.sql": "create table b (id int);\n\nset autocommit = 0;",
    }
    database.write(files)
    found = database.apply().report
    assert (found.failure, found.failed_file, found.applied) == (Failure.UNUSABLE_FILE, "2_b.sql", 0)
    assert "2_b.sql, line 3, cannot be applied: SET autocommit would" in (found.error or "")
    assert server.rows(database, "SHOW TABLES LIKE '_'") == []


@pytest.fixture
def _without_autocommit(server: OnMariaDb) -> Iterator[None]:
    server.server.rows("SET GLOBAL autocommit = 0")
    yield
    server.server.rows("SET GLOBAL autocommit = 1")


@pytest.mark.usefixtures("_without_autocommit")
def test_a_server_whose_sessions_commit_nothing_loses_no_row(server: OnMariaDb, database: Database) -> None:
    gate = "create table gate (id int primary key);\ninsert into gate values (1);"
    database.write({"1_a.sql": f"{gate}\nselect id from gate for update;"})
    assert database.apply().code == 0
    waits = "-- atlas:txmode none\n\ncreate table b (id int);\ninsert into b select id from gate for update;"
    database.write({"1_a.sql": f"{gate}\nselect id from gate for update;", "2_b.sql": waits})
    with server.hold(database, "select id from gate for update"):
        process = database.start("apply")
        server.until(database, server.waiting)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)
        assert server.in_history(database, ROWS) == ["1 3/3 ", "2 1/2 "]


def test_what_mysql_cannot_undo_is_not_told_as_undone(server: OnMariaDb, database: Database) -> None:
    database.write(
        {"1_a.sql": "create table a (id int);", "2_b.sql": "insert into a values (1);\nselect nope;"}
    )
    found = database.apply("--tx-mode", "all").report
    assert (found.failure, found.failed_file, found.applied) == (Failure.SQL, "2_b.sql", 1)
    assert server.in_history(database, ROWS)[0] == "1 1/1 "


def test_what_sql_signals_itself_is_told_from_what_the_server_says(database: Database) -> None:
    text = "delimiter //\ncreate procedure p()\nbegin\n  signal sqlstate '45000' set message_text = 'bad key 4711';\nend //\ndelimiter ;\ncall p();"
    database.write({"1_a.sql": "create table a (id int);", "2_b.sql": text})
    found = database.apply().report
    assert (found.failure, found.raised) == (Failure.SQL, True), found
    assert "4711" not in str(limited(found, ErrorDetail.MASKED))
