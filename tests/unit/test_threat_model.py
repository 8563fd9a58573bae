"""The threat model in docs/security.md names a test for each thing that it says is held."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/security.md").read_text()
TABLE = PAGE.partition("| an attacker who | tries to |")[2].partition("\n\n")[0].splitlines()[2:]
ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[2:5]] for line in TABLE]


@pytest.mark.parametrize(("what", "held", "tests"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_each_row_is_not_prevented_or_names_tests_that_are_there(what: str, held: str, tests: str) -> None:
    assert what
    named = re.findall(r"`([^`]+)`", tests)
    assert named or held.startswith("**not prevented**")
    for name in named:
        root = REPOSITORY if name.startswith("e2e/") else REPOSITORY / "tests"
        assert (root / name).is_file(), name


def test_the_table_is_found() -> None:
    assert len(ROWS) > 15
