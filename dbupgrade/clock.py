"""Time as an argument: what waits or writes timestamps takes a Clock, and tests step one of their own."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A call that was planned."""

    def cancel(self) -> object:
        """Take the call back; harmless when it was made already."""


class Clock(Protocol):
    """What the operator needs to know of time; durations are in seconds."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC, for timestamps that others read."""

    def monotonic(self) -> float:
        """Return a time that only grows, for durations; its zero means nothing."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in the event loop, when the seconds are over."""

    async def sleep(self, seconds: float) -> None:
        """Return when the seconds are over."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the system's monotonic time; safe to ask from any thread, as a metrics scrape does."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Plan a call in the running loop; RuntimeError when none runs."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Sleep in the running loop."""
        await asyncio.sleep(seconds)


def utc_now() -> datetime:
    """Return the time in UTC, in whole seconds as Kubernetes writes it."""
    return datetime.now(UTC).replace(microsecond=0)
