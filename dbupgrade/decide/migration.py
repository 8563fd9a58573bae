"""What the life of a Job means when it is a migration: the steps of an active run, and what a finished one leaves.

Contract, sections 3.3 to 3.9.
"""

from dataclasses import replace
from datetime import timedelta

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Progress, Run, RunResult
from dbupgrade.api.status import Status
from dbupgrade.decide import post_checks, slow, task
from dbupgrade.decide.decision import CompareJob, CreateJob, Decision, DeleteJob, RenewToken
from dbupgrade.decide.ending import expire, failed, failed_status, finish, remove_token
from dbupgrade.decide.gates import Walk
from dbupgrade.decide.gates.busy import others_at_work
from dbupgrade.decide.intent import as_of, next_attempt, start, still_wanted
from dbupgrade.decide.needs import Need, ReadEnds, ReadProgress, ReadSecret
from dbupgrade.decide.observed import JobView, Observed, PodView
from dbupgrade.decide.statuses import running
from dbupgrade.pod import engines
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import STEPS

EXPECTED_JOB_RECHECK_SECONDS = 5.0
VERIFIED_AFTER_SECONDS = 0.1
RECHECK_SECONDS = 5.0  # for what a watch that hangs would not show
LOOK_AFTER = timedelta(seconds=15)
"""How long a run works before its progress is read, and the time between two reads (contract, 10.5)."""
# A token is good for 15 minutes: one that begins to be used has most of them left.
RENEW_TOKEN_AFTER = timedelta(minutes=5)
# A renewal that fails must not cost a third of the token's life.
_SEE_RENEWAL_AFTER = timedelta(seconds=30)


def advance(observed: Observed, run: Run) -> Decision | Need:
    """The next step of the active `run`."""
    run = replace(run, progress=None)  # what is known of it was observed
    match task.stage(observed, run):
        case task.Awaited():
            return Decision.write(observed.resource.status, requeue_after=EXPECTED_JOB_RECHECK_SECONDS)
        case task.Absent():
            return _create(observed, run)
        case task.Foreign():
            return _replace(observed, run)  # another number, another name
        case task.Unverified():
            return _verify(observed, run)
        case task.Orphaned(pod):
            return _await_orphan(observed, run, pod)
        case task.Gone(failure):
            return failed(observed, run, Report(failure=failure, error=run.error))
        case task.Ended(seen, job, pod):
            return finish(observed, seen, job, pod)
        case task.GivenUp(seen, job, failure):
            return _give_up(as_of(observed, run), seen, job, failure)
        case task.Waiting() | task.Starting() | task.AtWork() as on:
            return _go_on(observed, on)
        case need:
            return need


def settled(observed: Observed, run: Run) -> Decision:
    """The finished `run` stands: report it, and see that its Job goes in time."""
    resource = observed.resource
    over = (job for job in observed.jobs_of_resource if job.finished or job.uid == run.job_uid)
    expiring = tuple(expire(observed, job) for job in over if not job.has_ttl)
    if run.result is RunResult.SUCCEEDED:
        # A retry asked for after a success has nothing to retry, and must not linger until the next failure.
        handled = resource.retry or resource.status.last_handled_retry
        status = replace(resource.status, last_handled_retry=handled)
        decision = post_checks.settle(observed, status, run)
        return replace(decision, actions=decision.actions + expiring)
    status = failed_status(observed, resource.status, run)
    return Decision.write(status, *expiring, requeue_after=next_attempt(observed, run))


def refused(observed: Observed, run: Run, message: str) -> Decision:
    """The API server refused the Job of `run`: nothing ran, so the run ends and is tried again."""
    return failed(observed, run, Report(failure=Failure.JOB_REFUSED, error=message))


