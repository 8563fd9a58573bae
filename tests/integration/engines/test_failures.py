"""Whatever keeps an engine out, its class is known, with ours as with Atlas's own command line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.pod.detail import limited
from e2e.ports import free_port
from tests.integration.engines.atlas import CLI, OURS
from tests.integration.harness.postgres import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engines.atlas import Database

ENGINES = pytest.mark.parametrize("engine", [OURS, CLI])
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), "hunter2")


def _port(url: str) -> str:
    before, _, after = url.rpartition(":")
    return f"{before}:{free_port()}/{after.partition('/')[2]}"


URLS: dict[str, tuple[Callable[[str], str], Failure]] = {
    "nothing listens": (_port, Failure.DATABASE_UNREACHABLE),
    "no such host": (lambda url: url.replace("127.0.0.1", "nowhere.invalid"), Failure.DATABASE_UNREACHABLE),
    "no such database": (lambda url: url.replace("/db_", "/nodb_"), Failure.DATABASE_UNREACHABLE),
    "a wrong password": (
        lambda url: url.replace(quote(PASSWORD, safe=""), "hunter2"),
        Failure.AUTHENTICATION,
    ),
    "a user that is not there": (lambda url: url.replace("//owner", "//nobody"), Failure.AUTHENTICATION),
    "TLS that the server has not": (
        lambda url: url.replace("disable", "require"),
        Failure.CONNECTION_SETTINGS,
    ),
    "an unknown driver": (lambda url: url.replace("postgres:", "oracle:"), Failure.CONNECTION_SETTINGS),
    "a malformed URL": (lambda url: url.replace("@", "%zz@"), Failure.CONNECTION_SETTINGS),
}


@ENGINES
@pytest.mark.parametrize("name", URLS)
def test_who_cannot_connect_is_told_why(database: Database, name: str, engine: str) -> None:
    database.write({"1_a.sql": "select 1;"})
    change, failure = URLS[name]
    outcome = dataclasses.replace(database, url=change(database.url)).apply(engine=engine)
    assert (outcome.code, outcome.report.failure) == (1, failure), outcome.output
    # Atlas's own repeats a malformed URL; nothing of it is copied.
    told = outcome.output if engine == OURS else str(outcome.report)
    assert not any(secret in told for secret in SECRETS)


TOLD: dict[str, tuple[str, str, str]] = {
    "a server without TLS": (
        "sslmode=disable",
        "sslmode=require",
        "the server does not support TLS: enable it on the server, or ",
    ),
    "parameters of others": (
        "sslmode=disable",
        "sslmode=disable&schema=app&lock_timeout=1s&pgbouncer=true&hunter2!=1",
        "nor the server knows: ***, pgbouncer, schema (use search_path)",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_wrong_with_a_url_is_told(database: Database, name: str) -> None:
    old, new, told = TOLD[name]
    database.write({"1_a.sql": "select 1;"})
    found = dataclasses.replace(database, url=database.url.replace(old, new)).apply().report
    assert found.failure is Failure.CONNECTION_SETTINGS
    assert told in (found.error or "")
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("mode", ["allow", "prefer"])
def test_a_server_may_have_tls_or_not(database: Database, mode: str) -> None:
    database.write({"1_a.sql": "select 1;"})
    url = database.url.replace("postgres:", "postgresql:").replace("disable", mode)
    assert dataclasses.replace(database, url=url).apply().report.applied == 1


def test_an_sslmode_that_an_older_engine_has_not_is_refused_as_such(database: Database) -> None:
    database.write({"1_a.sql": "select 1;"})
    found = dataclasses.replace(database, url=database.url.replace("disable", "prefer")).apply(engine=CLI)
    assert found.report.failure is Failure.CONNECTION_SETTINGS, found.output


@ENGINES
def test_a_folder_that_does_not_agree_with_its_sum(database: Database, engine: str) -> None:
    database.write({"1_a.sql": "select 1;"})
    total = database.migrations / "atlas.sum"
    for text in ("<<<<<<< ours\n=======\n>>>>>>> theirs\n", "h1:x\n1_a.sql h1:y\n", None):
        if text is None:
            total.unlink()
        else:
            total.write_text(text)
        assert database.apply(engine=engine).report.failure is Failure.CHECKSUM
    (database.migrations / "1_a.sql").unlink()
    database.migrations.rmdir()
    assert database.apply(engine=engine).report.failure is Failure.MISSING_FOLDER


@ENGINES
def test_a_baseline_that_no_file_has(database: Database, engine: str) -> None:
    database.write({"1_a.sql": "select 1;"})
    assert database.apply("--baseline", "7", engine=engine).report.failure is Failure.BASELINE_NOT_FOUND


@ENGINES
def test_a_connection_that_ends_in_a_statement(database: Database, engine: str) -> None:
    database.write({"1_a.sql": "select 1;", "2_b.sql": "select pg_terminate_backend(pg_backend_pid());"})
    found = database.apply(engine=engine).report
    assert (found.failure, found.failed_file, found.applied) == (Failure.INTERRUPTED, "2_b.sql", 1)


def test_a_failure_without_a_class_shows_the_engines_own_words(database: Database) -> None:
    database.write({"1_a.sql": "-- atlas:txmode some\n\nselect 1;"})
    found = database.apply().report
    assert found.failure is Failure.UNKNOWN
    assert (found.error or "").startswith("unknown txmode ")


def test_a_history_that_the_user_may_not_make(database: Database) -> None:
    database.write({"1_a.sql": "create role reader_of_history login password 'hunter2';"})
    assert database.apply().code == 0
    url = database.url.replace(f"//owner:{quote(PASSWORD, safe='')}", "//reader_of_history:hunter2")
    found = dataclasses.replace(database, url=url).apply("--revisions-schema", "other").report
    assert found.failure is Failure.AUTHENTICATION


RAISING = {
    "in its own state": "DO $$ BEGIN RAISE EXCEPTION 'bad key %', 4711; END $$;",
    "in another's state": "DO $$ BEGIN RAISE EXCEPTION 'bad key %', 4711 USING ERRCODE = '42P01'; END $$;",
    "by an assertion": "DO $$ BEGIN ASSERT false, 'bad key ' || 4700 + 11; END $$;",
    "in a trigger": "CREATE TABLE t (id int);\n"
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'bad key %', NEW.id USING ERRCODE = '23505'; END $$;\n"
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();\n"
    "INSERT INTO t SELECT 4700 + 11;",
}


@pytest.mark.parametrize("name", RAISING)
def test_what_sql_raises_itself_is_told_from_what_the_server_says(database: Database, name: str) -> None:
    database.write({"1_a.sql": RAISING[name]})
    found = database.apply().report
    assert (found.failure, found.raised) == (Failure.SQL, True)
    assert "4711" in (found.error or "")
    assert "4711" not in str(limited(found, ErrorDetail.MASKED))


def test_what_the_server_says_itself_is_shown(database: Database) -> None:
    database.write({"1_a.sql": "SELECT * FROM nowhere;"})
    found = database.apply().report
    assert (found.failure, found.raised, found.sqlstate) == (Failure.SQL, None, "42P01")
    assert limited(found, ErrorDetail.MASKED) is found
