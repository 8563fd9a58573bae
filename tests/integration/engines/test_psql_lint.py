"""The engine Psql on a real PostgreSQL: the lint before a run, and the commands that only look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from tests.integration.engines.psql import NO_TRANSACTION, ONE, TWO
from tests.integration.harness import forked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.engines.psql import Runner

DROP = {"002_drop.sql": '\\set name users\n\\echo begins\nDROP TABLE :"name";\nDROP TABLE users;\n'}
BESIDE = {"002_index.sql": f"{NO_TRANSACTION}CREATE INDEX CONCURRENTLY users_name ON users (name);\n"}


def command(
    runner: Runner, *words: str, files: Mapping[str, str] | None = None, **more: str
) -> tuple[int, Any]:
    """A command's exit code, and the last event of its log."""
    if files is not None:
        runner.write(files)
    done = forked.run(["migrate", *words], runner.environment(**more))
    assert "Traceback" not in done.err, done.err
    return done.code, json.loads(done.out.splitlines()[-1])


def test_errors_hold_a_run_back(runner: Runner) -> None:
    runner.migrate(ONE)
    outcome = runner.migrate({**ONE, **DROP}, MIGRATE_LINT="error")
    assert outcome.report.failure is Failure.LINT
    assert outcome.report.failed_file == "002_drop.sql"
    assert outcome.report.lint is not None
    assert [
        (one.line, one.rule, one.what) for one in outcome.report.lint.findings if one.level == "error"
    ] == [
        (3, "ban-drop-table", "drops table …"),
        (4, "ban-drop-table", "drops table users"),
    ]
    assert runner.history == list(ONE)
    assert runner.tables == ["users"]


def test_with_warn_they_are_told_and_the_run_goes_on(runner: Runner) -> None:
    runner.migrate(ONE)
    outcome = runner.migrate({**ONE, "002_d.sql": "DROP TABLE users;\n"}, MIGRATE_LINT="warn")
    assert outcome.report.failure is None
    assert outcome.report.lint is not None
    assert outcome.report.lint.errors == 1
    assert runner.tables == []


def test_an_empty_database_has_nothing_that_can_break(runner: Runner) -> None:
    outcome = runner.migrate({**ONE, **TWO, "003_d.sql": "DROP TABLE users;\n"}, MIGRATE_LINT="error")
    assert outcome.report.failure is None


def test_a_file_without_a_transaction_is_taken_so(runner: Runner) -> None:
    runner.migrate(ONE)
    outcome = runner.migrate({**ONE, **BESIDE}, MIGRATE_LINT="error")
    assert outcome.report.failure is None
    assert outcome.report.lint is not None
    assert outcome.report.lint.findings == ()


def test_with_a_baseline_only_what_is_above_it_is_new(runner: Runner) -> None:
    runner.query("CREATE TABLE users (id int, name text)")
    files = {**ONE, "002_d.sql": "DROP TABLE users;\n"}
    outcome = runner.migrate(files, MIGRATE_LINT="error", MIGRATE_BASELINE_VERSION="001")
    assert outcome.report.failure is Failure.LINT
    assert outcome.report.lint is not None
    assert [one.file for one in outcome.report.lint.findings] == ["002_d.sql"]
    assert runner.query("SELECT to_regclass('dbupgrade_migrations') IS NULL") == ["t"]


def test_lint_of_what_is_pending(runner: Runner) -> None:
    runner.migrate(ONE)
    copy = {
        "002_c.sql": "COPY users FROM stdin;\n1\tDROP TABLE users;\n\\.\n\\i other.sql\nTRUNCATE users;\n"
    }
    code, found = command(runner, "lint", "--pending", files={**ONE, **copy})
    assert code == ExitCode.LINT
    assert [(one["line"], one["level"], one["what"]) for one in found["findings"]] == [
        (4, "info", "runs \\i, which cannot be checked in advance"),
        (5, "error", "empties table users"),
    ]
    code, found = command(runner, "lint", "--all")
    assert (code, found["files"]) == (ExitCode.LINT, ["001_users.sql", "002_c.sql"])


def test_status(runner: Runner) -> None:
    code, found = command(runner, "status", files={**ONE, **TWO})
    assert (code, found.get("current"), found["pending"]) == (ExitCode.PENDING, None, [*ONE, *TWO])
    assert runner.query("SELECT to_regclass('dbupgrade_migrations') IS NULL") == ["t"]
    runner.migrate(ONE)
    code, found = command(runner, "status", files={**ONE, **TWO})
    assert (code, found.get("current"), found["pending"]) == (ExitCode.PENDING, "001", [*TWO])
    runner.migrate()
    code, found = command(runner, "status")
    assert (code, found.get("current"), found["pending"]) == (ExitCode.OK, "002", [])


@pytest.mark.parametrize(
    ("files", "failure"),
    [
        ({"001_users.sql": "SELECT 1;\n"}, Failure.FILE_CHANGED),
        ({**ONE, "000_late.sql": "SELECT 1;\n"}, Failure.HISTORY_DIVERGED),
    ],
)
def test_status_says_why_nothing_can_be_applied(
    runner: Runner, files: Mapping[str, str], failure: Failure
) -> None:
    runner.migrate(ONE)
    code, found = command(runner, "status", files=files)
    assert code != ExitCode.OK
    assert found["failure"] == failure


def test_status_of_a_database_with_tables(runner: Runner) -> None:
    runner.query("CREATE TABLE users (id int)")
    _, found = command(runner, "status", files={**ONE, **TWO})
    assert found["failure"] == Failure.NOT_CLEAN
    code, found = command(runner, "status", MIGRATE_BASELINE_VERSION="001")
    assert (code, found["pending"]) == (ExitCode.PENDING, [*TWO])


def test_validate(runner: Runner) -> None:
    code, found = command(
        runner, "validate", files={**ONE, "002_c.sql": "\\echo x\nCOPY users FROM stdin;\n\\.\n"}
    )
    assert (code, found["event"], found["files"]) == (ExitCode.OK, "valid", 2)
    _, found = command(runner, "validate", files={"001_x.sql": "-- dbupgrade:txmode all\n"})
    assert (found["failure"], found["file"]) == (Failure.UNUSABLE_FILE, "001_x.sql")
    _, found = command(runner, "validate", files={"1_x.up.sql": "SELECT 1;", "1_x.down.sql": "SELECT 1;"})
    assert found["failure"] == Failure.FOREIGN_FORMAT
    code, found = command(runner, "validate", files=ONE, DEV_DATABASE_URL="postgres://u:p@h/d")
    assert code == ExitCode.USAGE
    assert "engine Psql does not run the files on a dev database" in found["message"]


@pytest.mark.parametrize("words", [["hash"], ["convert"], ["baseline", "1"]])
def test_commands_for_atlas_say_so(runner: Runner, words: list[str]) -> None:
    code, found = command(runner, *words, files=ONE)
    assert code == ExitCode.USAGE
    assert f"{words[0]} is a command for engine Atlas, and MIGRATE_ENGINE is Psql" in found["message"]


def test_an_engine_that_is_not_known(runner: Runner) -> None:
    code, found = command(runner, "status", files=ONE, MIGRATE_ENGINE="psql")
    assert code == ExitCode.USAGE
    assert found["message"] == "MIGRATE_ENGINE is 'psql'; it must be one of Atlas, Psql"
