"""What the environment says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbupgrade.toolkit import environment
from dbupgrade.toolkit.environment import BadEnvironmentError

PARTS = {"DB_HOST": "db", "DB_NAME": "shop", "DB_USER": "app"}


def no_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"DATABASE_URL": "postgres://u:hunter2@h/d"}, "postgres://u:hunter2@h/d"),
        ({"DATABASE_URL": "postgresql://u@h/d"}, "postgres://u@h/d"),
        ({"DATABASE_URL": "mysql://u@h/d"}, "mysql://u@h/d"),
        ({"DATABASE_URL": "postgres://u@h/d", **PARTS}, "postgres://u@h/d"),
        (PARTS, "postgres://app@db:5432/shop?sslmode=require"),
        ({**PARTS, "DB_PORT": "6", "DB_SSLMODE": "disable"}, "postgres://app@db:6/shop?sslmode=disable"),
        ({**PARTS, "DB_PASSWORD": "p w"}, "postgres://app:p%20w@db:5432/shop?sslmode=require"),
        (
            {**PARTS, "DB_PASSWORD": "no", "DB_PASSWORD_FILE": "/secret"},
            "postgres://app:of-file@db:5432/shop?sslmode=require",
        ),
        ({}, ""),
    ],
)
def test_the_database(variables: dict[str, str], url: str) -> None:
    settings = environment.read(variables, {"/secret": "of-file\n"}.__getitem__)
    assert settings.url == url
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"DATABASE_URL": "oracle://u:hunter2@h/d"}, "DATABASE_URL cannot be used: it does not begin with"),
        ({"DATABASE_URL": "postgres://u:hunter2 @h/d"}, "white space"),
        ({"DB_HOST": "db", "DB_PASSWORD": "hunter2"}, "DB_NAME and DB_USER must be set"),
        ({**PARTS, "DB_PASSWORD_FILE": "/secret"}, "DB_PASSWORD_FILE /secret cannot be read: No such file"),
        ({**PARTS, "DB_SSLMODE": "on"}, "DB_SSLMODE"),
        ({"MIGRATE_LOCK_TIMEOUT": "soon"}, "MIGRATE_LOCK_TIMEOUT is 'soon'"),
        ({"MIGRATE_EXEC_ORDER": "any"}, "MIGRATE_EXEC_ORDER is 'any'; it must be one of Linear, LinearSkip"),
        ({"MIGRATE_WAIT_TIMEOUT": "-1"}, "MIGRATE_WAIT_TIMEOUT"),
        ({"MIGRATE_DEADLINE": "Today"}, "MIGRATE_DEADLINE is 'Today'; it must be a duration or a time"),
        ({"MIGRATE_DEADLINE": "soon"}, "MIGRATE_DEADLINE is 'soon'; it must be a duration such as"),
    ],
)
def test_what_cannot_be_used_is_named(variables: dict[str, str], says: str) -> None:
    with pytest.raises(BadEnvironmentError) as caught:
        environment.read(variables, no_file)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_command_that_needs_a_database_says_how_to_name_one() -> None:
    with pytest.raises(BadEnvironmentError, match="set DATABASE_URL, or DB_HOST"):
        _ = environment.read({}, no_file).database


def test_defaults_and_times() -> None:
    settings = environment.read({}, no_file)
    assert settings.directory == Path("/migrations")
    assert (settings.lock_seconds, settings.statement_seconds, settings.run_lock_seconds) == (None, 0, 30)
    assert (settings.wait_seconds, settings.atlas) == (60, "atlas")
    given = environment.read({"MIGRATE_LOCK_TIMEOUT": "500ms", "MIGRATE_WAIT_TIMEOUT": "2m"}, no_file)
    assert (given.lock_seconds, given.wait_seconds) == (0.5, 120)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", 600),
        ("90s", 90),
        ("0", 0),
        ("2026-11-29T01:00:30Z", 30),
        ("2026-11-29T02:00:30+01:00", 30),
        ("2026-11-29T00:59:50", -10),
    ],
)
def test_the_deadline_is_a_duration_or_a_time(text: str, left: float) -> None:
    settings = environment.read({"MIGRATE_DEADLINE": text}, no_file)
    assert settings.seconds_left(datetime(2026, 11, 29, 1, tzinfo=UTC)) == left
