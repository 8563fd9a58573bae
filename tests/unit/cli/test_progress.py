from __future__ import annotations

from typing import Any

import click
import pytest

from dbupgrade.cli import progress, view
from dbupgrade.cli.screen import Screen
from tests.unit.cli.builders import DONE, NOW, RUN, seen

BLOCKED: dict[str, Any] = {
    "file": "20250812_add_index.sql", "number": 3, "of": 7, "statement": 2,
    "message": "20250812_add_index.sql (3 of 7): waiting 40 s for a lock on orders, held by application 'reporting'",
}  # fmt: skip


def lines(run: dict[str, Any]) -> list[str]:
    found = seen("Progressing", run=run).status.run
    assert found
    return progress.lines(found, NOW)


def test_a_run_is_shown_with_its_files_statement_time_and_blocker() -> None:
    assert lines({**RUN, "progress": BLOCKED}) == [
        "  [█████░░░░░░░░░░░░░░░] 2 of 7 files applied, now statement 2 of 20250812_add_index.sql, 5m30s",
        f"  {BLOCKED['message']}",
    ]


def test_a_run_of_which_nothing_is_known_yet_counts_its_time() -> None:
    assert lines(RUN) == ["  run 2, 5m30s"]


def test_a_run_that_has_ended_has_no_progress() -> None:
    assert lines(DONE) == []


@pytest.mark.parametrize(
    ("number", "of", "cells"), [(1, 1, 0), (2, 2, 10), (7, 7, 17), (1, 0, 0), (99, 7, 20), (0, 7, 0)]
)
def test_the_bar_counts_the_files_that_are_applied(number: int, of: int, cells: int) -> None:
    """Whatever the runner says, the bar has its length."""
    found = seen("Progressing", run={**RUN, "progress": {**BLOCKED, "number": number, "of": of}}).status.run
    assert found
    assert found.progress
    text = progress.bar(found.progress)
    assert (text.count("█"), text.count("░")) == (cells, 20 - cells)


def test_the_tree_has_the_bar_of_an_active_run() -> None:
    resource = seen("Progressing", "WaitingForLock", BLOCKED["message"], run={**RUN, "progress": BLOCKED})
    tree = [click.unstyle(line).strip() for line in view.tree(resource, [], NOW)]
    assert BLOCKED["message"] in tree
    assert "[█████░░░░░░░░░░░░░░░] 2 of 7 files applied, now statement 2 of 20250812_add_index.sql" in tree


def test_lines_are_replaced_in_place_and_gone_in_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "10")
    with Screen(live=True) as screen:
        screen.show(["  one", "  a message that is longer than the terminal is wide"])
        screen.add("stays")
        screen.show(["  two"])
    assert terminal(capsys.readouterr().out) == ["stays"]


def test_what_does_not_fit_is_wrapped_and_then_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "3")
    Screen(live=True).show(["  " + "word " * 30])
    assert terminal(capsys.readouterr().out) == ["  word word word", "  word word word"]


def test_without_a_terminal_nothing_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen() as screen:
        screen.show(["one"])
        screen.add("stays")
    assert capsys.readouterr().out == "stays\n"


def terminal(written: str) -> list[str]:
    """What a terminal shows of it in the end; it knows only the sequences that Screen uses."""
    shown: list[str] = []
    for sequence in ("\x1b[?7l", "\x1b[?7h", "\r"):
        written = written.replace(sequence, "")
    for part in written.split("\x1b["):
        if part[:1].isdigit() and "A" in part:
            up, part = part.split("A", 1)  # noqa: PLW2901 - the rest of it
            shown = shown[: -int(up)]
        shown += part.removeprefix("J").splitlines()
    return shown
