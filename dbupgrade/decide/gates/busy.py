"""Is the database free? No other run may be using it, and nothing of an earlier run of the same resource."""

from datetime import timedelta

from dbupgrade.api.conditions import Reason
from dbupgrade.decide.gates.gate import OPEN, RECHECK_SECONDS, WAITING, GateAnswer, Hold, Pause
from dbupgrade.decide.needs import ReadEnds
from dbupgrade.decide.observed import JobView, Observed

# A Job ends some two seconds after its container: a status that tells of that would be gone before anybody reads it.
_JOB_ENDS_WITHIN = timedelta(seconds=10)


def look(observed: Observed) -> GateAnswer | ReadEnds:
    """Open when the database is free. A waiter is woken when it is; looking again is for what no watch shows."""
    if ending := _seconds_to_end(observed):
        return GateAnswer(Pause(observed.checks, look_again=ending))
    found = _own_remains(observed) or others_at_work(observed)
    if isinstance(found, ReadEnds):
        return found
    if not found:
        return OPEN
    message = observed.resource.told(Reason.DATABASE_BUSY)
    if not message.startswith(WAITING):  # it is written once, and not for each that goes before
        message = f"{WAITING}{found} (at {observed.now:%H:%M:%S} UTC)"
    return GateAnswer(Hold(Reason.DATABASE_BUSY, message, requeue_after=RECHECK_SECONDS))


def others_at_work(observed: Observed) -> str | ReadEnds:
    """Who else works on the database, or may still do so; empty when it is free."""
    if observed.busy or not observed.unended:
        return observed.busy
    unknown = tuple(job for job in observed.unended if job.may_be_asked)
    if unknown:
        return ReadEnds(unknown)
    job = observed.unended[0]
    return f"the operator does not know yet how Job {job.name} ended"


def _seconds_to_end(observed: Observed) -> float:
    """For how long the Job of the run whose end was just recorded is given time to end without a word."""
    run = observed.resource.status.run
    if run is None or run.finished_at is None or not _ending_job(observed):
        return 0.0
    since = observed.now - run.finished_at
    return (_JOB_ENDS_WITHIN - since).total_seconds() if timedelta() <= since < _JOB_ENDS_WITHIN else 0.0


def _ending_job(observed: Observed) -> JobView | None:
    """The Job of the run whose end is recorded, if it has not ended yet."""
    run = observed.resource.status.run
    jobs = observed.jobs_of_resource if run else ()
    return next((job for job in jobs if run and job.uid == run.job_uid and not job.finished), None)


def _own_remains(observed: Observed) -> str:
    """What is left of the resource's own earlier runs and has not ended."""
    if job := _ending_job(observed):
        return f"Job {job.name} of the last run has not ended yet"
    if job := _unknown_job(observed):
        return (
            f"Job {job.name} of this resource is still running, and the status that recorded it was lost. When the Job "
            "has ended, the run is repeated and applies only what is left"
        )
    pod = observed.living_pod
    return f"pod {pod.name} of an earlier run has not ended" if pod and not observed.busy else ""


def _unknown_job(observed: Observed) -> JobView | None:
    """A Job of this resource that has not ended although no run is active: the status was lost, or an older one was restored."""
    return next((job for job in observed.jobs_of_resource if not job.finished), None)
