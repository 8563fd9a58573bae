"""A run that is on: from its intent to the recorded end. Contract, sections 3.3 to 3.9."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbupgrade.api.conditions import Reason
from dbupgrade.api.models import Runner, run_id, runner_hash
from dbupgrade.api.status import Failure, Run, RunResult, Status
from dbupgrade.decide import fetch
from dbupgrade.decide.decision import CreateJob, Decision, DeleteJob, SetTtl
from dbupgrade.decide.failures import RULES, Retry
from dbupgrade.decide.job import JobSettings, job
from dbupgrade.decide.observed import ContainerView, JobView, Observed, PodView
from dbupgrade.decide.report import Report
from dbupgrade.decide.start import start
from dbupgrade.decide.statuses import complete, failure_message, held, running, success_message, with_history

EXPECTED_JOB_RECHECK_SECONDS = 5.0
# Grace before a run that cannot start is given up (contract, section 3.8).
_IMAGE_PULL_GRACE = timedelta(seconds=60)
_SETTINGS_GRACE = timedelta(seconds=60)
_NO_POD_GRACE = timedelta(seconds=30)
_UNSCHEDULABLE_GRACE = timedelta(minutes=10)
# The Job's own deadline must not come first: it would look like a run that took too long.
_BEFORE_DEADLINE = timedelta(seconds=15)

_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
}
_SETTINGS_REASONS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
_OUT_OF_MEMORY = "OOMKilled"
_NEVER_RAN = {"StartError", "ContainerCannotRun"}


def advance(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    """The next step of the active `run`."""
    current = observed.job
    if current is not None and not ours(observed, current, run):
        return _replace(
            observed, run, settings
        )  # somebody's Job has the name: the next number gives another one
    if current is None:
        return _without_job(observed, run, settings)
    if run.failure is not None:
        return _give_up(observed, run, current, run.failure)
    if current.finished:
        return _finish(observed, run, current)
    return _watch(observed, run, current)


def refused(observed: Observed, run: Run, message: str) -> Decision:
    """The API server refused the Job of `run`: nothing ran, so the run ends and is tried again."""
    run = run.model_copy(update={"error": message})
    return Decision(_failed(observed, run, Report(failure=Failure.JOB_REFUSED, error=message)))


def ours(observed: Observed, current: JobView, run: Run) -> bool:
    """Whether `current`, which has the name of the run's Job, was made for this run of this resource."""
    return current.owner_uid == observed.resource.uid and current.run_id == run.run_id


