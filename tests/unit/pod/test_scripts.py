"""The scripts of pods are complete, and say what the modules beside them read."""

import re

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.status import Failure
from dbupgrade.pod import folder
from dbupgrade.pod.container import TERMINATION_LOG, UNREACHABLE_EXIT_CODE
from dbupgrade.pod.engines.psql import report, script
from dbupgrade.pod.report import MARK
from dbupgrade.pod.steps import fetch

PSQL = script.SCRIPT


@pytest.mark.parametrize("text", [fetch.SCRIPT, PSQL], ids=["fetch", "psql"])
def test_a_script_comes_with_what_it_includes(text: str) -> None:
    assert not re.search(r"^\s*(\. |source |\\+i[r]? [a-z])", text, re.MULTILINE)


def test_what_is_included_is_there_once_and_the_lock_before_each_file_too() -> None:
    assert [PSQL.count(text) for text in ("decode() {", "RESET ROLE;", "AS dbupgrade_used")] == [1, 1, 1]
    assert PSQL.count("pg_advisory_lock(") == 2


def test_the_lock_is_that_of_every_version_of_the_script() -> None:
    assert f"pg_advisory_lock({int.from_bytes(b'dbupgrad')});" in PSQL


def test_the_fetch_knows_every_word_that_is_explained_the_most_telling_first() -> None:
    (words,) = re.findall(r"for word in (.*); do", fetch.SCRIPT)
    assert re.findall("'([^']*)'", words) == list(fetch.SAID)


def test_the_fetch_fails_with_known_classes() -> None:
    found = set(re.findall(r"\bfail (\w+) ", fetch.SCRIPT))
    assert len(found) == 6
    assert found <= {failure.value for failure in Failure}


@pytest.mark.parametrize(
    "path", [f"{folder.WORK_PATH}/{folder.FILES}", f"{fetch.PULL_SECRETS_PATH}/", TERMINATION_LOG]
)
def test_the_fetch_finds_what_is_mounted(path: str) -> None:
    assert path in fetch.SCRIPT


def test_a_database_that_cannot_be_reached_has_its_exit_code() -> None:
    assert f"exit {UNREACHABLE_EXIT_CODE}\n" in PSQL
    assert ExitCode.UNREACHABLE == UNREACHABLE_EXIT_CODE


@pytest.mark.parametrize(
    "name", [script.HISTORY, script.TRANSACTION_CONSTRAINT, f"'{MARK}'", *report.PROBLEMS]
)
def test_the_script_of_psql_and_its_report_use_the_same_names(name: str) -> None:
    assert name in PSQL