def not_created(observed: Observed, run: Run, message: str) -> Status:
    """Whether the Job of `run` was created is unknown: the creation is retried, and the first problem is reported.

    Only the first: each status that is written brings the resource back at once, without a back-off.
    """
    status = observed.resource.status
    if run.creation_problem is not None:
        return status
    run = replace(run, creation_problem=message[:1024])
    text = (
        f"Job {run.job_name} could not be created and is retried: {message}. If this lasts, check the API server and its "
        "admission webhooks."
    )
    status = replace(status, run=run)
    return running(as_of(observed, run), status, Reason.JOB_PENDING, text)


# --- no Job of the run is there ----------------------------------------------------------------------------------


def _create(observed: Observed, run: Run) -> Decision | Need:
    """Create the Job of an intent, if that is still wanted and its database is free."""
    if not still_wanted(observed, run):
        return _replace(observed, run)
    without_session = _without_session(observed, run)
    if isinstance(without_session, ReadSecret):
        return without_session
    if without_session:
        return _replace(observed, run)
    others = others_at_work(observed)
    if isinstance(others, ReadEnds):
        return others
    status = observed.resource.status
    if others:
        message = f"run {run.sequence} is waiting for the database: {others}"
        status = replace(status, run=replace(run, creation_problem=None))
        status = running(observed, status, Reason.JOB_PENDING, message)
        return Decision.write(status, requeue_after=RECHECK_SECONDS)
    return Decision.write(status, CreateJob(run))


def _verify(observed: Observed, run: Run) -> Decision | Need:
    """Compare the existing Job with ours, to adopt it or to leave it alone.

    The comparison must not create the Job: if the existing Job is deleted at this moment, a second one would start beside its pod. If the spec no longer asks for this run, there is nothing to compare with.
    """
    if still_wanted(observed, run):
        return Decision.write(observed.resource.status, CompareJob(run), requeue_after=VERIFIED_AFTER_SECONDS)
    job = observed.job and replace(observed.job, ours=True)
    return advance(replace(observed, job=job), run)


def _without_session(observed: Observed, run: Run) -> bool | ReadSecret:
    """Whether the run needs a token and there is no way to get one."""
    if run.token_secret is None:
        return False
    if not observed.aws_enabled:
        return True
    return ReadSecret() if observed.secret is None else observed.secret.problem is not None


def _replace(observed: Observed, run: Run) -> Decision | Need:
    """A new intent in the place of one for which nothing was created; if that is held back, the old one ends."""
    decision = start(observed, Walk(observed))
    if isinstance(decision, Decision) and decision.status.run == run:
        return failed(observed, run, Report(failure=Failure.SUPERSEDED))
    if isinstance(decision, Decision):
        return replace(decision, actions=(*remove_token(run), *decision.actions))
    return decision


def _await_orphan(observed: Observed, run: Run, pod: PodView) -> Decision:
    message = f"waiting for pod {pod.name} to end; its Job is gone"
    reason = Reason.MIGRATION_IN_PROGRESS if run.job_uid else Reason.JOB_PENDING
    status = running(as_of(observed, run), observed.resource.status, reason, message)
    return Decision.write(status, requeue_after=RECHECK_SECONDS)


# --- the Job is there --------------------------------------------------------------------------------------------


def _go_on(observed: Observed, on: task.Waiting | task.Starting | task.AtWork) -> Decision | ReadProgress:
    """The run is active: report its step, once its progress is known."""
    if isinstance(on, task.AtWork) and on.pod and _is_look_due(observed, on.run, on.pod):
        return ReadProgress(on.pod)
    return _with_fresh_token(observed, on, _report_progress(as_of(observed, on.run), on))


def _report_progress(observed: Observed, on: task.Waiting | task.Starting | task.AtWork) -> Decision:
    """Report the step of an active run."""
    match on:
        case task.AtWork(run, job, pod):
            return _at_work(observed, run, job, pod)
        case task.Starting(run, job, pod):
            return _report(observed, run, Reason.JOB_PENDING, _starting(job, pod))
        case task.Waiting(run, limit=limit):
            decision = _report(observed, run, Reason.JOB_PENDING, _waiting(on))
            return replace(decision, requeue_after=(limit - observed.now).total_seconds())


