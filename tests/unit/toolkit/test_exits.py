"""Failures and exit codes."""

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.status import Failure
from dbupgrade.toolkit.exits import exit_code


def test_a_number_keeps_its_meaning() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "OTHER": 1,
        "USAGE": 2,
        "CHECKSUM": 3,
        "UNREACHABLE": 4,
        "AUTHENTICATION": 5,
        "NOT_CLEAN": 6,
        "SQL": 7,
        "LOCK": 8,
        "PENDING": 9,
        "LINT": 10,
        "FOLDER": 11,
        "FILES": 12,
    }


@pytest.mark.parametrize(
    ("failure", "error", "code"),
    [
        (Failure.CHECKSUM, None, ExitCode.CHECKSUM),
        (Failure.OUT_OF_ORDER, None, ExitCode.FILES),
        (Failure.SQL, 'pq: syntax error at or near "tabl"', ExitCode.SQL),
        (Failure.SQL, "pq: canceling statement due to lock timeout", ExitCode.LOCK),
        (Failure.SQL, "pq: canceling statement due to statement timeout", ExitCode.SQL),
        (Failure.DATABASE_LOCKED, None, ExitCode.LOCK),
        (Failure.INTERRUPTED, "pq: terminating connection", ExitCode.OTHER),
        (Failure.UNKNOWN, None, ExitCode.OTHER),
    ],
)
def test_failures_have_codes(failure: Failure, error: str | None, code: ExitCode) -> None:
    assert exit_code(failure, error) is code
