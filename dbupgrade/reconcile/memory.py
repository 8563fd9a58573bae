"""What this process has done or seen and the caches do not show (yet, or any more)."""

import time
from dataclasses import dataclass, field
from datetime import datetime

from dbupgrade.api.check_status import CheckStatus
from dbupgrade.decide.observed import JobView, Looked
from dbupgrade.objects import Key

EXPECTATION_SECONDS = 5.0


@dataclass
class Memory:
    """Notes on one resource.

    `overwritten`: the resourceVersion that our last status write replaced; a cache that still has it is behind.
    `created`: name of the Job that was just created, and when (monotonic seconds).
    `known_job`: uid of the Job that this process has created, or found to run the same.
    `foreign`: a Job of somebody else's that has the name which ours should have.
    `expired`: names of the Jobs that were given their TTL.
    `started_jobs`: uids of the Jobs in whose pods `migrate` was seen started.
    `unread`: how often the log of the ended pod could not be read.
    `progress`: the last look at what the run's Job is doing.
    `token`: the Secret with the run's AWS token, and when it was last written (UTC).
    `checks`: what was last known of the checks; None when nothing was, since the process began.
    """

    overwritten: str = ""
    created: tuple[str, float] = ("", 0.0)
    known_job: str = ""
    foreign: JobView | None = None
    expired: set[str] = field(default_factory=set)
    started_jobs: set[str] = field(default_factory=set)
    unread: int = 0
    checks: tuple[CheckStatus, ...] | None = None
    progress: Looked | None = None
    token: tuple[str, datetime] | None = None

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
        """The resource was deleted."""
        self._by_key.pop(key, None)


@dataclass
class _Unended:
    database: str
    uid: str
    launched: float | None = None
    shown: bool = False


class UnendedJobs:
    """Jobs that were created or seen running, and whose end was not seen: their databases may not be free.

    A Job that has gone, and one that no watch ever showed, may have left pods at work that no watch shows either: it stays
    here until the API server was asked. Keys are those of Jobs, databases are those that resources claim.
    """

    def __init__(self) -> None:
        self._by_job: dict[Key, _Unended] = {}
        self._on: dict[str, set[Key]] = {}  # by database: each reconcile asks, and many Jobs may be at work

    def launched(self, job: Key, database: str, uid: str) -> None:
        """The Job is about to be created, for the resource with that uid."""
        self.ended(job)
        self._by_job[job] = _Unended(database, uid, launched=time.monotonic())
        self._on.setdefault(database, set()).add(job)

    def shown(self, job: Key, database: str, uid: str) -> None:
        """The cache shows that the Job is running."""
        entry = self._by_job.setdefault(job, _Unended(database, uid))
        entry.shown = True
        self._on.setdefault(entry.database, set()).add(job)

    def ended(self, job: Key) -> None:
        """The Job has ended, its pods with it."""
        entry = self._by_job.pop(job, None)
        if entry is None:
            return
        self._on[entry.database].discard(job)
        if not self._on[entry.database]:
            del self._on[entry.database]

    def on(self, database: str) -> dict[Key, str]:
        """The Jobs on a database, with the uids of their resources."""
        return {job: self._by_job[job].uid for job in self._on.get(database, ())}

    def is_settled(self, job: Key) -> bool:
        """Whether the API server knows about the Job: its creation may take some seconds."""
        entry = self._by_job[job]
        if entry.shown or entry.launched is None:
            return True
        return time.monotonic() - entry.launched >= EXPECTATION_SECONDS
