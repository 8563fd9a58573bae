"""A run that is on: from its intent to the recorded end. Contract, sections 3.3 to 3.9."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbupgrade.api.conditions import Reason
from dbupgrade.api.status import Failure, Run, Status
from dbupgrade.decide.decision import CreateJob, Decision, DeleteJob, RenewToken
from dbupgrade.decide.ending import as_of, failed, finish, newest, still_wanted
from dbupgrade.decide.observed import JobView, Observed, PodView
from dbupgrade.decide.start import living, start
from dbupgrade.decide.statuses import running
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import job
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import STEPS

EXPECTED_JOB_RECHECK_SECONDS = 5.0
RECHECK_SECONDS = 5.0  # for what a watch that hangs would not tell
# Grace before a run that cannot start is given up (contract, section 3.8).
_IMAGE_PULL_GRACE = timedelta(seconds=60)
_SETTINGS_GRACE = timedelta(seconds=60)
_NO_POD_GRACE = timedelta(seconds=30)
_UNSCHEDULABLE_GRACE = timedelta(minutes=10)
# A token is good for 15 minutes: one that begins to be used has most of them left.
RENEW_TOKEN_AFTER = timedelta(minutes=5)
# A renewal that fails must not cost a third of the token's life.
_SEE_RENEWAL_AFTER = timedelta(seconds=30)
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


def advance(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    """The next step of the active `run`."""
    current = observed.job
    if current is None:
        return _without_job(observed, run, settings)
    if not ours(observed, current, run):
        return _replace(observed, run, settings)  # somebody's Job has the name: another number, another name
    run = _seen(observed, run, current)
    if current.succeeded or (current.finished and run.failure is None):
        return finish(observed, run.model_copy(update={"failure": None}), current)
    told = as_of(observed, run)
    if run.failure is not None:
        return _give_up(told, run, current, run.failure)
    return _watch(told, run, current)


def doubtful(observed: Observed, run: Run) -> bool:
    """Whether the caches alone must not decide: an absence in them may only be a delay.

    True where the decision would be to take a Job for gone, to give a run up, or to record an end without its pod's.
    """
    current = observed.job
    if current is None:
        return not _expected(observed, run)
    if not ours(observed, current, run):
        return False
    pod = newest(observed.pods, current)
    if current.finished:
        return pod is None or not pod.terminal
    waiting = None if _has_started(observed, run, current.uid) else _waiting(run, pod, current)
    return run.failure is not None or (waiting is not None and observed.now >= _limit(observed, waiting))


def refused(observed: Observed, run: Run, message: str) -> Decision:
    """The API server refused the Job of `run`: nothing ran, so the run ends and is tried again."""
    return Decision(failed(observed, run, Report(failure=Failure.JOB_REFUSED, error=message)))


def not_created(observed: Observed, run: Run, message: str) -> Status:
    """Whether the Job of `run` was created is unknown: the creation is retried, and the first problem is reported.

    Only the first: each status that is written brings the resource back at once, without a back-off.
    """
    status = observed.resource.status
    if run.creation_problem is not None:
        return status
    run = run.model_copy(update={"creation_problem": message[:1024]})
    text = (
        f"Job {run.job_name} could not be created and is retried: {message}. If this lasts, check the API server and its "
        "admission webhooks."
    )
    status = status.model_copy(update={"run": run})
    return running(as_of(observed, run), status, Reason.JOB_PENDING, text)


def ours(observed: Observed, current: JobView, run: Run) -> bool:
    """Whether `current`, which has the name of the run's Job, was made for this run of this resource."""
    return current.owner_uid == observed.resource.uid and current.run_id == run.run_id


