"""The one decision: from everything observed about a resource to its status and the next actions.

A pure function of its arguments. What it needs beyond the caches is told by `doubtful`, `needs_secret`, `report_pod` and
`questions`, so that the observer reads no more than a decision takes.
"""

from dataclasses import replace
from datetime import timedelta

from dbupgrade.api.identity import run_id, runner_hash
from dbupgrade.api.status import Run, RunResult
from dbupgrade.decide import post_checks, progress
from dbupgrade.decide import start as starting
from dbupgrade.decide.decision import Decision, Questions, RemoveToken
from dbupgrade.decide.ending import expire, failed_status, newest
from dbupgrade.decide.failures import KINDS, Retry, retry_delay
from dbupgrade.decide.observed import Observed, PodView
from dbupgrade.decide.progress import advance, ours
from dbupgrade.decide.start import start, wants_secret
from dbupgrade.pod.context import JobSettings

SECRET_RECHECK_SECONDS = 30.0  # Secrets are not watched


def plan(observed: Observed, settings: JobSettings) -> Decision:
    """What to do for the observed resource now."""
    decision = _plan(observed, settings)
    run, then = observed.resource.status.run, decision.status.run
    if run is None or not run.active or run.token_secret is None:
        return decision
    goes_on = then is not None and then.active and then.sequence == run.sequence
    return decision if goes_on else replace(decision, before=RemoveToken(run.token_secret))


def _plan(observed: Observed, settings: JobSettings) -> Decision:
    resource = observed.resource
    run = resource.status.run
    if resource.deleting:
        return Decision(resource.status)
    if run is None:
        return start(observed, settings)
    if run.active:
        return advance(observed, run, settings)
    if _wants_run(observed, run):
        return start(observed, settings)
    return _settled(observed, run)


def needs_secret(observed: Observed) -> bool:
    """Whether the Secret has a say in the decision, `observed` being complete but for it."""
    run, job = observed.resource.status.run, observed.job
    if observed.resource.deleting or not wants_secret(observed):
        return False
    if run and run.active:
        return not ours(observed, job, run) if job else not observed.job_expected
    return run is None or _waits_for_secret(run) or _wants_run(observed, run)


def doubtful(observed: Observed) -> bool:
    """Whether Job and pods must be read from the API server before anything is decided about the active run."""
    run = observed.resource.status.run
    if run is None or not run.active or observed.resource.deleting:
        return False
    return progress.doubtful(observed, run)


def report_pod(observed: Observed) -> PodView | None:
    """The pod whose output tells how the active run ended; None as long as it has not, or nothing was started."""
    run, job = observed.resource.status.run, observed.job
    if run is None or not run.active or job is None or not job.finished or not ours(observed, job, run):
        return None
    pod = newest(observed.pods, job)
    return pod if pod and pod.migrate.exit_code is not None else None


def questions(observed: Observed) -> Questions:
    """What to look at for the resource's checks; nothing while a run is on, or when all is done."""
    resource = observed.resource
    run, spec = resource.status.run, resource.spec
    if resource.deleting or spec is None or (run and run.active):
        return Questions()
    if run is None or _wants_run(observed, run):
        return starting.questions(observed)
    return post_checks.questions(observed, spec, run) if run.result is RunResult.SUCCEEDED else Questions()


def _waits_for_secret(run: Run) -> bool:
    return run.failure is not None and KINDS[run.failure].retry is Retry.SECRET_CHANGE


def _wants_run(observed: Observed, run: Run) -> bool:
    """Whether the spec, after the finished `run`, asks for another one."""
    resource = observed.resource
    spec = resource.spec
    if spec is None or run.run_id != run_id(resource.namespace, spec):
        return True
    if run.failure is None or run.finished_at is None:
        return False
    if resource.retry and resource.retry != resource.status.last_handled_retry:
        return True
    if run.runner_hash != runner_hash(spec):
        return True
    if _waits_for_secret(run):
        secret = observed.secret
        return secret is not None and secret.problem is None and secret.version != run.secret_version
    delay = retry_delay(run.failure, run.attempt, resource.uid)
    waited = observed.now - run.finished_at
    return delay is not None and (waited >= delay or waited < timedelta())  # a clock may be set back


def _settled(observed: Observed, run: Run) -> Decision:
    """The finished `run` stands: report it, and see that its Job goes in time."""
    resource = observed.resource
    own_jobs = (job for job in observed.own_jobs if job.owner_uid == resource.uid)
    actions = tuple(expire(observed, job) for job in own_jobs if job.finished and not job.has_ttl)
    if run.result is RunResult.SUCCEEDED:
        return replace(_settled_success(observed, run), actions=actions)
    status = failed_status(observed, resource.status, run)
    return Decision(status, actions, requeue_after=_next_try(observed, run))


def _settled_success(observed: Observed, run: Run) -> Decision:
    resource = observed.resource
    # A retry asked for after a success has nothing to retry, and must not linger until the next failure.
    handled = resource.retry or resource.status.last_handled_retry
    status = resource.status.model_copy(update={"last_handled_retry": handled})
    return post_checks.settle(observed, status, run)


def _next_try(observed: Observed, run: Run) -> float | None:
    """Seconds until a failed run is looked at again without a change."""
    if run.failure is None or run.finished_at is None:
        return None
    if _waits_for_secret(run):
        return SECRET_RECHECK_SECONDS
    delay = retry_delay(run.failure, run.attempt, observed.resource.uid)
    return max((run.finished_at + delay - observed.now).total_seconds(), 0.1) if delay is not None else None
