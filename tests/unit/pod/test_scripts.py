"""The scripts of pods are complete, and say what the modules beside them read."""

import re

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.pod import folder
from dbupgrade.pod.container import TERMINATION_LOG, UNREACHABLE_EXIT_CODE
from dbupgrade.pod.steps import fetch


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
    assert ExitCode.UNREACHABLE == UNREACHABLE_EXIT_CODE