def _without_job(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    status = observed.resource.status
    if _expected(observed, run):
        return Decision(status, requeue_after=EXPECTED_JOB_RECHECK_SECONDS)
    alive = living(observed.pods)
    if alive:
        message = f"waiting for pod {alive.name} to end, whose Job is gone"
        reason = Reason.MIGRATION_IN_PROGRESS if run.job_uid else Reason.JOB_PENDING
        return Decision(running(as_of(observed, run), status, reason, message), requeue_after=RECHECK_SECONDS)
    if run.job_uid is not None or run.failure is not None:
        return Decision(failed(observed, run, Report(failure=_why_gone(observed, run))))
    if not still_wanted(observed, run) or _without_session(observed, run):
        return _replace(observed, run, settings)
    if observed.busy:
        message = f"run {run.sequence} waits for the database: {observed.busy}"
        return Decision(running(observed, status, Reason.JOB_PENDING, message), requeue_after=RECHECK_SECONDS)
    return Decision(status, (CreateJob(job(observed.resource, run, settings)),))


def _without_session(observed: Observed, run: Run) -> bool:
    """Whether the run needs a token and there is no way to get one."""
    refused_now = observed.secret is not None and observed.secret.problem is not None
    return run.token_secret is not None and (refused_now or not observed.aws_enabled)


def _expected(observed: Observed, run: Run) -> bool:
    """Whether the Job was just created and never seen: one that was seen and is absent has gone."""
    return observed.job_expected and run.job_uid is None and run.failure is None


def _why_gone(observed: Observed, run: Run) -> Failure:
    """Why the Job is no more: a person deleted it, or we did because it could not start."""
    if run.failure is None:
        return Failure.CANCELLED
    return Failure.INTERRUPTED if _has_started(observed, run, run.job_uid) else run.failure


def _replace(observed: Observed, run: Run, settings: JobSettings) -> Decision:
    """A new intent in the place of one for which nothing was created; if that is held back, the old one ends."""
    decision = start(observed, settings)
    if decision.status.run != run:
        return decision
    return Decision(failed(observed, run, Report(failure=Failure.SUPERSEDED)))


def _seen(observed: Observed, run: Run, current: JobView) -> Run:
    """`run` with what is now known for good: its Job exists, and whether `migrate` has ever started."""
    started = _has_started(observed, run, current.uid)
    return run.model_copy(update={"job_uid": current.uid, "migrate_seen": started, "creation_problem": None})


def _has_started(observed: Observed, run: Run, job_uid: str | None) -> bool:
    """Whether `migrate` ever started in a pod of that Job, be it one that was replaced since."""
    seen = any(pod.job_uid == job_uid and pod.migrate.started for pod in observed.pods)
    return run.migrate_seen or observed.migrate_seen or seen


# --- while it runs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Waiting:
    """What keeps a run from starting, and the failure that it becomes after its grace. Times are UTC."""

    failure: Failure
    message: str
    since: datetime
    grace: timedelta


def _watch(observed: Observed, run: Run, current: JobView) -> Decision:
    """Tell the step; give up a run that cannot start."""
    status = observed.resource.status.model_copy(update={"run": run})
    if run.migrate_seen:
        message = f"Job {current.name} is migrating with {run.image}"
        on = Decision(running(observed, status, Reason.MIGRATION_IN_PROGRESS, message))
        return _with_fresh_token(observed, run, current, on)
    pod = newest(observed.pods, current)
    waiting = _waiting(run, pod, current)
    if waiting is None:
        message = _pending(current)
        doing = [STEPS[name].doing(view) for name, view in pod.steps.items()] if pod else []
        for what in filter(None, doing):
            message = f"Job {current.name} {what}"
        pending = Decision(running(observed, status, Reason.JOB_PENDING, message))
        return _with_fresh_token(observed, run, current, pending)
    limit = _limit(observed, waiting)
    if observed.now >= limit:
        return _give_up(observed, run, current, waiting.failure)
    status = running(observed, status, Reason.JOB_PENDING, waiting.message or _pending(current))
    pending = Decision(status, requeue_after=(limit - observed.now).total_seconds())
    return _with_fresh_token(observed, run, current, pending)


def _with_fresh_token(observed: Observed, run: Run, current: JobView, decision: Decision) -> Decision:
    """`decision`, and the token renewed in time as long as a pod, be it a replacement, is yet to begin to migrate.

    The age of a token that another process wrote is not known.
    """
    pod = newest(observed.pods, current)
    # One that failed may be replaced, and then the next one starts at once.
    connected = pod and pod.migrate.started and not (pod.terminal and pod.migrate.exit_code)
    if run.token_secret is None or not observed.aws_enabled or connected:
        return decision
    written, now = observed.token_written, observed.now
    fresh = (
        written is not None and timedelta() <= now - written < RENEW_TOKEN_AFTER
    )  # a clock may be set back
    actions = decision.actions if fresh else (*decision.actions, RenewToken())
    due = written + RENEW_TOKEN_AFTER - now if written and fresh else _SEE_RENEWAL_AFTER
    seconds = due.total_seconds()
    after = seconds if decision.requeue_after is None else min(seconds, decision.requeue_after)
    return replace(decision, actions=actions, requeue_after=after)


def _limit(observed: Observed, waiting: _Waiting) -> datetime:
    """When a run that waits is given up: after its grace, and before the Job's own deadline."""
    spec = observed.resource.spec
    deadline = timedelta(seconds=spec.runner.active_deadline_seconds) if spec else _UNSCHEDULABLE_GRACE
    return waiting.since + min(waiting.grace, max(deadline - _BEFORE_DEADLINE, deadline / 2))


def _pending(current: JobView) -> str:
    """One message until something is worth telling: each change would be a write."""
    return f"Job {current.name} was created: its pod is starting"


def _waiting(run: Run, pod: PodView | None, current: JobView) -> _Waiting | None:
    """A grace begins with what the API server's clock says, but not before our own clock began the run."""
    begun = run.started_at
    if pod is None and current.had_pod:
        return None  # it goes before the Job says how it ended, at the deadline for example
    if pod is None:
        return _Waiting(Failure.NO_POD, "", max(current.created or begun, begun), _NO_POD_GRACE)
    created = max(pod.created or begun, begun)
    if pod.unschedulable:
        message = f"Job {current.name}: no node takes pod {pod.name}"
        return _Waiting(Failure.UNSCHEDULABLE, message, created, _UNSCHEDULABLE_GRACE)
    reasons = {view.waiting_reason for view in (*pod.steps.values(), pod.migrate)}
    for known, failure, grace in (
        (_PULL_REASONS, Failure.IMAGE_PULL, _IMAGE_PULL_GRACE),
        (_SETTINGS_REASONS, Failure.POD_SETTINGS, _SETTINGS_GRACE),
    ):
        if reasons & known:
            message = f"Job {current.name}: pod {pod.name} cannot start ({failure})"
            return _Waiting(failure, message, max(pod.scheduled or created, begun), grace)
    return None


def _give_up(observed: Observed, run: Run, current: JobView, failure: Failure) -> Decision:
    """Remove the Job of a run that never started; if it starts meanwhile, that counts more than our impatience."""
    if run.migrate_seen and not current.deleting:
        return _watch(observed, run.model_copy(update={"failure": None}), current)
    run = run.model_copy(update={"failure": failure})
    status = observed.resource.status.model_copy(update={"run": run})
    message = f"Job {current.name} is removed: it could not start ({failure})"
    status = running(observed, status, Reason.JOB_PENDING, message)
    actions = () if current.deleting else (DeleteJob(current.name, current.uid),)
    return Decision(status, actions, requeue_after=RECHECK_SECONDS)
