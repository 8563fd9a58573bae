"""What this process has done and the caches do not show yet. Losing it costs a request, never correctness."""

from dataclasses import dataclass

from dbupgrade.decide.observed import JobView
from dbupgrade.runtime.objects import Key

EXPECTATION_SECONDS = 5.0


@dataclass
class Memory:
    """Notes on one resource.

    `overwritten`: the resourceVersion that our last status write replaced; a cache that still has it is behind.
    `created`: name of the Job that was just created, and when (monotonic seconds).
    `foreign`: a Job of somebody else's that has the name which ours should have.
    `expired`: name of the Job that was given its TTL.
    `unread`: how often the log of the ended pod could not be read.
    """

    overwritten: str = ""
    created: tuple[str, float] = ("", 0.0)
    foreign: JobView | None = None
    expired: str = ""
    unread: int = 0

    def expects(self, job_name: str, now: float) -> bool:
        """Whether the Job was created so recently that the cache may lack it."""
        name, at = self.created
        return name == job_name and now - at < EXPECTATION_SECONDS


class Memories:
    """The notes on each resource, by key."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Memory] = {}

    def of(self, key: Key) -> Memory:
        """The notes on a resource, new ones if there are none."""
        return self._by_key.setdefault(key, Memory())

    def forget(self, key: Key) -> None:
        """The resource has gone."""
        self._by_key.pop(key, None)
