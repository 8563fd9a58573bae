"""Where a run is by the engine's events, and the words for what its session waits for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbupgrade.toolkit.progress.place import Place, Tracker
from dbupgrade.toolkit.progress.waits import running_words, span, wait, waiting_words

PLACE = Place("2_b.sql", 3, 7, backend=9, statement=2, statements=4, line=5)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def line(event: str, **values: Any) -> str:
    return json.dumps({"event": event, **values}) + "\n"


def test_a_run_is_where_the_engine_says() -> None:
    clock, began = Clock(), list[Place]()
    tracker = Tracker(["1_a.sql", "2_b.sql"], clock, began.append)
    tracker.hear(line("run", files=[]))
    tracker.hear(line("file", file="2_b.sql", number=1, backend=9, statements=4))
    assert began == [Place("2_b.sql", 2, 2, 9, statements=4)]
    clock.now = 5
    tracker.hear(line("statement", file="2_b.sql", statement=1, line=3))
    assert tracker.place == Place("2_b.sql", 2, 2, 9, statement=1, statements=4, line=3, since=5)
    tracker.hear(line("fileEnd", file="2_b.sql"))
    assert tracker.place is None


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", line("file", file="other.sql", backend=1), line("file", file=1), line("statement")],
)
def test_a_line_that_is_no_event_of_the_run_changes_nothing(text: str) -> None:
    tracker = Tracker(["1_a.sql"], Clock(), lambda _: None)
    tracker.hear(text)
    assert tracker.place is None


def test_a_statement_that_is_tried_again_goes_on_since_its_first_try() -> None:
    clock = Clock()
    tracker = Tracker(["1_a.sql"], clock, lambda _: None)
    for at in (10, 20):
        clock.now = at
        tracker.hear(line("file", file="1_a.sql", backend=at, statements=2))
        tracker.hear(line("statement", statement=1))
        assert tracker.place
        assert (tracker.place.since, tracker.place.backend) == (10, at)
        tracker.hear(line("error", file="1_a.sql", statement=1))
    tracker.hear(line("file", file="1_a.sql", backend=1, statements=2))
    tracker.hear(line("statement", statement=2))
    assert tracker.place
    assert tracker.place.since == 20


def row(**values: Any) -> dict[str, Any]:
    return {
        "pid": 812,
        "user": "bob",
        "application": "reporting",
        "client": "10.0.0.1",
        "state": "idle in transaction",
        "statement": "select secret from t where name = 'hunter2'",
        "transaction_seconds": 720,
        "relation": "orders",
        "mode": "AccessExclusiveLock",
        "our_user": "shop",
        **values,
    }


HIDDEN = {"state": None, "transaction_seconds": None, "statement": "<insufficient privilege>"}
WAITS = [
    pytest.param(
        [row()],
        "2_b.sql (3 of 7): waiting 40 s for a lock on orders, held by application 'reporting' "
        "(pid 812, user bob, transaction open for 12 min)",
        id="all that there is to know",
    ),
    pytest.param(
        [row(**HIDDEN)],
        "2_b.sql (3 of 7): waiting 40 s for a lock on orders, held by application 'reporting' (pid 812, user bob); "
        'GRANT pg_read_all_stats TO "shop" shows the details',
        id="without the rights",
    ),
    pytest.param(
        [row(application="", relation=None, user=None), row(pid=813), row(pid=814)],
        "2_b.sql (3 of 7): waiting 40 s for a lock, held by pid 812, transaction open for 12 min and 2 more",
        id="a row's lock, and several",
    ),
    pytest.param(
        [row(application="\x1b[2Jevil\n", relation="o\u202erders")],
        "2_b.sql (3 of 7): waiting 40 s for a lock on orders, held by application '[2Jevil ' "
        "(pid 812, user bob, transaction open for 12 min)",
        id="names that a terminal would obey",
    ),
]


@pytest.mark.parametrize(("rows", "words"), WAITS)
def test_a_wait_names_who_holds_the_lock(rows: list[dict[str, Any]], words: str) -> None:
    found = wait(rows)
    assert found
    assert waiting_words(PLACE, found, 40.4) == words
    assert all("hunter2" not in (blocker.statement or "") for blocker in found.blockers)


def test_nothing_is_waited_for_without_rows() -> None:
    assert wait([]) is None


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (None, ""),
        (
            {"phase": "building index", "relation": "orders", "done": 31, "total": 100, "rows": 0},
            " (building index of orders, 31 %)",
        ),
        (
            {"phase": "waiting for readers", "relation": "orders", "done": 0, "total": 0, "rows": None},
            " (waiting for readers of orders)",
        ),
        (
            {"phase": "COPY FROM", "relation": "orders", "done": 512, "total": 0, "rows": 1200},
            " (COPY FROM of orders, 1200 rows)",
        ),
        (
            {"phase": "COPY TO", "relation": None, "done": 512, "total": 0, "rows": 1200},
            " (COPY TO, 1200 rows)",
        ),
    ],
)
def test_what_runs_is_told_with_how_far_it_is(progress: dict[str, Any] | None, words: str) -> None:
    assert (
        running_words(PLACE, 130, progress)
        == f"2_b.sql (3 of 7): statement 2 of 4 has been running for 2 min{words}"
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (720, "12 min"), (9000, "2.5 h")]
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("query", "line"),
    [("update a", 2), ("update a\n  set b = 1;", 2), ("select 1;", 0), ("drop table x", 0)],
)
def test_the_statement_of_an_engine_that_runs_a_file_as_a_whole_is_known_by_its_line(
    query: str, line: int
) -> None:
    """The server says what it executes; what stands there twice could be either."""
    place = Place("2_b.sql", 3, 7, 9, text="select 1;\nupdate a\n  set b = 1;\nselect 1;\n", since=1)
    assert (place.at(query, 5).line, place.at(query, 5).since) == (line, 5)
    assert place.at(query, 5).words == f"2_b.sql (3 of 7{', line 2' if line else ''})"
