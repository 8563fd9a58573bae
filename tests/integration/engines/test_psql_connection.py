"""The engine Psql on a real PostgreSQL: how it finds the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from e2e.ports import free_port
from tests.integration.engines.psql import ONE
from tests.integration.harness.postgres import PASSWORD, USER

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner


def test_a_url_is_understood_in_every_part(runner: Runner) -> None:
    runner.query("CREATE SCHEMA tenant; CREATE TABLE elsewhere (id int)")
    more = {"sslmode": "disable", "connect_timeout": "3", "application_name": "a b", "channel_binding": "prefer",
            "gssencmode": "disable", "target_session_attrs": "read-write", "options": "-c work_mem=5MB"}  # fmt: skip
    names = "CREATE TABLE seen AS SELECT current_setting('application_name'), current_setting('work_mem') AS memory;"
    url = runner.url(search_path="tenant", **more)
    outcome = runner.migrate({**ONE, "002.sql": names}, DATABASE_URL=url)
    assert outcome.code == 0, outcome.log
    assert runner.query("SELECT count(*) FROM tenant.users") == ["0"]
    assert runner.query("SELECT * FROM tenant.seen") == ["a b|5MB"]
    assert runner.query("SELECT name FROM tenant.dbupgrade_migrations ORDER BY 1") == [
        "001_users.sql",
        "002.sql",
    ]


def test_postgresql_is_the_same_scheme(runner: Runner) -> None:
    url = runner.url().replace("postgres://", "postgresql://")
    assert runner.migrate(ONE, DATABASE_URL=url).code == 0


def test_a_schema_of_the_parts_is_where_all_is_made(runner: Runner) -> None:
    runner.query('CREATE SCHEMA "Tenant"; CREATE TABLE elsewhere (id int)')
    parts = {"DB_HOST": "127.0.0.1", "DB_PORT": str(runner.postgres.port), "DB_NAME": runner.database, "DB_USER": USER,
             "DB_PASSWORD": PASSWORD, "DB_SCHEMA": "Tenant", "DB_SSLMODE": "prefer"}  # fmt: skip
    outcome = runner.migrate(ONE, DATABASE_URL="", **parts)
    assert outcome.code == 0, outcome.log
    assert runner.query('SELECT name FROM "Tenant".dbupgrade_migrations') == ["001_users.sql"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"password": "wrong"}, Failure.AUTHENTICATION),
        ({"user": "nobody"}, Failure.AUTHENTICATION),
        ({"database": "absent"}, Failure.DATABASE_UNREACHABLE),
        ({"sslmode": "require"}, Failure.CONNECTION_SETTINGS),
        ({"sslmode": "verify-full"}, Failure.CONNECTION_SETTINGS),
        ({"search_path": "absent"}, Failure.CONNECTION_SETTINGS),
        ({"fancy": "1"}, Failure.CONNECTION_SETTINGS),
    ],
)
def test_what_keeps_it_from_the_database(runner: Runner, changes: dict[str, str], expected: Failure) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(**changes))
    assert outcome.report.failure is expected, outcome.log


def test_a_server_that_does_not_answer_may_be_tried_again(runner: Runner) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(port=str(free_port())))
    expected = (ExitCode.UNREACHABLE, Failure.DATABASE_UNREACHABLE)
    assert (outcome.code, outcome.report.failure) == expected


def test_another_database_is_refused(runner: Runner) -> None:
    outcome = runner.migrate(ONE, DATABASE_URL="mysql://u:p@127.0.0.1/d")
    assert outcome.report.failure is Failure.CONNECTION_SETTINGS
    assert "PostgreSQL only" in (outcome.report.error or "")


def test_a_machine_without_psql_is_told_so(runner: Runner) -> None:
    outcome = runner.migrate(ONE, PSQL_BIN="/nowhere/psql")
    assert outcome.code == ExitCode.USAGE
    assert "PSQL_BIN" in (outcome.report.error or "")


def test_rights_that_are_missing_are_told(runner: Runner) -> None:
    runner.query(
        f"CREATE ROLE {runner.database} LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    )
    outcome = runner.migrate(ONE, DATABASE_URL=runner.url(user=runner.database, password="guest"))
    assert outcome.report.failure is Failure.PREFLIGHT, outcome.log
    assert [each.fix for each in outcome.report.preflight] == [
        f"GRANT CREATE ON SCHEMA public TO {runner.database};"
    ]
