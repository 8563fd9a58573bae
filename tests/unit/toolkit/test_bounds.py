"""What sessions are told, what is tried again, when, and when no more."""

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit import bounds
from dbupgrade.toolkit.bounds import Bounds, Given
from dbupgrade.toolkit.sql import repeating


@pytest.mark.parametrize(
    ("lock", "given", "told"),
    [
        (None, Given(), 5.0),
        (None, Given(30_000, "configuration file"), 5.0),
        (None, Given(2_000, "configuration file"), None),
        (None, Given(0, "client"), None),
        (None, Given(7_000, "user"), None),
        (None, Given(7_000, "database"), None),
        (None, Given(7_000, "database user"), None),
        (2.0, Given(7_000, "client"), 2.0),
        (0.0, Given(7_000, "client"), 0.0),
    ],
)
def test_the_limit_for_locks(lock: float | None, given: Given, told: float | None) -> None:
    assert bounds.of_postgresql(lock, 0.0, given) == Bounds(told)


def test_limits_as_settings_of_postgresql() -> None:
    assert Bounds().settings == {}
    assert Bounds(0.0).settings == {"lock_timeout": 0}
    assert Bounds(0.0001, 60.0).settings == {"lock_timeout": 1, "statement_timeout": 60_000}
    assert bounds.of_postgresql(None, 60.0, Given(0, "client")) == Bounds(None, 60.0)


@pytest.mark.parametrize(
    ("lock", "url", "told"),
    [
        (None, "mysql://u@h/d", 5.0),
        (None, "mysql://u@h/d?lock_wait_timeout=60", None),
        (2.0, "mysql://u@h/d?lock_wait_timeout=60", 2.0),
        (0.0, "mysql://u@h/d", None),
    ],
)
def test_the_limit_for_locks_of_mysql(lock: float | None, url: str, told: float | None) -> None:
    assert bounds.of_mysql(lock, url) == Bounds(told)


@pytest.mark.parametrize(
    ("report", "ended"),
    [
        (Report(failure=Failure.SQL, sqlstate="55P03"), True),
        (Report(failure=Failure.SQL, sqlstate="40P01"), True),
        (Report(failure=Failure.SQL, sqlstate="42P01", error="pq: deadlock detected"), False),
        (Report(failure=Failure.SQL, error="pq: deadlock detected"), True),
        (Report(failure=Failure.SQL, error="pq: canceling statement due to lock timeout"), True),
        (Report(failure=Failure.SQL, error="pq: no deadlock detected"), False),
        (Report(failure=Failure.INTERRUPTED, sqlstate="55P03"), False),
        (Report(sqlstate="55P03"), False),
    ],
)
def test_what_a_lock_has_ended(report: Report, ended: bool) -> None:
    assert bounds.was_ended_by_lock(report) is ended


@pytest.mark.parametrize(
    ("sqlstate", "statement", "failure"),
    [
        ("57014", 60.0, Failure.STATEMENT_TIMEOUT),
        ("57014", None, Failure.SQL),
        ("55P03", 60.0, Failure.SQL),
    ],
)
def test_a_statement_that_took_too_long(sqlstate: str, statement: float | None, failure: Failure) -> None:
    report = Report(failure=Failure.SQL, sqlstate=sqlstate)
    assert bounds.classified(report, Bounds(5.0, statement)).failure is failure


@pytest.mark.parametrize(
    ("attempt", "took", "left", "jitter", "pause"),
    [
        (1, 5, 600, 0.5, 2),
        (2, 5, 600, 0.5, 4),
        (1, 5, 600, 0.0, 1.5),
        (1, 5, 600, 1.0, 2.5),
        (5, 5, 600, 0.5, 30),
        (5000, 5, 600, 0.5, 30),
        (1, 5, 67, 0.5, 2),
        (1, 5, 66.9, 0.5, None),
        (1, 500, 560, 0.5, None),
        (1, 0, 60, 0.0, None),
        (1, 0, -10, 0.0, None),
    ],
)
def test_pauses_grow_and_end_a_minute_before_the_deadline(
    attempt: int, took: float, left: float, jitter: float, pause: float | None
) -> None:
    assert bounds.pause(attempt, took, left, jitter) == pause


@pytest.mark.parametrize(("left", "waits"), [(600, 30), (80, 20), (60, 0), (-1, 0)])
def test_another_run_is_not_waited_for_beyond_the_deadline(left: float, waits: float) -> None:
    assert bounds.patience(30, left) == waits


NONE = "-- atlas:txmode none\n\n"


@pytest.mark.parametrize(
    ("text", "repeatable"),
    [
        ("alter table t add column a int; insert into t values (1);", True),
        ("begin; savepoint a; rollback to a; release a; select 1;", True),
        ("alter table t add column a int; commit; select 1;", False),
        ("rollback; select 1;", False),
        ("prepare transaction 'a';", False),
        ("end;", False),
        ("selec 1;", False),
        (f"{NONE}create index concurrently i on t (a);", True),
        (f"{NONE}drop index concurrently if exists i;", True),
        (f"{NONE}alter table t add column a int;", False),
        (f"{NONE}truncate t; create index concurrently i on t (a);", False),
    ],
)
def test_what_may_be_repeated(text: str, repeatable: bool) -> None:
    assert repeating.may_be_repeated(text) is repeatable
