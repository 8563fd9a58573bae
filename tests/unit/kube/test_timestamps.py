from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from dbupgrade.clock import SystemClock, utc_now
from dbupgrade.kube.timestamps import rfc3339, rfc3339_micro

NEW_YORK = timezone(timedelta(hours=-5))


def test_timestamps_are_utc_whatever_the_moment_is_in() -> None:
    moment = datetime(2026, 1, 1, 22, 0, 1, 5, tzinfo=NEW_YORK)
    assert rfc3339(moment) == "2026-01-02T03:00:01Z"
    assert rfc3339_micro(moment) == "2026-01-02T03:00:01.000005Z"


def test_a_micro_time_has_six_digits_on_the_full_second() -> None:
    assert rfc3339_micro(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_the_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC
    assert utc_now().tzinfo is UTC


def test_the_time_of_a_decision_has_whole_seconds() -> None:
    assert utc_now().microsecond == 0
