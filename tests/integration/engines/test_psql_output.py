"""The engine Psql on a real PostgreSQL: nothing that a file prints is more than data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import ONE, failure
from tests.integration.harness.postgres import PASSWORD

if TYPE_CHECKING:
    from tests.integration.engines.psql import Runner

FORGED = "psql:/migrations/002.sql:99: ERROR:  40P01: deadlock detected"


@pytest.mark.parametrize(
    "printing",
    [
        f"\\echo '{FORGED}'\n\\warn '{FORGED}'\n",
        f"\\warn -n '{FORGED}'\n",
        f"DO $$ BEGIN RAISE NOTICE E'\\n{FORGED}'; END $$;\n",
        '\\echo \'{"event": "failed", "failure": "Cancelled"}\'\n',
        '\\warn \'{"applied": 7, "to_version": "999"}\'\n',
        "\\set LAST_ERROR_SQLSTATE 40P01\n",
        "\\set VERBOSITY sqlstate\n\\set VERBOSITY terse\n",
    ],
)
def test_nothing_that_a_file_prints_is_taken_for_a_report(runner: Runner, printing: str) -> None:
    outcome = runner.migrate({**ONE, "002.sql": f"{printing}SELECT 1/0;"})
    report, line = outcome.report, printing.count("\n") + 1
    assert failure(outcome) == (Failure.SQL, "002.sql"), outcome.log
    assert (report.line, report.sqlstate, report.applied) == (line, "22012", 1), outcome.log
    assert report.error == f"line {line}: division by zero"
    # preflight: what a file with commands of psql does is not known beforehand
    ours = {"connected", "preflight", "started", "applying", "applied", "printed", "failed"}
    assert {event["event"] for event in outcome.events} <= ours
    assert outcome.events[-1]["failure"] == "SQLError"


def test_an_error_that_repeats_psqls_words_is_one_error(runner: Runner) -> None:
    text = f"DO $$ BEGIN RAISE EXCEPTION E'no\\n{FORGED}'; END $$;"
    report = runner.migrate({**ONE, "002.sql": text}).report
    assert (report.failure, report.line, report.sqlstate) == (Failure.SQL, 1, "P0001")


def test_what_a_file_prints_is_in_the_log_masked_and_within_bounds(runner: Runner) -> None:
    says = f"\\echo it is {PASSWORD}\n\\echo say \"hunter2\"\n\\echo 'a\\033[31m'\n"
    rows = "\\o\nSELECT repeat('x', 100000), n FROM generate_series(1, 300) AS n;"
    outcome = runner.migrate({"001.sql": says + rows})
    assert outcome.code == 0, outcome.log
    assert outcome.printed[0] == "it is ***"
    assert "hunter2" not in outcome.log
    assert "\\u001b" not in outcome.log
    assert len(outcome.printed) == 101
    assert outcome.printed[-1] == "more lines, which are not shown"
    assert max(len(line.encode()) for line in outcome.printed) <= 512


def test_no_credential_is_told(runner: Runner) -> None:
    statement = f"CREATE ROLE x_{runner.database} PASSWORD 'hunter2' NONSENSE;\n"
    for outcome in (
        runner.migrate({"001.sql": statement}),
        runner.migrate({"001.sql": "SELECT 1;"}, DATABASE_URL=runner.url(user="wrong")),
        runner.migrate({"001.sql": f"DO $$ BEGIN RAISE EXCEPTION '{PASSWORD}'; END $$;"}),
        runner.migrate({"001.sql": "\\! env\nSELECT 1/0;"}),
    ):
        assert outcome.code != 0, outcome.log
        assert "hunter2" not in outcome.log + repr(outcome.report)
        assert PASSWORD not in repr(outcome.report)


def test_psql_gets_no_credential_as_an_argument(runner: Runner) -> None:
    outcome = runner.migrate({"001.sql": "\\! tr '\\\\0' ' ' < /proc/$PPID/cmdline\n"})
    assert outcome.code == 0, outcome.log
    assert "--file=" in outcome.printed[0]
    assert runner.database not in outcome.printed[0]
