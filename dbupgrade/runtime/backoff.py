"""Back-off: how long to wait before the next try, longer each time, counted for each key."""

import random
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """Seconds that double from `base` to `cap` until the key is forgotten.

    `jitter` (0 to 1) is the share of each wait that chance may take off, so that callers which failed together
    do not come back together and none waits longer than `cap`.
    """

    def __init__(self, base: float, cap: float, jitter: float, rng: random.Random) -> None:
        if not 0 < base <= cap:
            raise ValueError("a back-off needs 0 < base <= cap")
        if not 0 <= jitter <= 1:
            raise ValueError("jitter is a share, from 0 to 1")
        self._base = base
        self._cap = cap
        self._jitter = jitter
        self._rng = rng
        self._waits: dict[K, float] = {}  # the next wait itself: a count would overflow 2**count one day

    def next(self, key: K) -> float:
        """Return the seconds to wait after this failure of the key."""
        wait = self._waits.get(key, self._base)
        self._waits[key] = min(wait * 2, self._cap)
        return wait * (1 - self._jitter * self._rng.random())

    def forget(self, key: K) -> None:
        """Start again from `base` at the key's next failure."""
        self._waits.pop(key, None)
