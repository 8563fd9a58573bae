"""What this process has done or seen and the caches do not show (yet, or any more)."""

import time
from dataclasses import dataclass, field

from dbupgrade.api.status import CheckStatus
from dbupgrade.decide.observed import JobView
from dbupgrade.runtime.objects import Key

EXPECTATION_SECONDS = 5.0


@dataclass
class Memory:
    """Notes on one resource.

    `overwritten`: the resourceVersion that our last status write replaced; a cache that still has it is behind.
    `created`: name of the Job that was just created, and when (monotonic seconds).
    `foreign`: a Job of somebody else's that has the name which ours should have.
    `expired`: names of the Jobs that were given their TTL.
    `started_jobs`: uids of the Jobs in whose pods `migrate` was seen started.
    `unread`: how often the log of the ended pod could not be read.
    `checks`: what was last known of the checks; None when nothing was, since the process began.
    """

    overwritten: str = ""
    created: tuple[str, float] = ("", 0.0)
    foreign: JobView | None = None
    expired: set[str] = field(default_factory=set)
    started_jobs: set[str] = field(default_factory=set)
    unread: int = 0
    checks: tuple[CheckStatus, ...] | None = None

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


@dataclass(frozen=True)
class _Launch:
    database: str
    uid: str
    at: float


class Launches:
    """Jobs that were just created and that the cache has not shown: their databases are taken.

    It matters when a resource is deleted and made anew at once: its claim went with it, its Job is not seen yet.
    """

    def __init__(self) -> None:
        self._by_job: dict[Key, _Launch] = {}

    def note(self, job: Key, database: str, uid: str) -> None:
        """The Job is about to be created, for the resource with that uid."""
        self._by_job[job] = _Launch(database, uid, time.monotonic())

    def seen(self, job: Key) -> None:
        """The cache has shown the Job."""
        self._by_job.pop(job, None)

    def unseen(self, database: str, uid: str) -> str:
        """A Job of another resource on that database that the cache may not show yet, for the message."""
        now = time.monotonic()
        self._by_job = {
            job: seen for job, seen in self._by_job.items() if now - seen.at < EXPECTATION_SECONDS
        }
        for job, launch in self._by_job.items():
            if launch.database == database and launch.uid != uid:
                return f"Job {job.namespace}/{job.name} was just created"
        return ""
