"""When a failed run is retried automatically."""

from datetime import timedelta

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.decide.failures import KINDS, Retry

_CAP_SECONDS = 300.0
_UNSEEN_SECRET_SECONDS = 3600.0
"""How long after its end a run is repeated that needs another Secret, where its change cannot be seen."""


def delay_after(run: Run, uid: str) -> timedelta | None:
    """How long after its end the failed `run` is retried automatically; None when it is not.

    After a failure that another Secret can fix, that is when the Secret changes, or after an hour if the operator does not
    read Secrets.
    """
    if run.failure is None or waits_for_secret(run):
        return None
    if KINDS[run.failure].retry is Retry.SECRET_CHANGE:
        return _jittered(_UNSEEN_SECRET_SECONDS, run.attempt, uid)
    return retry_delay(run.failure, run.attempt, uid)


def waits_for_secret(run: Run) -> bool:
    """Whether the failed `run` is retried when its Secret changes: the operator knows the version that it had."""
    needs_another = run.failure is not None and KINDS[run.failure].retry is Retry.SECRET_CHANGE
    return needs_another and run.secret_version is not None


def retry_delay(failure: Failure, attempt: int, uid: str) -> timedelta | None:
    """How long after its end a run that failed for a passing reason is retried; None for another reason.

    Doubles from ten seconds, or thirty for a Secret, to five minutes.
    """
    kind = KINDS[failure]
    if kind.retry is not Retry.BACKOFF:
        return None
    return _jittered(min(kind.first_delay * 2.0 ** min(attempt - 1, 10), _CAP_SECONDS), attempt, uid)


def _jittered(seconds: float, attempt: int, uid: str) -> timedelta:
    """The jitter (up to a fifth) comes from `uid` and `attempt`, so that the same run gets the same answer, also after a restart."""
    jitter = int(names.digest(uid, attempt, length=4), 16) / 0xFFFF
    return timedelta(seconds=round(seconds * (1 + jitter / 5), 1))
