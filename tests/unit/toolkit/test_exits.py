"""Failures and exit codes."""

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.exits import exit_code


def test_a_number_keeps_its_meaning() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "OTHER": 1,
        "USAGE": 2,
        "CHECKSUM": 3,
        "UNREACHABLE": 75,
        "AUTHENTICATION": 5,
        "NOT_CLEAN": 6,
        "SQL": 7,
        "LOCK": 8,
        "PENDING": 9,
        "LINT": 10,
        "FOLDER": 11,
        "FILES": 12,
        "APPROVAL": 13,
        "PREFLIGHT": 14,
    }


@pytest.mark.parametrize(
    ("failure", "error", "sqlstate", "code"),
    [
        (Failure.CHECKSUM, None, None, ExitCode.CHECKSUM),
        (Failure.OUT_OF_ORDER, None, None, ExitCode.FILES),
        (Failure.SQL, 'pq: syntax error at or near "tabl"', "42601", ExitCode.SQL),
        (Failure.SQL, "pq: canceling statement due to lock timeout", "55P03", ExitCode.LOCK),
        (Failure.SQL, "pq: abgebrochen", "40P01", ExitCode.LOCK),
        (Failure.SQL, "pq: raised: due to lock timeout", "P0001", ExitCode.SQL),
        (Failure.SQL, "pq: canceling statement due to lock timeout", None, ExitCode.SQL),
        (Failure.SQL, "pq: canceling statement due to statement timeout", "57014", ExitCode.SQL),
        (Failure.SQL, "Error 1213 (40001): Deadlock found", "40001", ExitCode.LOCK),
        (Failure.SQL, "Error 1205 (HY000): Lock wait timeout exceeded", "HY000", ExitCode.LOCK),
        (Failure.SQL, "Error 1644 (45000): Error 1205 (HY000): ", "45000", ExitCode.SQL),
        (Failure.DATABASE_LOCKED, None, None, ExitCode.LOCK),
        (Failure.INTERRUPTED, "pq: terminating connection", "57P01", ExitCode.OTHER),
        (Failure.UNKNOWN, None, None, ExitCode.OTHER),
    ],
)
def test_failures_have_codes(
    failure: Failure, error: str | None, sqlstate: str | None, code: ExitCode
) -> None:
    assert exit_code(failure, Report(failure=failure, error=error, sqlstate=sqlstate)) is code
    assert exit_code(Failure.SQL) is ExitCode.SQL
