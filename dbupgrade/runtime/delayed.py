"""Keys that wait for their time: one heap and one timer, however many they are."""

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dbupgrade.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)

_STALE_ALLOWED = 64


class Delayed(Generic[K]):
    """Hands each key to `deliver` when its time comes; a key waits once, for the earliest time asked for."""

    def __init__(self, clock: Clock, deliver: Callable[[K], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._order = itertools.count()  # keys of the same moment come in the order they were put
        self._due: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []  # also holds entries that `_due` no longer confirms
        self._timer: Timer | None = None
        self._timer_due = 0.0

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: K, seconds: float) -> None:
        """Deliver the key in that many seconds, unless it is due sooner anyway."""
        when = self._clock.monotonic() + seconds
        if key in self._due and self._due[key][0] <= when:
            return
        order = next(self._order)
        self._due[key] = (when, order)
        heapq.heappush(self._heap, (when, order, key))
        self._compact()
        self._arm()

    def drop(self, key: K) -> None:
        """Do not deliver the key; harmless when it does not wait."""
        self._due.pop(key, None)

    def clear(self) -> None:
        """Drop all keys."""
        self._due.clear()
        self._heap.clear()
        self._disarm()

    def _compact(self) -> None:
        """Rebuild the heap when most of it is stale: a busy key puts and drops far-off times without end."""
        if len(self._heap) > 2 * len(self._due) + _STALE_ALLOWED:
            self._heap = [(when, order, key) for key, (when, order) in self._due.items()]
            heapq.heapify(self._heap)

    def _arm(self) -> None:
        if not self._heap:
            return
        when = self._heap[0][0]
        if self._timer is not None and self._timer_due <= when:
            return  # too early a call is harmless, it arms the next
        self._disarm()
        self._timer_due = when
        self._timer = self._clock.call_later(max(0.0, when - self._clock.monotonic()), self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if not self._is_stale(entry):
                del self._due[entry[2]]
                self._deliver(entry[2])
        self._arm()

    def _is_stale(self, entry: tuple[float, int, K]) -> bool:
        when, order, key = entry
        return self._due.get(key) != (when, order)
