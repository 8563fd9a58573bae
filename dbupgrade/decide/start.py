"""May a run start? The gates before it, in order, and the intent that is written when all are open."""

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import DatabaseType
from dbupgrade.api.status import Failure, Run, Status
from dbupgrade.decide import pre_checks, validation
from dbupgrade.decide.decision import CreateJob, Decision, Questions
from dbupgrade.decide.observed import JobView, Observed, PodView, Resource
from dbupgrade.decide.statuses import held, running
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import job

BUSY_RECHECK_SECONDS = 30.0  # a waiter is woken when the database is free; this is for what no watch sees


def gate(observed: Observed) -> Decision | None:
    """What holds a run back, or None when it may start. Each is looked at only if all before it is open."""
    return _spec_gate(observed) or _secret_gate(observed) or _checks_gate(observed) or _busy_gate(observed)


def wants_secret(observed: Observed) -> bool:
    """Whether the Secret decides what happens next: no gate before it is shut."""
    return _spec_gate(observed) is None


def questions(observed: Observed) -> Questions:
    """What to look at for the checks before a run, once no gate before them is shut."""
    if _spec_gate(observed) or _secret_gate(observed):
        return Questions()
    return pre_checks.questions(observed, _valid(observed.resource))


def start(observed: Observed, settings: JobSettings) -> Decision:
    """Hold the run back, or write its intent and create its Job."""
    held_back = gate(observed)
    if held_back is not None:
        return held_back
    spec = _valid(observed.resource)
    run = intent(observed, spec)
    status = observed.resource.status.model_copy(
        update={
            "run": run,
            "checks": pre_checks.passed(observed, spec),
            "job_completed_at": None,
            "last_handled_retry": observed.resource.retry or observed.resource.status.last_handled_retry,
        }
    )
    message = f"starting run {run.sequence} with {run.image}: Job {run.job_name}"
    status = running(observed, status, Reason.JOB_PENDING, message)
    return Decision(status, (CreateJob(job(observed.resource, run, settings)),))


def intent(observed: Observed, spec: Spec) -> Run:
    """The run that would start now, numbered after the last one."""
    resource = observed.resource
    last = resource.status.run
    identity = run_id(resource.namespace, spec)
    # A status that was lost does not know its number any more, but the Jobs that are still there do.
    numbers = (job.sequence for job in observed.own_jobs if job.owner_uid == resource.uid)
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
        adopts=last is not None and repeated and last.failure is Failure.TO_BE_ADOPTED,
        secret_version=observed.secret.version or None if observed.secret else None,
        token_secret=names.token_secret(job_name) if spec.database.uses_aws else None,
        started_at=observed.now,
    )


def _valid(resource: Resource) -> Spec:
    if resource.spec is None:
        raise ValueError("the gates let an invalid spec pass")
    return resource.spec


def _spec_gate(observed: Observed) -> Decision | None:
    resource = observed.resource
    spec, status = resource.spec, resource.status
    if spec is None:
        return Decision(held(observed, status, Reason.INVALID_SPEC, resource.spec_error, stalled=True))
    if spec.suspend:
        return Decision(held(observed, status, Reason.SUSPENDED, "spec.suspend is true: no run is started"))
    return (
        _not_supported(observed, status, spec)
        or _aws_missing(observed, status, spec)
        or _rules_gate(observed, status, spec)
    )


def _not_supported(observed: Observed, status: Status, spec: Spec) -> Decision | None:
    """AWS authentication is off unless it is enabled."""
    if observed.aws_enabled or not spec.database.uses_aws:
        return None
    message = (
        "AWS authentication is disabled in this operator, so spec.database.aws cannot be used and no run starts. "
        "Enable it in the operator's settings (aws.enabled), or use spec.database.connection."
    )
    return Decision(held(observed, status, Reason.AWS_NOT_SUPPORTED, message, stalled=True))


def _aws_missing(observed: Observed, status: Status, spec: Spec) -> Decision | None:
    """An AWS database of which nothing is known has a reason of its own."""
    database = spec.database
    if (
        database.type is DatabaseType.SELF_HOSTED
        or database.aws is not None
        or database.connection is not None
    ):
        return None
    message = "; ".join(map(str, validation.problems(spec)))
    return Decision(held(observed, status, Reason.AWS_NOT_SUPPORTED, message, stalled=True))


def _rules_gate(observed: Observed, status: Status, spec: Spec) -> Decision | None:
    """A spec that makes no sense, where admission did not stop it."""
    found = "; ".join(map(str, validation.problems(spec)))
    return Decision(held(observed, status, Reason.INVALID_SPEC, found, stalled=True)) if found else None


def _secret_gate(observed: Observed) -> Decision | None:
    secret = observed.secret
    if secret is None:
        raise ValueError("the Secret was not read though a run wants to start")
    if secret.problem is None:
        return None
    return Decision(held(observed, observed.resource.status, secret.problem, secret.message), backoff=True)


def _checks_gate(observed: Observed) -> Decision | None:
    return pre_checks.gate(observed, _valid(observed.resource))


def _busy_gate(observed: Observed) -> Decision | None:
    spec = _valid(observed.resource)
    alive, unknown = living(observed.pods), _unknown_job(observed)
    busy = observed.busy or (f"pod {alive.name} of an earlier run has not ended" if alive else "")
    if unknown:
        busy = (
            f"Job {unknown.name} of this resource is still at work, and the status that told of it was lost. When it has "
            "ended, the run is repeated and applies only what is left"
        )
    if not busy:
        return None
    message = f"waiting for the database: {busy}"
    status = held(observed, pre_checks.told(observed, spec), Reason.DATABASE_BUSY, message)
    return Decision(status, requeue_after=min(BUSY_RECHECK_SECONDS, pre_checks.next_look(observed, spec)))


def _unknown_job(observed: Observed) -> JobView | None:
    """A Job of the resource's own that has not ended though no run is on: its status was lost, or an older one restored."""
    own = (job for job in observed.own_jobs if job.owner_uid == observed.resource.uid)
    return next((job for job in own if not job.finished), None)


def living(pods: tuple[PodView, ...]) -> PodView | None:
    """A pod that has not ended, if there is one."""
    return next((pod for pod in pods if not pod.terminal), None)
