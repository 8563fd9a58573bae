"""How the toolkit says numbers, versions and advice."""

from __future__ import annotations

import io

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import failed
from dbupgrade.toolkit.output import Output, at, counted


@pytest.mark.parametrize(("number", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_a_number_of_files(number: int, words: str) -> None:
    assert counted(number, "file") == words


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("20250101", "the database is at 20250101"),
        ("", "the database has no version yet"),
        (None, "the database has no version yet"),
    ],
)
def test_the_version_of_a_database(version: str | None, words: str) -> None:
    assert at(version) == words


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("it is pending", ExitCode.PENDING, "error: it is pending; run `dbupgrade migrate apply`\n"),
        ("no\n  SELECT;\n", ExitCode.PENDING, "error: no\n  SELECT;\nrun `dbupgrade migrate apply`\n"),
        ("it broke", ExitCode.OTHER, "error: it broke\n"),
    ],
)
def test_the_advice_follows_the_failure(text: str, code: ExitCode, line: str) -> None:
    stream = io.StringIO()
    assert failed(Output(stream=stream), code, text) == code
    assert stream.getvalue() == line
