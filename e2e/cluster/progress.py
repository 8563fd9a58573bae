"""Shows how far a long piece of work is: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WIDTH = 20
_LINE_SECONDS = 60.0
_KNOWN = 0.1
"""The part after which the time left follows from the time taken; before, it is the guess."""


class Progress:
    """Steps with a weight each, in their order: the seconds that they take by a guess."""

    def __init__(
        self,
        weights: Mapping[str, float],
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weights = weights
        self._stream = stream
        self._clock = clock
        self._began = self._shown = clock()
        self._step = ""

    def begin(self, step: str) -> None:
        """Go on to a step; all before it are done."""
        self._step = step
        self.at(0, now=True)

    def at(self, part: float, *, now: bool = False) -> None:
        """Show that a part of the step is done, from 0 to 1; `now` even if something was shown just before."""
        elapsed = self._clock() - self._began
        if self._stream.isatty():
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"\r\x1b[K{bar(self._weights, self._step, part, elapsed, columns)}")
        elif now or self._clock() - self._shown >= _LINE_SECONDS:
            self._stream.write(f"{text(self._weights, self._step, part, elapsed)}\n")
            self._shown = self._clock()
        self._stream.flush()

    def end(self) -> None:
        """Everything is done."""
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
        self._stream.write(f"built everything in {duration(self._clock() - self._began)}\n")
        self._stream.flush()


def bar(weights: Mapping[str, float], step: str, part: float, elapsed: float, columns: int) -> str:
    """What a terminal shows: one line, cut to its width, since a wrapped one could not be overwritten."""
    full = round(_fraction(weights, step, part) * _WIDTH)
    line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {text(weights, step, part, elapsed)}"
    return line if len(line) < columns else f"{line[: columns - 2]}…"


def text(weights: Mapping[str, float], step: str, part: float, elapsed: float) -> str:
    """How much is done, the time that it took and the time left, the step at hand, and the steps after it."""
    fraction = _fraction(weights, step, part)
    left = sum(weights.values()) * (1 - fraction)
    if fraction >= _KNOWN:
        left = elapsed * (1 - fraction) / fraction
    steps = list(weights)
    number = steps.index(step) + 1
    later = f"; then {', '.join(steps[number:])}" if steps[number:] else ""
    return (
        f"{fraction:4.0%}, {duration(elapsed)} elapsed, about {duration(left)} left: "
        f"building {number} of {len(steps)}, {step}{later}"
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _fraction(weights: Mapping[str, float], step: str, part: float) -> float:
    """How much of the whole is done, from 0 to 1."""
    done = 0.0
    for name, weight in weights.items():
        if name == step:
            return min(1.0, (done + part * weight) / sum(weights.values()))
        done += weight
    raise KeyError(step)
