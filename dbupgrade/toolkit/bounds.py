"""How long a statement may wait for a lock or take, and what becomes of a file that ran into such a limit. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report

LOCK_SECONDS = 5.0
"""How long a statement waits for a lock if no limit is set."""
MARGIN_SECONDS = 60.0
"""How long before the deadline of a run nothing is tried again: there must be time to say so."""
ENDED_BY_LOCK = frozenset({"55P03", "40P01"})
"""SQLSTATEs of a statement that has not got its lock in time, and of one that was part of a deadlock."""
_LOCK_WORDS = frozenset({"pq: canceling statement due to lock timeout", "pq: deadlock detected"})
"""What Atlas's command line before 1.0 says in their place. Any SQL can say so too; to try that again does no harm."""
_QUERY_CANCELED = "57014"
_OF_SOMEBODY = frozenset({"client", "user", "database", "database user"})
"""Where a setting comes from that was made for this database or its user, or in the URL."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0


@dataclass(frozen=True)
class Given:
    """The lock_timeout that a new session has in PostgreSQL, and where it comes from."""

    milliseconds: int = 0
    source: str = "default"


@dataclass(frozen=True)
class Bounds:
    """The limits for the sessions of files, in seconds; None keeps the session's own limit, and a lock limit of 0 means no limit."""

    lock: float | None = None
    statement: float | None = None

    @property
    def settings(self) -> Mapping[str, int]:
        """The same as settings of PostgreSQL, in milliseconds."""
        known = {"lock_timeout": self.lock, "statement_timeout": self.statement}
        return {name: milliseconds(seconds) for name, seconds in known.items() if seconds is not None}


def milliseconds(seconds: float) -> int:
    """At least one, unless there is no limit: to PostgreSQL, zero would be none."""
    return max(round(seconds * 1000), 1) if seconds > 0 else 0


def of_postgresql(lock: float | None, statement: float | None, given: Given) -> Bounds:
    """The limits of sessions that have `given`; `lock` and `statement` are what the settings of the run say."""
    if lock is None:
        is_shorter = 0 < given.milliseconds <= milliseconds(LOCK_SECONDS)
        lock = None if given.source in _OF_SOMEBODY or is_shorter else LOCK_SECONDS
    return Bounds(lock, statement or None)


def of_mysql(lock: float | None, url: str) -> Bounds:
    """The same for MySQL, where the limit is an upper bound for the session's own one."""
    if lock is None:
        lock = None if "lock_wait_timeout=" in url else LOCK_SECONDS
    return Bounds(lock or None)


def classified(report: Report, bounds: Bounds) -> Report:
    """`report`, with a failure of its own for a statement that took longer than it may."""
    if report.failure is Failure.SQL and report.sqlstate == _QUERY_CANCELED and bounds.statement:
        return replace(report, failure=Failure.STATEMENT_TIMEOUT)
    return report


def was_ended_by_lock(report: Report) -> bool:
    """Whether the statement failed because of others that use the same table or row."""
    known = report.sqlstate in ENDED_BY_LOCK if report.sqlstate else report.error in _LOCK_WORDS
    return report.failure is Failure.SQL and known


def pause(attempt: int, took: float, left: float, jitter: float) -> float | None:
    """Seconds to wait before a file is retried after its `attempt`-th attempt; None if there is no time for another attempt.

    `left` is the time until the deadline of the run, and `jitter` from 0 to 1: of two runs that block each other, one comes first.
    Everybody who has queued behind the file gets what they wait for in a pause.
    """
    seconds = min(_FIRST_PAUSE * 2.0 ** min(attempt - 1, 10), _LONGEST_PAUSE) * (0.75 + jitter / 2)
    return seconds if seconds + took <= left - MARGIN_SECONDS else None


def patience(seconds: float, left: float) -> float:
    """How long to wait for another run, of the time that is left until the deadline of this one."""
    return max(min(seconds, left - MARGIN_SECONDS), 0.0)
