"""The picture of a terminal: what a terminal shows, and when the picture shows it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dbupgrade.cli.screen import Screen
from e2e.recording.svg import Frame, Life, lifetimes, picture, quickened
from e2e.recording.terminal import Row, Terminal

COMMITTED = Path(__file__).parents[3] / "docs/images/terminal.svg"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("  one  \r\n", ["  one"]),
        ("abc\rX", ["Xbc"]),
        ("123456789\r\n", ["12345678", "9"]),
        ("12345678\r\nx", ["12345678", "x"]),
        ("\x1b[?7l123456789\x1b[?7h\r\n", ["12345678"]),
        ("one\r\ntwo\r\nthree\r\n\x1b[2A\r\x1b[Jnew\r\n", ["one", "new"]),
        ("a\r\n\r\nb", ["a", "", "b"]),
    ],
)
def test_a_terminal_shows(written: str, shown: list[str]) -> None:
    terminal = Terminal(columns=8)
    terminal.write(written)
    assert ["".join(text for text, _ in row) for row in terminal.shown()] == shown


def test_colours_are_styles() -> None:
    terminal = Terminal(columns=80)
    terminal.write("\x1b[1m\x1b[31mbad\x1b[0m: \x1b[32mgood\x1b[0m")
    assert terminal.shown() == ((("bad", "bold red"), (": ", ""), ("good", "green")),)


def test_what_the_terminal_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not know"):
        Terminal(columns=80).write("\x1b[5;5H")


def test_the_lines_that_kubectl_dbupgrade_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal takes what our own command writes, which goes back over the lines that it has written."""
    with Screen(live=True) as screen:
        screen.add("Running")
        screen.show(["bar", "message"])
        screen.show(["bar, later"])
        between = capsys.readouterr().out
    terminal = Terminal(columns=80)
    for text, shown in ((between, ["Running", "bar, later"]), (capsys.readouterr().out, ["Running"])):
        terminal.write(text.replace("\n", "\r\n"))
        assert ["".join(text for text, _ in row) for row in terminal.shown()] == shown


def _rows(*texts: str) -> tuple[Row, ...]:
    return tuple(((text, ""),) if text else () for text in texts)


def test_pauses_are_cut_and_what_changes_nothing_is_left_out() -> None:
    frames = [
        Frame(100.0, _rows("a"), 2.0),
        Frame(100.5, _rows("a", "b"), 2.0),
        Frame(103.0, _rows("a", "b"), 2.0),
        Frame(160.0, _rows("a", "c"), 0.25),
    ]
    assert [(frame.time, frame.rows) for frame in quickened(frames)] == [
        (0.0, _rows("a")),
        (0.5, _rows("a", "b")),
        (0.75, _rows("a", "c")),
    ]


def test_each_row_is_shown_as_long_as_it_was() -> None:
    frames = [Frame(0.0, _rows("a"), 1), Frame(1.0, _rows("a", "b"), 1), Frame(3.0, _rows("a", "c"), 1)]
    assert lifetimes(frames) == {
        Life(0.0, None): [(0, (("a", ""),))],
        Life(1.0, 3.0): [(1, (("b", ""),))],
        Life(3.0, None): [(1, (("c", ""),))],
    }


def test_what_is_there_at_last_is_seen_without_animation() -> None:
    frames = [Frame(0.0, _rows("<a> & b"), 1), Frame(1.0, _rows("x"), 1)]
    text = picture(frames, columns=20, title="A title")
    ET.fromstring(text)  # noqa: S314 - our own
    assert "&lt;a&gt; &amp; b</text>" in text
    assert ".f0{opacity:0;animation:k0 9.0s" in text
    assert ".f1{animation:k1 9.0s" in text


def test_the_committed_picture() -> None:
    """It is small, has what the README promises, and nothing of the machine that it was made on."""
    text = COMMITTED.read_text()
    assert len(text) < 100_000
    root = ET.fromstring(text)  # noqa: S314 - our own
    shown = "\n".join("".join(line.itertext()) for line in root.iter("{http://www.w3.org/2000/svg}text"))
    for wanted in (
        "kubectl apply",
        "kubectl dbupgrade wait",
        "files applied",
        "for a lock on",
        "kubectl dbupgrade explain",
        "SQLError",
    ):
        assert wanted in shown
    assert re.findall(r"\d+\.\d+\.\d+\.\d+|/(?:tmp|root|home|work)\b", shown) == []
