"""A work queue hands keys to workers.

- Fair: keys are handed out in the order they were added.
- Stingy: a key added many times before a worker takes it is worked on once.
- One worker for a key: a key is never handed out while a worker processes it; added meanwhile, it is handed out
  again after `done`.
- Shutdown drains: what was added before is still handed out, what is added after is not taken.

A key taken by a worker loses its delayed add: the worker is about to look at everything, and says at its end when to
look again. (client-go lets the stale delay fire: an idle pass, and after a failure a retry ahead of its back-off.)

It belongs to the event loop's thread; only the gauges are read from elsewhere.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from dbupgrade.clock import Clock
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.delayed import Delayed
from dbupgrade.telemetry import metrics

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):  # noqa: N818 - the end of work, not an error
    """The queue is shut down and empty."""


class WorkQueue(Generic[K]):
    """Keys that wait for a worker. `name` is the label of its metrics; delays are in seconds of `clock`."""

    def __init__(self, name: str, backoff: Backoff[K], clock: Clock) -> None:
        self._backoff = backoff
        self._clock = clock
        self._ready: deque[K] = deque()
        self._dirty: dict[K, float] = {}  # key that needs work -> when it was added; ready, unless in work
        self._working: dict[K, float] = {}  # key in work -> when it was handed out
        self._delayed: Delayed[K] = Delayed(clock, self.add)
        self._changed = asyncio.Event()
        self._shut = False
        self._adds = metrics.QUEUE_ADDS.labels(name)
        self._retries = metrics.QUEUE_RETRIES.labels(name)
        self._wait_seconds = metrics.QUEUE_WAIT_SECONDS.labels(name)
        self._work_seconds = metrics.QUEUE_WORK_SECONDS.labels(name)
        metrics.QUEUE_DEPTH.labels(name).set_function(lambda: len(self._dirty))
        metrics.QUEUE_UNFINISHED_SECONDS.labels(name).set_function(lambda: sum(self._ages()))
        metrics.QUEUE_LONGEST_SECONDS.labels(name).set_function(lambda: max(self._ages(), default=0.0))

    def add(self, key: K) -> None:
        """Have the key worked on as soon as a worker is free."""
        if self._shut or key in self._dirty:
            return
        self._dirty[key] = self._clock.monotonic()
        self._adds.inc()
        if key not in self._working:
            self._enqueue(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key worked on in that many seconds; of two delays the one that ends first counts."""
        if self._shut:
            return
        if seconds > 0:
            self._delayed.put(key, seconds)
        else:
            self.add(key)

    def add_rate_limited(self, key: K) -> None:
        """Have the key worked on after its back-off, which grows each time until it is forgotten."""
        self._retries.inc()
        self.add_after(key, self._backoff.next(key))

    def forget(self, key: K) -> None:
        """End the key's back-off: the next failure is its first."""
        self._backoff.forget(key)

    async def get(self) -> K:
        """Wait for a key and take it; every key taken needs its `done`. ShutDown when there will be none."""
        while not self._ready:
            if self._shut:
                raise ShutDown
            # Every waiting worker wakes and all but one wait again: they are few, and one that is cancelled
            # as it wakes takes nothing with it.
            self._changed.clear()
            await self._changed.wait()
        return self._take()

    def done(self, key: K) -> None:
        """End the work on a key; KeyError when nobody works on it."""
        self._work_seconds.observe(self._clock.monotonic() - self._working.pop(key))
        if key in self._dirty:
            self._enqueue(key)

    def shut_down(self) -> None:
        """Take no more keys, drop the delayed ones, and let the workers have the rest."""
        self._shut = True
        self._delayed.clear()
        self._changed.set()

    def _enqueue(self, key: K) -> None:
        self._ready.append(key)
        self._changed.set()

    def _take(self) -> K:
        key = self._ready.popleft()
        now = self._clock.monotonic()
        self._wait_seconds.observe(now - self._dirty.pop(key))
        self._working[key] = now
        self._delayed.drop(key)
        return key

    def _ages(self) -> list[float]:
        now = self._clock.monotonic()
        return [now - started for started in tuple(self._working.values())]
