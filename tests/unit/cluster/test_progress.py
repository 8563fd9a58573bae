"""What somebody sees who waits for a build."""

from __future__ import annotations

import io

import pytest

from e2e.cluster.progress import Progress
from e2e.cluster.tools import CLUSTER, PURPOSES, TOOLS


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("step", "part", "elapsed", "text"),
    [
        ("first", 0.0, 0, "[..............................]   0%, about 2 min left: building first"),
        ("first", 0.2, 50, "[##............................]   5%, about 95 s left: building first"),
        ("first", 1.0, 60, "[########......................]  25%, about 3 min left: building first"),
        ("second", 0.0, 60, "[########......................]  25%, about 3 min left: building second"),
        ("second", 1.0, 60, "[##############################] 100%, about 0 s left: building second"),
    ],
)
def test_a_bar_shows_what_is_done_and_left(step: str, part: float, elapsed: int, text: str) -> None:
    """The guess of the time left gives way to what the machine has shown to need."""
    screen, watch = Screen(), Watch()
    progress = Progress({"first": 25, "second": 75}, screen, watch)
    progress.begin("first")
    if step == "second":
        progress.begin(step)
    watch.now = elapsed
    progress.at(part)
    assert screen.getvalue().rpartition("\x1b[K")[2] == text


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
        "0%, about 3 min left: building first",
        "15%, about 6 min left: building first",
        "30%, about 5 min left: building first",
        "45%, about 4 min left: building first",
        "50%, about 3 min left: building second",
        "built everything in 3 min",
    ]


def test_every_purpose_is_of_tools_that_there_are() -> None:
    names = {tool.name for tool in TOOLS}
    assert all(set(wanted) <= names for wanted in PURPOSES.values())
    assert set(PURPOSES["everything"]) == names == set().union(*map(set, list(PURPOSES.values())[:-1]))
    assert {tool.name for tool in CLUSTER} == set(PURPOSES["cluster"])
