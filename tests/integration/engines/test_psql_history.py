"""The engine Psql on a real PostgreSQL: its history, and which databases are clean."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import ONE, TWO

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner


def test_the_form_of_the_history(runner: Runner) -> None:
    runner.migrate({**ONE, **TWO})
    columns = (
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'dbupgrade_migrations' ORDER BY ordinal_position"
    )
    assert runner.query(columns) == [
        "name|text|NO",
        "version|text|NO",
        "checksum|text|NO",
        "baseline|boolean|NO",
        "started_at|timestamp with time zone|NO",
        "finished_at|timestamp with time zone|YES",
        "complete|text|YES",
    ]
    row = "SELECT name, version, checksum, complete FROM dbupgrade_migrations ORDER BY 1 LIMIT 1"
    checksum = hashlib.sha256(ONE["001_users.sql"].encode()).hexdigest()
    assert runner.query(row) == [f"001_users.sql|001|{checksum}|001_users.sql"]


def test_a_history_that_was_edited_by_hand_is_refused_in_few_words(runner: Runner) -> None:
    runner.migrate(ONE)
    runner.query(
        "INSERT INTO dbupgrade_migrations (name, version, checksum, complete)"
        " SELECT n, E'\\x1b[31m' || repeat('9', 200000), 'x', n FROM (SELECT '000' || repeat('9', 2000) AS n) AS r"
    )
    outcome = runner.migrate()
    assert outcome.report.failure is Failure.HISTORY_DIVERGED
    assert len(outcome.log) < 4096


ROLES = ("rdsadmin", "supabase_auth_admin", "somebody")


@pytest.mark.parametrize(
    ("sql", "clean"),
    [
        ("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_buffercache", True),
        ("CREATE EXTENSION hstore; CREATE TABLE t (id int); ALTER EXTENSION hstore ADD TABLE t", True),
        ("CREATE TABLE t (id int); ALTER TABLE t OWNER TO rdsadmin", True),
        (
            "CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin; SET ROLE supabase_auth_admin; CREATE TABLE auth.t (id int)",
            True,
        ),
        ("CREATE SCHEMA aws_commons AUTHORIZATION somebody; CREATE TABLE aws_commons.t (id int)", True),
        ("CREATE SCHEMA google_ads; CREATE TABLE google_ads.t (id int)", False),
        ("ALTER SCHEMA public OWNER TO rdsadmin; CREATE TABLE t (id int)", False),
        ("CREATE VIEW v AS SELECT 1", False),
        ("CREATE SCHEMA app; CREATE TABLE app.t (id int)", False),
    ],
)
def test_what_the_provider_has_brought_does_not_count(runner: Runner, sql: str, clean: bool) -> None:
    there = runner.query("SELECT rolname FROM pg_roles")
    for role in set(ROLES) - set(there):
        runner.query(f"CREATE ROLE {role}")
    runner.query(sql)
    outcome = runner.migrate({"001.sql": "CREATE TABLE mine (id int);"})
    assert outcome.report.failure is (None if clean else Failure.NOT_CLEAN), outcome.log
