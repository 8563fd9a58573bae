"""What somebody sees who waits for a build."""

from __future__ import annotations

import io

import pytest

from e2e.cluster.progress import Progress, bar
from e2e.cluster.tools import CLUSTER, PURPOSES, TOOLS


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


WEIGHTS = {"etcd": 25, "kubernetes (6 programs)": 50, "coredns": 25}


@pytest.mark.parametrize(
    ("step", "part", "elapsed", "line"),
    [
        (
            "etcd", 0.0, 0,
            "[....................]   0%, 0 s elapsed, about 2 min left: building 1 of 3, etcd; then kubernetes (6 programs), coredns",
        ),
        (
            "etcd", 0.2, 50,
            "[#...................]   5%, 50 s elapsed, about 95 s left: building 1 of 3, etcd; then kubernetes (6 programs), coredns",
        ),
        (
            "kubernetes (6 programs)", 0.5, 300,
            "[##########..........]  50%, 5 min elapsed, about 5 min left: building 2 of 3, kubernetes (6 programs); then coredns",
        ),
        ("coredns", 0.0, 60, "[###############.....]  75%, 60 s elapsed, about 20 s left: building 3 of 3, coredns"),
        ("coredns", 1.1, 60, "[####################] 100%, 60 s elapsed, about 0 s left: building 3 of 3, coredns"),
    ],
)  # fmt: skip
def test_a_bar_shows_what_is_done_and_left(step: str, part: float, elapsed: int, line: str) -> None:
    """The guess of the time left gives way to what the machine has shown to need."""
    assert bar(WEIGHTS, step, part, elapsed, columns=200) == line


@pytest.mark.parametrize("columns", [40, 83, 84, 85, 120])
def test_a_bar_never_wraps(columns: int) -> None:
    """A terminal wraps when its last column is written, so one stays free."""
    whole = "[###############.....]  75%, 60 s elapsed, about 20 s left: building 3 of 3, coredns"
    assert len(whole) == 84
    line = bar(WEIGHTS, "coredns", 0, 60, columns)
    assert line == (whole if columns > 84 else f"{whole[: columns - 2]}…")
    assert len(line) < columns


def test_a_terminal_is_written_in_place() -> None:
    screen = Screen()
    progress = Progress({"etcd": 1}, screen, Watch())
    progress.begin("etcd")
    progress.end()
    assert [piece[:7] for piece in screen.getvalue().split("\r\x1b[K")] == ["", "[......", "built e"]


def test_a_log_gets_a_line_a_step_and_a_line_a_minute() -> None:
    log, watch = io.StringIO(), Watch()
    progress = Progress({"first": 100, "second": 100}, log, watch)
    progress.begin("first")
    for _ in range(200):
        watch.now += 1
        progress.at(watch.now / 200)
    progress.begin("second")
    progress.end()
    assert [line.strip() for line in log.getvalue().splitlines()] == [
        "0%, 0 s elapsed, about 3 min left: building 1 of 2, first; then second",
        "15%, 60 s elapsed, about 6 min left: building 1 of 2, first; then second",
        "30%, 2 min elapsed, about 5 min left: building 1 of 2, first; then second",
        "45%, 3 min elapsed, about 4 min left: building 1 of 2, first; then second",
        "50%, 3 min elapsed, about 3 min left: building 2 of 2, second",
        "built everything in 3 min",
    ]


def test_every_purpose_is_of_tools_that_there_are() -> None:
    names = {tool.name for tool in TOOLS}
    assert all(set(wanted) <= names for wanted in PURPOSES.values())
    assert set(PURPOSES["everything"]) == names == set().union(*map(set, list(PURPOSES.values())[:-1]))
    assert {tool.name for tool in CLUSTER} == set(PURPOSES["cluster"])
