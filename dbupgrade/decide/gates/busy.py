"""Is the database free? Nobody else may be at work on it, and nothing of an earlier run."""

from dbupgrade.api.conditions import Reason
from dbupgrade.decide.gates.gate import OPEN, RECHECK_SECONDS, GateAnswer, Hold
from dbupgrade.decide.needs import ReadEnds
from dbupgrade.decide.observed import JobView, Observed


def look(observed: Observed) -> GateAnswer | ReadEnds:
    """Open when the database is free. A waiter is woken when it is; looking again is for what no watch shows."""
    found = _own_remains(observed) or others_at_work(observed)
    if isinstance(found, ReadEnds):
        return found
    if not found:
        return OPEN
    message = f"waiting for the database: {found}"
    return GateAnswer(Hold(Reason.DATABASE_BUSY, message, requeue_after=RECHECK_SECONDS))


def others_at_work(observed: Observed) -> str | ReadEnds:
    """Who else works on the database, or may still do so; empty when it is free."""
    if observed.busy or not observed.unended:
        return observed.busy
    unknown = tuple(job for job in observed.unended if job.may_be_asked)
    if unknown:
        return ReadEnds(unknown)
    job = observed.unended[0]
    return f"the end of Job {job.namespace}/{job.name} was not seen yet"


def _own_remains(observed: Observed) -> str:
    """What is left of the resource's own earlier runs and has not ended."""
    job = _unknown_job(observed)
    if job:
        return (
            f"Job {job.name} of this resource is still at work, and the status that told of it was lost. When it has "
            "ended, the run is repeated and applies only what is left"
        )
    pod = observed.living_pod
    return f"pod {pod.name} of an earlier run has not ended" if pod and not observed.busy else ""


def _unknown_job(observed: Observed) -> JobView | None:
    """A Job of the resource's own that has not ended though no run is on: its status was lost, or an older one restored."""
    own = (job for job in observed.own_jobs if job.owner_uid == observed.resource.uid)
    return next((job for job in own if not job.finished), None)
