"""What the operator reads of the runner's log while it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbupgrade.pod.progress import Seen, read


def line(event: str = "blocked", **values: Any) -> str:
    known = {"file": "2_b.sql", "number": 2, "of": 3, "message": "waiting", "statement": 4}
    return json.dumps({"event": event, "level": "info", **known, **values})


SEEN = Seen("2_b.sql", 2, 3, "waiting", is_blocked=True, statement=4)
LOGS = [
    pytest.param("", None, id="nothing"),
    pytest.param(line(), SEEN, id="one line"),
    pytest.param(f"{line(file='1_a.sql')}\n{line()}\n", SEEN, id="the last one"),
    pytest.param(
        f"{line()}\n{line('connected')}\nno JSON\n[1]\n{'[' * 100_000}", SEEN, id="lines of other kinds"
    ),
    pytest.param(line("running"), Seen("2_b.sql", 2, 3, "waiting", statement=4), id="not blocked"),
    pytest.param(line("applying", statement=None), Seen("2_b.sql", 2, 3, "waiting"), id="no statement"),
    pytest.param(line(number="2"), None, id="another type"),
    pytest.param(line()[:-4], None, id="a line that is cut"),
]


@pytest.mark.parametrize(("log", "seen"), LOGS)
def test_the_last_line_on_progress_counts(log: str, seen: Seen | None) -> None:
    assert read(log) == seen


def test_texts_are_bounded_and_printable() -> None:
    seen = read(line(file="\x1b[2J" + "f" * 1000, message="m\u202e" * 5000))
    assert seen
    assert (len(seen.file.encode()) <= 255, len(seen.message.encode()) <= 1024) == (True, True)
    assert (seen.file + seen.message).isprintable()