def _at_work(observed: Observed, run: Run, job: JobView, pod: PodView | None) -> Decision:
    """What the runner said last, and when to look again."""
    run = slow.marked(observed, run)
    after = slow.look_again(observed, run, _next_look(observed, run, pod))
    seen = observed.progress.seen if observed.progress and observed.progress.job_uid == job.uid else None
    if seen is None:
        message = f"Job {job.name} is applying the migrations of {run.image}"
        decision = _report(observed, run, Reason.MIGRATION_IN_PROGRESS, message)
        return replace(decision, requeue_after=after)
    progress = Progress(
        file=seen.file, number=seen.number, of=seen.of, statement=seen.statement, message=seen.message
    )
    reason = Reason.WAITING_FOR_LOCK if seen.is_blocked else Reason.MIGRATION_IN_PROGRESS
    decision = _report(observed, replace(run, progress=progress), reason, seen.message)
    return replace(decision, requeue_after=after)


def _is_look_due(observed: Observed, run: Run, pod: PodView) -> bool:
    after = _next_look(observed, run, pod)
    return after is not None and after <= 0


def _next_look(observed: Observed, run: Run, pod: PodView | None) -> float | None:
    """Seconds until the progress of a working pod is read again; None if it is not read."""
    since = pod.migrate.running_since if pod else None
    if pod is None or since is None or not engines.named(run.engine).tells_progress:
        return None
    looked = observed.progress
    last = max(looked.at, since) if looked and looked.job_uid == pod.job_uid else since
    waited = observed.now - last
    # A clock may be set back.
    return (LOOK_AFTER - waited).total_seconds() if waited >= timedelta() else 0.0


def _report(observed: Observed, run: Run, reason: Reason, message: str) -> Decision:
    status = replace(observed.resource.status, run=run)
    return Decision.write(running(observed, status, reason, message))


def _pending(job: JobView) -> str:
    """One message until something is worth telling: each change would be a write."""
    return f"Job {job.name} was created: its pod is starting"


def _starting(job: JobView, pod: PodView | None) -> str:
    doing = [STEPS[name].doing(view) for name, view in pod.steps.items()] if pod else []
    last = next(filter(None, reversed(doing)), "")
    return f"Job {job.name} {last}" if last else _pending(job)


def _waiting(waiting: task.Waiting) -> str:
    """What keeps the pod from starting; that there is none yet is not worth telling."""
    job, pod = waiting.job, waiting.pod
    if pod is None:
        return _pending(job)
    if waiting.failure is Failure.UNSCHEDULABLE:
        return f"Job {job.name}: pod {pod.name} cannot be scheduled: {waiting.why}".rstrip(": ")
    return f"Job {job.name}: pod {pod.name} cannot start: {waiting.why}"


def _give_up(observed: Observed, run: Run, job: JobView, failure: Failure) -> Decision:
    """Remove the Job of a run that never started, or that has lost its lock."""
    why = (
        "its lock on the database was lost"
        if run.migrate_seen
        else f"it could not start ({run.error or failure})"
    )
    reason = Reason.MIGRATION_IN_PROGRESS if run.migrate_seen else Reason.JOB_PENDING
    decision = _report(observed, run, reason, f"Job {job.name} is being removed: {why}")
    removal = () if job.deleting else (DeleteJob(job.name, job.uid),)
    return replace(decision, actions=decision.actions + removal, requeue_after=RECHECK_SECONDS)


def _with_fresh_token(
    observed: Observed, stage: task.Waiting | task.Starting | task.AtWork, decision: Decision
) -> Decision:
    """`decision`, and the token renewed in time as long as a pod, be it a replacement, is yet to begin to migrate.

    The age of a token that another process wrote is not known.
    """
    pod = stage.pod
    # One that failed may be replaced, and then the next one starts at once.
    connected = pod and pod.migrate.started and not (pod.terminal and pod.migrate.exit_code)
    if stage.run.token_secret is None or not observed.aws_enabled or connected:
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
