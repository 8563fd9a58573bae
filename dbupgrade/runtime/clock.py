"""Time as an argument, so that tests step it instead of waiting for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that was planned."""

    def cancel(self) -> None:
        """Take the call back; harmless when it was made already."""


class Clock(Protocol):
    """What the runtime needs to know of time; all in seconds."""

    def monotonic(self) -> float:
        """Return a time that only grows; its zero means nothing."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in the event loop, when the seconds are over."""

    async def sleep(self, seconds: float) -> None:
        """Return when the seconds are over."""


class LoopClock:
    """The time of the running event loop."""

    def monotonic(self) -> float:
        """Return the monotonic time; safe to ask from any thread, as a metrics scrape does."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Plan a call in the running loop; RuntimeError when none runs."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Sleep in the running loop."""
        await asyncio.sleep(seconds)
