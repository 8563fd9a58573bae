"""Time, as an argument: parts that wait or write timestamps take a Clock, and tests step one of their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the parts of this package need to know of time."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC, for timestamps that others read."""

    def monotonic(self) -> float:
        """Return seconds since some moment, for durations; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds of the system's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """Return a Kubernetes Time: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Return a Kubernetes MicroTime: UTC, always six digits (the API server refuses fewer)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
