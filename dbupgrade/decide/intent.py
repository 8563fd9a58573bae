"""Is a run wanted, may it start, and which one: the intent that is written to the status before its Job exists."""

from dataclasses import replace
from datetime import timedelta

from dbupgrade.api import names
from dbupgrade.api.check_status import CheckPhase, CheckStatus
from dbupgrade.api.conditions import Reason
from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.plan import Plan
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.decide import approvals, gates
from dbupgrade.decide.decision import CreateJob, Decision
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.gates import turn
from dbupgrade.decide.gates.gate import CheckResults, GateAnswer, Hold, Pause
from dbupgrade.decide.needs import Need
from dbupgrade.decide.observed import Observed
from dbupgrade.decide.retries import delay_after, waits_for_secret
from dbupgrade.decide.statuses import held, running

_SECRET_RECHECK_SECONDS = 30.0  # Secrets are not watched


def wanted(observed: Observed, run: Run, walk: gates.Walk) -> bool | Need:
    """Whether the spec requires another run after the finished `run`."""
    resource = observed.resource
    if resource.spec is None or run.run_id != run_id(resource.namespace, resource.spec):
        return True
    if run.failure is None or run.finished_at is None:
        return False
    if resource.retry and resource.retry != resource.status.last_handled_retry:
        return True
    if run.runner_hash != runner_hash(resource.spec):
        return True
    if waits_for_approval(run):
        return approvals.is_new(resource.approvals, resource.status, run)
    if waits_for_secret(run):
        return turn.still_waits(observed) or _secret_changed(observed, run, walk)
    delay = delay_after(run, resource.uid)
    waited = observed.now - run.finished_at
    return delay is not None and (waited >= delay or waited < timedelta())  # a clock may be set back


def next_attempt(observed: Observed, run: Run) -> float | None:
    """Seconds until a failed run is reconsidered without a change."""
    if run.failure is None or run.finished_at is None:
        return None
    if waits_for_secret(run):
        return _SECRET_RECHECK_SECONDS
    delay = delay_after(run, observed.resource.uid)
    return max((run.finished_at + delay - observed.now).total_seconds(), 0.1) if delay is not None else None


def waits_for_approval(run: Run) -> bool:
    """Whether the finished `run` applied nothing, because its plan needs approval."""
    return run.failure is not None and KINDS[run.failure].retry is Retry.APPROVAL


def _secret_changed(observed: Observed, run: Run, walk: gates.Walk) -> bool | Need:
    """Whether the Secret can be used and is another than the one that `run` started with."""
    answer = walk.through(gates.SECRET)
    if not isinstance(answer, GateAnswer):
        return answer
    usable = answer.held is None and observed.secret is not None
    return usable and observed.secret is not None and observed.secret.version != run.secret_version


def start(observed: Observed, walk: gates.Walk) -> Decision | Need:
    """Hold the run back, or write its intent and create its Job."""
    answer = walk.through(gates.BUSY)
    if not isinstance(answer, GateAnswer):
        return answer
    results = answer.checks or CheckResults()
    match answer.held:
        case Pause(known, look_again):
            after = results.next_look if look_again is None else look_again
            decision = Decision.write(observed.resource.status, requeue_after=after)
            return replace(decision, checks=known, inputs=results.inputs)
        case Hold() as hold:
            return _hold(observed, hold, answer.checks)
    return replace(_start(observed, results.passed), inputs=results.inputs)


def _hold(observed: Observed, hold: Hold, checks: CheckResults | None) -> Decision:
    """The decision to wait, with the current verdicts if the checks were evaluated."""
    status, after = observed.resource.status, hold.requeue_after
    if checks:
        others = (check for check in status.checks if check.phase is CheckPhase.POST)
        status = replace(status, checks=(*checks.now, *others))
        after = checks.next_look if after is None else min(after, checks.next_look)
    status = held(observed, status, hold.reason, hold.message, stalled=hold.stalled)
    decision = Decision.write(status, requeue_after=after)
    return replace(decision, backoff=hold.backoff, inputs=checks.inputs if checks else decision.inputs)


def _start(observed: Observed, checks: tuple[CheckStatus, ...]) -> Decision:
    run = intent(observed)
    status = replace(
        observed.resource.status,
        run=run,
        checks=checks,
        job_completed_at=None,
        plan=_plan_of(observed, run),
        last_handled_retry=observed.resource.retry or observed.resource.status.last_handled_retry,
    )
    message = f"starting run {run.sequence} with {run.image}: Job {run.job_name}"
    return Decision.write(running(observed, status, Reason.JOB_PENDING, message), CreateJob(run))


def _plan_of(observed: Observed, run: Run) -> Plan | None:
    """The plan in the status, as long as it is that of the run."""
    last = observed.resource.status.run
    return observed.resource.status.plan if last and last.run_id == run.run_id else None


def intent(observed: Observed) -> Run:
    """The run that would start now, numbered after the last one."""
    resource, spec = observed.resource, _valid(observed)
    last = resource.status.run
    identity = run_id(resource.namespace, spec)
    # A status that was lost does not know its number any more, but the Jobs that are still there do.
    numbers = (job.sequence for job in observed.jobs_of_resource)
    sequence = max(last.sequence if last else 0, *numbers, 0) + 1
    repeated = last is not None and last.run_id == identity and last.failure is not None
    job_name = names.job_name(resource.name, resource.uid, sequence)
    return Run(
        job_name=job_name,
        sequence=sequence,
        attempt=last.attempt + 1 if last and repeated else 1,
        run_id=identity,
        runner_hash=runner_hash(spec),
        database=names.database_label(database_identity(resource.namespace, spec.database)),
        image=spec.migrations.image,
        engine=spec.migrations.engine,
        generation=resource.generation,
        secret_version=observed.secret.version or None if observed.secret else None,
        token_secret=names.token_secret(job_name) if spec.database.uses_aws else None,
        started_at=observed.now,
        approvals=resource.approvals,
    )


def _valid(observed: Observed) -> Spec:
    if observed.resource.spec is None:
        raise ValueError("the gates let an invalid spec pass")
    return observed.resource.spec


def still_wanted(observed: Observed, run: Run) -> bool:
    """Whether the spec is still the one that the intent was written for."""
    spec = observed.resource.spec
    if spec is None:
        return False
    same = run.run_id == run_id(observed.resource.namespace, spec) and run.runner_hash == runner_hash(spec)
    return same and run.approvals == observed.resource.approvals


def as_of(observed: Observed, run: Run) -> Observed:
    """The resource at the generation that `run` is about.

    The spec may have changed since. Then the run says nothing about the spec as it is now: whoever waits for that
    (kubectl wait, Flux, Argo CD) must take it neither for done nor for failed.
    """
    if still_wanted(observed, run):
        return observed
    resource = observed.resource
    generation = max(run.generation, resource.status.observed_generation)
    return replace(observed, resource=replace(resource, generation=generation))
