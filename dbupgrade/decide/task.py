"""The life of a Job, whatever it does: awaited, gone, replaced, waiting to start, given up, at work, ended.

The stage of a run's Job follows from what was observed, and what it means for the resource is decided elsewhere. Where the
caches alone must not decide, as an absence in them may only be a delay, the stage is not known before a fresh read.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.spec.migrations import Delivery
from dbupgrade.decide import pulls
from dbupgrade.decide.needs import ReadRun
from dbupgrade.decide.observed import JobView, Observed, PodView
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.redact import clean

# Grace before a run that cannot start is given up (contract, section 3.8).
_IMAGE_PULL_GRACE = timedelta(seconds=60)
_SETTINGS_GRACE = timedelta(seconds=60)
_NO_POD_GRACE = timedelta(seconds=30)
_UNSCHEDULABLE_GRACE = timedelta(minutes=10)
# The Job's own deadline must not come first: it would look like a run that took too long.
_BEFORE_DEADLINE = timedelta(seconds=15)

_WHY_BYTES = 512
_KILLED = 128  # and the number of the signal
_SETTINGS_REASONS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}


@dataclass(frozen=True)
class Awaited:
    """The Job was just created, and the cache does not show it yet."""


@dataclass(frozen=True)
class Absent:
    """No Job was ever created for the run, as far as anybody knows, and no pod of the resource is alive."""


@dataclass(frozen=True)
class Foreign:
    """The Job with the name is not the run's."""


@dataclass(frozen=True)
class Unverified:
    """A Job with the name is there that claims to be the run's; whether it runs what ours would is not known."""


@dataclass(frozen=True)
class Orphaned:
    """The Job is gone, and a pod is alive."""

    pod: PodView


@dataclass(frozen=True)
class Gone:
    """The Job is gone before its end was recorded, and its pods with it."""

    failure: Failure


@dataclass(frozen=True)
class Waiting:
    """Something keeps the pod from starting. At `limit` (UTC) that becomes `failure`, and the Job is given up."""

    run: Run
    job: JobView
    pod: PodView | None
    failure: Failure
    why: str
    """A description for the message; empty as long as there is no pod."""
    limit: datetime


@dataclass(frozen=True)
class Starting:
    """The pod starts as it should."""

    run: Run
    job: JobView
    pod: PodView | None


@dataclass(frozen=True)
class AtWork:
    """The main container has started, be it in a pod that was replaced since."""

    run: Run
    job: JobView
    pod: PodView | None


@dataclass(frozen=True)
class GivenUp:
    """The Job is to be deleted: its main container never started, or it runs on without a sidecar that it needs."""

    run: Run
    job: JobView
    failure: Failure


@dataclass(frozen=True)
class Ended:
    """How the Job ends is known: from the end of the main container in `pod`, or else from the Job controller."""

    run: Run
    job: JobView
    pod: PodView | None


Stage = (
    Awaited | Absent | Foreign | Unverified | Orphaned | Gone | Waiting | Starting | AtWork | GivenUp | Ended
)
"""`run`, where a stage has it, includes what was now seen for good: its Job, and whether the main container started."""


def stage(observed: Observed, run: Run) -> Stage | ReadRun:
    """How the Job of the active `run` stands; ReadRun where that would be guessed from an absence in the caches."""
    job = observed.job
    if job is None:
        return _without_job(observed, run)
    if not _belongs_to(job, observed, run):
        return Foreign() if run.job_uid is None else _without_job(observed, run)
    if job.ours is None:
        return Unverified()
    pod = _newest(observed.pods, job)
    run = _seen(observed, run, job)
    if pod and is_conclusive(job, pod):
        return Ended(replace(run, failure=None), job, pod)
    if job.finished and not observed.fresh and (pod is None or not pod.terminal):
        return ReadRun()
    if job.succeeded or (job.finished and run.failure is None):
        return Ended(replace(run, failure=None), job, pod)
    return _unfinished(observed, run, job, pod)


def _without_job(observed: Observed, run: Run) -> Stage | ReadRun:
    # One that was seen and is absent has gone.
    if observed.job_expected and run.job_uid is None and run.failure is None:
        return Awaited()
    if not observed.fresh:
        return ReadRun()
    if observed.living_pod:
        return Orphaned(observed.living_pod)
    if run.job_uid is not None or run.failure is not None:
        return Gone(_why_gone(observed, run))
    return Absent()


