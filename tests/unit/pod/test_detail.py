"""How much of what a database or a command said is shown."""

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.pod.detail import limited
from dbupgrade.pod.report import Report

DATA = "bad key 4711"
LOG = "see the log of the Job's pod; to show the text here, set spec.policy.errorDetail to Full"


def sql(**known: object) -> Report:
    given = {"failed_file": "2.sql", "failed_statement": "SELECT f('***')", "error": f"pq: {DATA}", "line": 3}
    return Report(failure=Failure.SQL, **{**given, **known})  # type: ignore[arg-type]


RELATION = sql(sqlstate="42P01", error='pq: relation "cart" does not exist (42P01)')
RAISED = sql(sqlstate="P0001")
UNDER_ANOTHER_STATE = sql(sqlstate="23505", raised=True)
COMMAND = Report(failure=Failure.COMMAND, error="exit code 3", said=DATA)


@pytest.mark.parametrize(
    ("report", "detail", "error", "statement"),
    [
        pytest.param(RELATION, ErrorDetail.FULL, RELATION.error, RELATION.failed_statement, id="full"),
        pytest.param(RELATION, ErrorDetail.MASKED, RELATION.error, RELATION.failed_statement, id="masked"),
        pytest.param(RELATION, ErrorDetail.CODE, "line 3, SQLSTATE 42P01", None, id="code"),
        pytest.param(RAISED, ErrorDetail.FULL, f"pq: {DATA}", RAISED.failed_statement, id="raised, full"),
        pytest.param(
            RAISED,
            ErrorDetail.MASKED,
            f"line 3, SQLSTATE P0001: the SQL itself raised the error; {LOG}",
            RAISED.failed_statement,
            id="raised, masked",
        ),
        pytest.param(
            UNDER_ANOTHER_STATE,
            ErrorDetail.MASKED,
            f"line 3, SQLSTATE 23505: the SQL itself raised the error; {LOG}",
            RAISED.failed_statement,
            id="raised under another SQLSTATE",
        ),
        pytest.param(
            sql(sqlstate="45000", line=None),
            ErrorDetail.MASKED,
            f"SQLSTATE 45000: the SQL itself raised the error; {LOG}",
            RAISED.failed_statement,
            id="signalled in MySQL",
        ),
        pytest.param(COMMAND, ErrorDetail.FULL, f"exit code 3: {DATA}", None, id="a command, full"),
        pytest.param(COMMAND, ErrorDetail.MASKED, f"exit code 3; {LOG}", None, id="a command, masked"),
        pytest.param(COMMAND, ErrorDetail.CODE, "exit code 3", None, id="a command, code"),
        pytest.param(
            Report(failure=Failure.UNKNOWN, error=DATA),
            ErrorDetail.CODE,
            None,
            None,
            id="an engine's last words",
        ),
        pytest.param(
            Report(failure=Failure.OUT_OF_ORDER, error="2.sql is below 3"),
            ErrorDetail.CODE,
            "2.sql is below 3",
            None,
            id="what we found in files ourselves",
        ),
    ],
)
def test_a_text_is_shown_as_far_as_it_is_allowed(
    report: Report, detail: ErrorDetail, error: str | None, statement: str | None
) -> None:
    found = limited(report, detail)
    assert (found.error, found.failed_statement, found.said) == (error, statement, None)
    assert (found.failure, found.failed_file, found.line, found.sqlstate) == (
        report.failure,
        report.failed_file,
        report.line,
        report.sqlstate,
    )


@pytest.mark.parametrize("failure", list(Failure))
def test_with_code_no_failure_of_a_database_shows_its_text(failure: Failure) -> None:
    found = limited(Report(failure=failure, failed_statement="SELECT secret", error=DATA), ErrorDetail.CODE)
    ours = found.error == DATA
    assert ours is (found.failed_statement == "SELECT secret")
    assert not (ours and failure in {Failure.SQL, Failure.COMMAND, Failure.UNKNOWN, Failure.HISTORY_DIVERGED})


def test_a_success_is_left_as_it_is() -> None:
    report = Report(to_version="2", applied=1)
    assert limited(report, ErrorDetail.CODE) is report