def _without_job(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    alive = _alive(observed.pods)
    if run.job_uid is None and run.failure is None and observed.job_expected:
        return Decision(observed.resource.status, requeue_after=EXPECTED_JOB_RECHECK_SECONDS)
    if alive:
        message = f"waiting for pod {alive.name} to end, whose Job is gone"
        reason = Reason.MIGRATION_IN_PROGRESS if run.job_uid else Reason.JOB_PENDING
        return Decision(running(observed, observed.resource.status, reason, message))
    if run.failure is not None:
        started = any(pod.job_uid == run.job_uid and pod.migrate.started for pod in observed.pods)
        failure = Failure.INTERRUPTED if started else run.failure
        return Decision(_failed(observed, run, Report(failure=failure)))
    if run.job_uid is not None:
        return Decision(_failed(observed, run, Report(failure=Failure.CANCELLED)))
    if not _still_wanted(observed, run):
        return _replace(observed, run, settings)
    return Decision(observed.resource.status, (CreateJob(job(observed.resource, run, settings)),))


def _replace(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    """A new intent in the place of one for which nothing was created; if that is held back, the old one ends."""
    decision = start(observed, settings)
    if decision.status.run != run:
        return decision
    return Decision(_failed(observed, run, Report(failure=Failure.SUPERSEDED)))


def _still_wanted(observed: Observed, run: Run) -> bool:
    """Whether the spec is still the one that the intent was written for."""
    spec = observed.resource.spec
    if spec is None:
        return False
    return run.run_id == run_id(observed.resource.namespace, spec) and run.runner_hash == runner_hash(spec)


def _alive(pods: tuple[PodView, ...]) -> PodView | None:
    return next((pod for pod in pods if not pod.terminal), None)


# --- while it runs -----------------------------------------------------------------------------------------------


def _watch(observed: Observed, run: Run, current: JobView) -> Decision:
    """Tell the step; give up a run that cannot start."""
    run = run.model_copy(update={"job_uid": current.uid})
    status = observed.resource.status.model_copy(update={"run": run})
    pod = newest(observed.pods, current)
    if pod and pod.migrate.started:
        message = f"Job {current.name}: pod {pod.name} is migrating with {run.image}"
        return Decision(running(observed, status, Reason.MIGRATION_IN_PROGRESS, message))
    waiting = _waiting(pod, current)
    if waiting is None:
        return Decision(running(observed, status, Reason.JOB_PENDING, _pending(current)))
    deadline = _deadline(observed)
    limit = waiting.since + min(waiting.grace, max(deadline - _BEFORE_DEADLINE, deadline / 2))
    if observed.now >= limit:
        return _give_up(observed, run, current, waiting.failure)
    status = running(observed, status, Reason.JOB_PENDING, waiting.message or _pending(current))
    return Decision(status, requeue_after=(limit - observed.now).total_seconds())


def _pending(current: JobView) -> str:
    """One message until something is worth telling: each change would be a write."""
    return f"Job {current.name} was created: its pod is starting"


def _deadline(observed: Observed) -> timedelta:
    spec = observed.resource.spec
    return timedelta(seconds=spec.runner.active_deadline_seconds) if spec else _UNSCHEDULABLE_GRACE


def newest(pods: tuple[PodView, ...], current: JobView) -> PodView | None:
    """The last pod of `current`: one before it was replaced after a disruption."""
    return next((pod for pod in reversed(pods) if pod.job_uid == current.uid), None)


@dataclass(frozen=True)
class _Waiting:
    """What keeps a run from starting, and the failure that it becomes after its grace."""

    failure: Failure
    message: str
    since: datetime
    grace: timedelta


def _waiting(pod: PodView | None, current: JobView) -> _Waiting | None:
    if pod is None:
        return _Waiting(Failure.NO_POD, "", current.created, _NO_POD_GRACE) if current.created else None
    if pod.created is None:
        return None
    if pod.unschedulable:
        message = f"Job {current.name}: no node takes pod {pod.name}"
        return _Waiting(Failure.UNSCHEDULABLE, message, pod.created, _UNSCHEDULABLE_GRACE)
    since = pod.scheduled or pod.created
    reasons = {pod.fetch.waiting_reason, pod.migrate.waiting_reason}
    for known, failure, grace in (
        (_PULL_REASONS, Failure.IMAGE_PULL, _IMAGE_PULL_GRACE),
        (_SETTINGS_REASONS, Failure.POD_SETTINGS, _SETTINGS_GRACE),
    ):
        if reasons & known:
            message = f"Job {current.name}: pod {pod.name} cannot start ({failure})"
            return _Waiting(failure, message, since, grace)
    return None


def _give_up(observed: Observed, run: Run, current: JobView, failure: Failure) -> Decision:
    """Remove the Job of a run that never started; what it became meanwhile counts more than our impatience."""
    pod = newest(observed.pods, current)
    if pod and pod.migrate.started:
        return _outlived(observed, run, current)
    run = run.model_copy(update={"failure": failure, "job_uid": current.uid})
    status = observed.resource.status.model_copy(update={"run": run})
    status = running(
        observed, status, Reason.JOB_PENDING, f"Job {current.name} is removed: it could not start ({failure})"
    )
    return Decision(status, () if current.deleting else (DeleteJob(current.name, current.uid),))


def _outlived(observed: Observed, run: Run, current: JobView) -> Decision:
    """`migrate` started after all: the run counts as one, and its end is told as usual."""
    run = run.model_copy(update={"failure": None})
    return _finish(observed, run, current) if current.finished else _watch(observed, run, current)


# --- the end -----------------------------------------------------------------------------------------------------


def _finish(observed: Observed, run: Run, current: JobView) -> Decision:
    run = run.model_copy(update={"job_uid": current.uid})
    pod = newest(observed.pods, current)
    fetched = fetch.parse(pod.fetch.message) if pod else fetch.Fetched()
    run = run.model_copy(update={"digest": fetched.digest, "image_version": fetched.last or None})
    ttl = expire(observed, current)
    report = observed.report or Report()
    if current.succeeded and report.failure is None:
        return Decision(_succeeded(observed, run, current, report), (ttl,))
    if not current.succeeded:
        report = _why(current, pod, fetched, report)
    return Decision(_failed(observed, run, report), (ttl,))


def _why(current: JobView, pod: PodView | None, fetched: fetch.Fetched, report: Report) -> Report:
    """Why a failed Job failed, from the nearest witness."""
    if current.failed_reason == "DeadlineExceeded":
        return Report(failure=Failure.DEADLINE)
    if pod is None:
        return Report(failure=Failure.INTERRUPTED)
    if pod.fetch.exit_code:
        return Report(failure=fetched.failure or _killed(pod.fetch, Failure.FETCH))
    if pod.migrate.exit_code is None:
        return Report(failure=Failure.INTERRUPTED)
    if pod.migrate.end_reason == _OUT_OF_MEMORY:
        return Report(failure=Failure.OUT_OF_MEMORY)
    if pod.migrate.end_reason in _NEVER_RAN:
        return Report(failure=Failure.POD_SETTINGS)
    failure = report.failure or Failure.UNKNOWN
    if failure is Failure.UNKNOWN and pod.deleting:
        return Report(failure=Failure.INTERRUPTED)  # killed with its pod, before Atlas could say anything
    return report if report.failure else Report(failure=failure)


def _killed(container: ContainerView, otherwise: Failure) -> Failure:
    return Failure.OUT_OF_MEMORY if container.end_reason == _OUT_OF_MEMORY else otherwise


def expire(observed: Observed, current: JobView) -> SetTtl:
    """Let the finished Job go, now that its result is recorded."""
    spec = observed.resource.spec
    runner = spec.runner if spec else Runner()
    return SetTtl(current.name, runner.ttl_seconds_after_finished)


def _ended(observed: Observed, run: Run, report: Report, result: RunResult) -> Run:
    return run.model_copy(
        update={
            "finished_at": observed.now,
            "result": result,
            "failure": report.failure,
            "from_version": report.from_version,
            "to_version": report.to_version,
            "applied_count": report.applied,
            "failed_file": report.failed_file,
            "failed_statement": report.failed_statement,
            "error": report.error,
        }
    )


def _known_versions(status: Status, report: Report) -> Status:
    """Versions from Atlas's report; without one the last known stay, and what is pending is unknown."""
    current = report.to_version or status.current_version
    return status.model_copy(update={"current_version": current, "pending_count": report.pending})


def _succeeded(observed: Observed, run: Run, current: JobView, report: Report) -> Status:
    run = _ended(observed, run, report, RunResult.SUCCEEDED)
    status = _known_versions(with_history(observed.resource.status, run), report)
    status = status.model_copy(update={"job_completed_at": current.completed or observed.now})
    return complete(_as_of(observed, run), status, success_message(run))


def _failed(observed: Observed, run: Run, report: Report) -> Status:
    run = _ended(observed, run, report, RunResult.FAILED)
    status = _known_versions(with_history(observed.resource.status, run), report)
    return failed_status(_as_of(observed, run), status, run)


def _as_of(observed: Observed, run: Run) -> Observed:
    """The resource at the generation that the end of `run` is about.

    The spec may have changed since. Then this end says nothing about the spec as it is now: whoever waits for that
    (kubectl wait, Flux, Argo CD) must take it neither for done nor for failed.
    """
    if _still_wanted(observed, run):
        return observed
    return replace(observed, resource=replace(observed.resource, generation=run.generation))


def failed_status(observed: Observed, status: Status, run: Run) -> Status:
    """The status after a failed run: stalled when only a person can go on."""
    if run.failure is None:
        raise ValueError("a failed run has a failure")
    reason = Reason.DATABASE_BUSY if run.failure is Failure.DATABASE_LOCKED else Reason.JOB_FAILED
    stalled = RULES[run.failure].retry is not Retry.BACKOFF
    return held(observed, status, reason, failure_message(run, observed.resource.uid), stalled=stalled)
