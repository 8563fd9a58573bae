"""Shows how far a long piece of work is: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH = 30
_LINE_SECONDS = 60.0
_KNOWN = 0.1
"""The part after which the time left follows from the time taken; before, it is the guess."""


class Progress:
    """Steps with a weight each: the seconds that they take by a guess."""

    def __init__(
        self,
        weights: dict[str, float],
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weights = weights
        self._stream = stream
        self._clock = clock
        self._total = sum(weights.values())
        self._began = self._shown = clock()
        self._done = 0.0
        self._step = ""

    def begin(self, step: str) -> None:
        """Go on to a step; the one before is done."""
        self._done += self._weights.get(self._step, 0)
        self._step = step
        self.at(0, now=True)

    def at(self, part: float, *, now: bool = False) -> None:
        """Show that a part of the step is done, from 0 to 1; `now` even if something was shown just before."""
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{self._bar(part)}")
        elif now or self._clock() - self._shown >= _LINE_SECONDS:
            self._stream.write(f"{self._text(part)}\n")
            self._shown = self._clock()
        self._stream.flush()

    def end(self) -> None:
        """Everything is done."""
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
        self._stream.write(f"built everything in {duration(self._clock() - self._began)}\n")
        self._stream.flush()

    def _fraction(self, part: float) -> float:
        return min(1.0, (self._done + part * self._weights[self._step]) / self._total)

    def _bar(self, part: float) -> str:
        full = round(self._fraction(part) * _WIDTH)
        return f"[{'#' * full}{'.' * (_WIDTH - full)}] {self._text(part)}"

    def _text(self, part: float) -> str:
        fraction = self._fraction(part)
        left = self._total * (1 - fraction)
        if fraction >= _KNOWN:
            left = (self._clock() - self._began) * (1 - fraction) / fraction
        return f"{fraction:4.0%}, about {duration(left)} left: building {self._step}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
