"""An animated SVG of what a terminal showed. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from e2e.recording.terminal import Row

LAST = 8.0
"""How long the last frame stands, in seconds, before all begins again."""
_CHARACTER, _LINE, _EDGE, _BAR = 8.43, 20, 16, 30
_STYLE = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dce2;white-space:pre}
.bold{font-weight:bold;fill:#fff}.red{fill:#ff7b72}.green{fill:#7ee787}.yellow{fill:#e3b341}.cyan{fill:#79c0ff}
@media(prefers-reduced-motion:reduce){g{animation:none!important}}"""


class Frame(NamedTuple):
    """What was shown from a time on, in seconds."""

    time: float
    rows: tuple[Row, ...]
    pause: float
    """The longest that the picture waits before it."""


class Life(NamedTuple):
    """When something was shown; without an end for what is there at last."""

    begin: float
    end: float | None


def picture(frames: Sequence[Frame], columns: int, title: str) -> str:
    """The SVG. What is there at last is also seen where nothing is animated."""
    frames = quickened(frames)
    total = frames[-1].time + LAST
    height = max(len(frame.rows) for frame in frames) * _LINE + _BAR + 2 * _EDGE
    width = round(columns * _CHARACTER) + 2 * _EDGE
    lives = lifetimes(frames)
    rules = "\n".join(_rule(number, life, total) for number, life in enumerate(lives))
    groups = "\n".join(_group(number, rows) for number, rows in enumerate(lives.values()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n{rules}\n</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>\n'
        '<g fill="#484f58"><circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/><circle cx="60" cy="18" r="6"/></g>\n'
        f"{groups}\n</svg>\n"
    )


def quickened(frames: Sequence[Frame]) -> list[Frame]:
    """The frames without long pauses, and without those in which nothing changes."""
    changed = [
        frame for number, frame in enumerate(frames) if not number or frame.rows != frames[number - 1].rows
    ]
    quick: list[Frame] = []
    for number, frame in enumerate(changed):
        before = changed[number - 1].time if number else frame.time
        time = quick[-1].time if quick else 0.0
        quick.append(Frame(time + min(frame.time - before, frame.pause), frame.rows, frame.pause))
    return quick


def lifetimes(frames: Sequence[Frame]) -> dict[Life, list[tuple[int, Row]]]:
    """The rows, with their numbers, by the time in which they were shown unchanged."""
    found: dict[Life, list[tuple[int, Row]]] = defaultdict(list)
    for number in range(max(len(frame.rows) for frame in frames)):
        for life, row in _of_one(frames, number):
            if row:
                found[life].append((number, row))
    return dict(sorted(found.items(), key=lambda item: item[0].begin))


def _of_one(frames: Sequence[Frame], number: int) -> Iterator[tuple[Life, Row]]:
    begin = 0.0
    row: Row = ()
    for frame in frames:
        now: Row = frame.rows[number] if number < len(frame.rows) else ()
        if now != row:
            yield Life(begin, frame.time), row
            begin, row = frame.time, now
    yield Life(begin, None), row


def _rule(number: int, life: Life, total: float) -> str:
    """Hidden, shown from its beginning, and hidden again at its end."""
    steps = f"0%{{opacity:0}}{life.begin / total:.2%}{{opacity:1}}" if life.begin else "0%{opacity:1}"
    hidden = ""
    if life.end is not None:
        steps += f"{life.end / total:.2%}{{opacity:0}}"
        hidden = "opacity:0;"
    return f".f{number}{{{hidden}animation:k{number} {total:.1f}s infinite step-end}}@keyframes k{number}{{{steps}}}"


def _group(number: int, rows: Sequence[tuple[int, Row]]) -> str:
    lines = "".join(
        f'<text x="{_EDGE}" y="{_BAR + _EDGE + 14 + line * _LINE}">{_spans(row)}</text>' for line, row in rows
    )
    return f'<g class="f{number}">{lines}</g>'


def _spans(row: Row) -> str:
    return "".join(
        f'<tspan class="{style}">{escape(text)}</tspan>' if style else escape(text) for text, style in row
    )
