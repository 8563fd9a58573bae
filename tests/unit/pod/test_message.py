"""The report in a termination message: written and read, bounded, and believed only as far as it may be."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Finding, PreflightFinding
from dbupgrade.pod import lint, runner
from dbupgrade.pod.message import MAX_BYTES, read, text
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView

DROP = Finding(file="2_b.sql", line=3, level="error", rule="ban-drop-column", what="drops", safer="wait")
GRANT = PreflightFinding(check="privileges", severity="error", message="no", fix="GRANT x;")
FULL = Report(
    failure=Failure.SQL,
    from_version="1",
    to_version="2",
    applied=1,
    pending=4,
    failed_file="3_c.sql",
    failed_statement="ALTER TABLE a ADD b int",
    error='relation "a" does not exist',
    line=7,
    sqlstate="42P01",
    lint=lint.lint_of(5, [DROP]),
    preflight=(GRANT,),
)


def test_a_report_is_read_as_it_was_written_the_class_first() -> None:
    assert read(text(FULL)) == FULL
    assert next(iter(json.loads(text(FULL)))) == "failure"
    assert read(text(Report())) == Report()


@pytest.mark.parametrize("count", [1, 5, 100])
@pytest.mark.parametrize("long", ["x" * 5000, "é" * 5000, '"\\' * 2000, "\x1b[31m" * 900])
def test_a_report_is_never_longer_than_2_kib(long: str, count: int) -> None:
    finding = replace(DROP, file="é" * 127, safer='"' * 512, what="é" * 128)
    report = replace(
        FULL,
        from_version=long,
        to_version=long,
        failed_file=long,
        failed_statement=long,
        error=long,
        lint=lint.lint_of(1, [finding] * count),
        preflight=(PreflightFinding(check=long, severity=long, message=long, fix=long),) * count,
    )
    written = text(report)
    assert len(written.encode()) <= MAX_BYTES
    told = read(written)
    assert told
    assert (told.failure, told.applied, told.pending) == (Failure.SQL, 1, 4)


def test_findings_are_left_out_before_the_error_is_cut() -> None:
    report = replace(FULL, error="e" * 1000, lint=lint.lint_of(1, [replace(DROP, safer="s" * 400)] * 5))
    told = read(text(report))
    assert told
    assert told.error == report.error
    assert told.lint
    assert (told.lint.errors, len(told.lint.findings)) == (5, 1)


def test_findings_of_the_preflight_go_first_the_last_of_them_before_the_others() -> None:
    findings = [replace(GRANT, check=str(number), message="m" * 400) for number in range(9)]
    told = read(text(replace(FULL, preflight=tuple(findings))))
    assert told
    assert [each.check for each in told.preflight] == ["0", "1", "2"]
    assert told.lint == FULL.lint


def test_no_secret_and_nothing_that_a_terminal_obeys_is_in_a_finding_of_the_preflight() -> None:
    finding = replace(GRANT, message="a\x1b[2Jhunter2", fix="fix hunter2")
    told = read(text(replace(FULL, preflight=(finding,)), ("hunter2", "fix")))
    assert told
    assert (told.preflight[0].message, told.preflight[0].fix) == ("a[2J***", "*** ***")


@settings(max_examples=50)
@given(st.text(max_size=3000), st.text(max_size=3000))
def test_no_text_makes_it_too_long_or_unreadable(statement: str, error: str) -> None:
    written = text(replace(FULL, failed_statement=statement, error=error))
    assert len(written.encode()) <= MAX_BYTES
    assert read(written)


def test_what_a_terminal_would_obey_is_left_out() -> None:
    told = read(text(replace(FULL, error="a\x1b[2Jb\u202ec\x00d\ne", to_version="1\r2")))
    assert told
    assert (told.error, told.to_version) == ("a[2Jbcd e", "1 2")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Traceback: hunter2",
        "[]",
        '{"applied":"many"}',
        '{"lint":{"files":"hunter2"}}',
        text(FULL)[:-20],
    ],
)
def test_what_is_no_report_says_nothing(message: str) -> None:
    assert read(message) is None


def test_a_class_of_a_newer_runner_is_unknown() -> None:
    told = read('{"failure":"Later"}')
    assert told
    assert told.failure is Failure.UNKNOWN


@pytest.mark.parametrize(
    ("exit_code", "message", "wanted"),
    [
        pytest.param(0, text(Report(to_version="2")), Report(to_version="2"), id="a success"),
        pytest.param(0, "", Report(), id="a success whose report is lost stays one"),
        pytest.param(0, text(FULL), FULL, id="the report of a failure counts whatever the exit code"),
        pytest.param(7, text(FULL), FULL, id="a failure"),
        pytest.param(1, "", Report(failure=Failure.UNKNOWN), id="a failure without a report"),
        pytest.param(
            1, text(Report(to_version="2")), Report(failure=Failure.UNKNOWN), id="a success that was forged"
        ),
        pytest.param(
            137, text(Report(to_version="2")), Report(failure=Failure.INTERRUPTED), id="forged, then killed"
        ),
        pytest.param(143, "", Report(failure=Failure.INTERRUPTED), id="killed"),
    ],
)
def test_what_is_believed(exit_code: int, message: str, wanted: Report) -> None:
    view = ContainerView(started=True, exit_code=exit_code, message=message)
    assert runner.reported(view) == wanted