def _unfinished(observed: Observed, run: Run, job: JobView, pod: PodView | None) -> Stage | ReadRun:
    failure, why, cut_off = run.failure, run.error, pod is not None and pod.cut_off
    if failure is None and cut_off:
        failure = Failure.INTERRUPTED
    if failure is None:
        if run.migrate_seen:
            return AtWork(run, job, pod)
        waiting = _waiting(observed, run, job, pod)
        if waiting is None:
            return Starting(run, job, pod)
        if observed.now < waiting.limit:
            return waiting
        failure, why = waiting.failure, waiting.why or None
    if not (observed.fresh or job.finished):
        return ReadRun()
    if run.migrate_seen and not (
        job.deleting or cut_off
    ):  # it started meanwhile: that counts more than our impatience
        return AtWork(replace(run, failure=None, error=None), job, pod)
    return GivenUp(replace(run, failure=failure, error=why), job, failure)


def _belongs_to(job: JobView, observed: Observed, run: Run) -> bool:
    """Whether `job`, which has the name of the run's Job, was made for this run of this resource."""
    claims = (job.owner_uid, job.run_id) == (observed.resource.uid, run.run_id)
    return claims and job.ours is not False


def _newest(pods: tuple[PodView, ...], job: JobView) -> PodView | None:
    """The last pod of `job`: one before it was replaced after a disruption."""
    return next((pod for pod in reversed(pods) if pod.job_uid == job.uid), None)


def is_conclusive(job: JobView, pod: PodView) -> bool:
    """Whether the end of the main container in `pod`, the last of `job`, is the end of the Job: no other pod will follow.

    The Job controller reports it seconds later.

    What ends while its pod is being removed may have been interrupted, whatever its exit code, and be replaced; so may what
    was killed, as the reason may be reported later.
    """
    code = pod.migrate.exit_code
    if code is None or code >= _KILLED or pod.deleting or pod.disrupted or job.deleting:
        return False
    return not (code == UNREACHABLE_EXIT_CODE and job.backoff_limit)


def _why_gone(observed: Observed, run: Run) -> Failure:
    """Why the Job is gone: a person deleted it, or we did because it could not start."""
    if run.failure is None:
        return Failure.CANCELLED
    return Failure.INTERRUPTED if _has_started(observed, run, run.job_uid) else run.failure


def _seen(observed: Observed, run: Run, job: JobView) -> Run:
    """`run` with what is now known for good: its Job exists, and whether the main container has ever started."""
    started = _has_started(observed, run, job.uid)
    return replace(run, job_uid=job.uid, migrate_seen=started, creation_problem=None)


def _has_started(observed: Observed, run: Run, job_uid: str | None) -> bool:
    """Whether the main container ever started in a pod of that Job, be it one that was replaced since."""
    seen = any(pod.job_uid == job_uid and pod.migrate.started for pod in observed.pods)
    return run.migrate_seen or observed.migrate_seen or seen


def _waiting(observed: Observed, run: Run, job: JobView, pod: PodView | None) -> Waiting | None:
    """What keeps the pod from starting. A grace begins by the API server's clock, but not before ours began the run."""
    begun = run.started_at
    if pod is None and job.had_pod:
        return None  # it goes before the Job says how it ended, at the deadline for example

    def until(failure: Failure, why: str, since: datetime | None, grace: timedelta) -> Waiting:
        why = clean(why, _WHY_BYTES)
        return Waiting(run, job, pod, failure, why, _limit(observed, max(since or begun, begun), grace))

    if pod is None:
        return until(Failure.NO_POD, "", job.created, _NO_POD_GRACE)
    if pod.unschedulable:
        return until(Failure.UNSCHEDULABLE, pod.scheduler_said, pod.created, _UNSCHEDULABLE_GRACE)
    views = (*pod.steps.values(), pod.migrate)
    since = pod.scheduled or pod.created
    if unpulled := pulls.failing(views):
        final = next(filter(pulls.is_final, unpulled), None)
        why = pulls.words(final or unpulled[0], _mounted(observed))
        if final:
            return Waiting(run, job, pod, Failure.IMAGE_PULL, clean(why, _WHY_BYTES), begun)
        return until(Failure.IMAGE_PULL, why, since, _IMAGE_PULL_GRACE)
    if wrong := next((view for view in views if view.waiting_reason in _SETTINGS_REASONS), None):
        said = f": {wrong.waiting_message}" if wrong.waiting_message else ""
        why = f"container {wrong.name}: {wrong.waiting_reason}{said}"
        return until(Failure.POD_SETTINGS, why, since, _SETTINGS_GRACE)
    return None


def _mounted(observed: Observed) -> str:
    """The image that is mounted as a volume, if one is."""
    spec = observed.resource.spec
    return spec.migrations.image if spec and spec.migrations.delivery is Delivery.IMAGE_VOLUME else ""


def _limit(observed: Observed, since: datetime, grace: timedelta) -> datetime:
    """When a run that waits is given up: after its grace, and before the Job's own deadline."""
    spec = observed.resource.spec
    deadline = timedelta(seconds=spec.runner.active_deadline_seconds) if spec else _UNSCHEDULABLE_GRACE
    return since + min(grace, max(deadline - _BEFORE_DEADLINE, deadline / 2))
