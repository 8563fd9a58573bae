"""What a decision is made from: frozen views of the resource, its Job, its pods and its Secret.

The functions here read the JSON objects of the API server, and tolerate what is absent in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import ValidationError

from dbupgrade.api import names
from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus
from dbupgrade.api.conditions import PROGRESSING, Reason, find_condition
from dbupgrade.api.identity import database_identity
from dbupgrade.api.plan import Approved, Plan
from dbupgrade.api.record import from_json
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Status
from dbupgrade.decide import approvals
from dbupgrade.decide.approvals import Verdict as Said
from dbupgrade.decide.metric_values import Sample
from dbupgrade.decide.platform import Platform
from dbupgrade.decide.validation import parse
from dbupgrade.decide.versions import AppPod
from dbupgrade.objects import Object
from dbupgrade.pod.progress import Seen
from dbupgrade.pod.redact import clean
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import STEPS
from dbupgrade.pod.view import ContainerView, container_from, ended_before, timestamp

_RETRY_BYTES = 256


@dataclass(frozen=True)
class Resource:
    """A DBUpgrade. `spec` is None when it cannot be used; `spec_error` then says why."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: str
    deleting: bool
    retry: str
    spec: Spec | None
    spec_error: str
    status: Status
    said: Said | None = None
    """What a person says of the plan."""

    @property
    def approvals(self) -> tuple[Approved, ...]:
        """The plans that are approved."""
        return approvals.given(self.spec, self.said)

    def told(self, reason: Reason) -> str:
        """The message that its status has for `reason`, about the spec as it is; empty if it says something else."""
        found = find_condition(self.status.conditions, PROGRESSING)
        if found is None or (found.reason, found.observed_generation) != (reason, self.generation):
            return ""
        return found.message


def resource_from(obj: Object) -> Resource:
    """The view of a DBUpgrade object."""
    metadata = obj["metadata"]
    spec, problems = parse(obj.get("spec") or {})
    resource = Resource(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        created=metadata.get("creationTimestamp", ""),
        deleting="deletionTimestamp" in metadata,
        retry=retry_value(metadata),
        spec=spec,
        spec_error="; ".join(map(str, problems)),
        status=status_from(obj.get("status") or {}),
        said=approvals.verdict(metadata.get("annotations") or {}),
    )
    return replace(resource, status=_with_own_names(resource))


def _with_own_names(resource: Resource) -> Status:
    """The status, with the names in its run as we give them: others may be able to write it, and must not choose what we touch."""
    status, run, spec = resource.status, resource.status.run, resource.spec
    if run is None:
        return status
    job_name = names.job_name(resource.name, resource.uid, run.sequence)
    run = replace(run, job_name=job_name, token_secret=run.token_secret and names.token_secret(job_name))
    if spec:
        identity = database_identity(resource.namespace, spec.database)
        token = names.token_secret(job_name) if spec.database.uses_aws else None
        run = replace(run, database=names.database_label(identity), token_secret=token)
    return replace(status, run=run)


def status_from(status: Object) -> Status:
    """The status; what cannot be read of it counts as lost, first history and checks.

    If all of it is lost, the run happens again.
    """
    for lost in ((), ("history", "checks"), tuple(status)):
        try:
            return from_json(Status, {key: value for key, value in status.items() if key not in lost})
        except ValidationError:
            continue
    return Status()


def _controller_uid(metadata: Object) -> str:
    owners = (owner for owner in metadata.get("ownerReferences") or () if owner.get("controller"))
    return next((str(owner["uid"]) for owner in owners), "")


_NUMBER_LENGTH = 9  # digits: int() refuses thousands, and no resource has as many runs
_DEFAULT_BACKOFF_LIMIT = 6  # of the API server; ours always set it
_POD_COUNTS = ("active", "terminating", "succeeded", "failed")


@dataclass(frozen=True)
class JobView:
    """A Job: whose it is, and how it stands."""

    name: str
    uid: str
    owner_uid: str
    run_id: str
    sequence: int
    created: datetime | None
    completed: datetime | None
    succeeded: bool
    failed_reason: str | None
    deleting: bool
    has_ttl: bool
    backoff_limit: int = 0
    ours: bool | None = True
    """Whether it runs what ours would; None: that was not compared yet."""
    had_pod: bool = False
    """Whether its status mentions a pod, running or ended, or an end that is in progress."""

    @property
    def finished(self) -> bool:
        """Whether the Job controller has said how it ended."""
        return self.succeeded or self.failed_reason is not None


def job_from(obj: Object) -> JobView:
    """The view of a Job object."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    true = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    failed = true.get("Failed")
    annotations = metadata.get("annotations") or {}
    sequence = annotations.get(names.ANNOTATION_SEQUENCE, "")
    return JobView(
        name=metadata["name"],
        uid=metadata["uid"],
        owner_uid=_controller_uid(metadata),
        run_id=annotations.get(names.ANNOTATION_RUN_ID, ""),
        sequence=int(sequence) if sequence.isdecimal() and len(sequence) <= _NUMBER_LENGTH else 0,
        created=timestamp(metadata.get("creationTimestamp")),
        completed=timestamp(status.get("completionTime")),
        succeeded="Complete" in true,
        failed_reason=failed.get("reason", "") if failed else None,
        deleting="deletionTimestamp" in metadata,
        has_ttl=obj["spec"].get("ttlSecondsAfterFinished") is not None,
        backoff_limit=obj["spec"].get("backoffLimit", _DEFAULT_BACKOFF_LIMIT),
        had_pod=bool(true) or any(status.get(count) for count in _POD_COUNTS),
    )


@dataclass(frozen=True)
class PodView:
    """A pod of a run."""

    name: str
    uid: str
    job_uid: str
    created: datetime | None
    terminal: bool
    deleting: bool
    unschedulable: bool
    scheduled: datetime | None
    migrate: ContainerView
    scheduler_said: str = ""
    """Why no node fits it."""
    disrupted: bool = False
    """Whether the cluster ended it, for example by an eviction: the Job controller replaces such a pod."""
    cut_off: bool = False
    """Whether a sidecar that the migration needs ended before the migration, although the pod is not being deleted."""
    steps: Mapping[str, ContainerView] = field(default_factory=dict)
    """What there is before the migration, by the name of the container."""


def pod_from(obj: Object) -> PodView:
    """The view of a Pod object."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled: Object = conditions.get("PodScheduled", {})
    on_node = scheduled.get("status") == "True"
    deleting = "deletionTimestamp" in metadata
    disrupted = conditions.get("DisruptionTarget", {}).get("status") == "True"
    migrate = container_from(status.get("containerStatuses"), names.CONTAINER_MIGRATE)
    views = {
        name: container_from(status.get("initContainerStatuses"), name, restarts=step.beside)
        for name, step in STEPS.items()
    }
    beside = [view for name, view in views.items() if STEPS[name].beside]
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        job_uid=_controller_uid(metadata),
        created=timestamp(metadata.get("creationTimestamp")),
        terminal=status.get("phase") in ("Succeeded", "Failed"),
        deleting=deleting,
        unschedulable=scheduled.get("status") == "False",
        scheduler_said=scheduled.get("message", ""),
        scheduled=timestamp(scheduled.get("lastTransitionTime")) if on_node else None,
        disrupted=disrupted,
        cut_off=not (deleting or disrupted) and any(ended_before(view, migrate) for view in beside),
        steps=views,
        migrate=migrate,
    )


@dataclass(frozen=True)
class SecretView:
    """The result of reading the Secret with the database URL: a version, or a problem with its reason and message.

    With AWS authentication there is no such Secret: the problem is then why the role could not be assumed.
    """

    version: str = ""
    problem: Reason | None = None
    message: str = ""


@dataclass(frozen=True)
class PodsSeen:
    """The pods that match a selector, from a watch that last brought something at `heard` (UTC), or why they are not known."""

    heard: datetime
    pods: tuple[AppPod, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class UnendedJob:
    """A Job on the database whose end was not seen. `uid` is that of its resource.

    `may_be_asked`: no watch will show its end, and the API server was not asked about it in this reconcile.
    """

    namespace: str
    name: str
    uid: str
    may_be_asked: bool


@dataclass(frozen=True)
class Looked:
    """The progress in the log of a working pod, `at` a time in UTC; `seen` is None if the log contains none."""

    job_uid: str
    at: datetime
    seen: Seen | None


@dataclass(frozen=True)
class PlanRead:
    """The plan in the log of a pod; None if the log no longer exists."""

    plan: Plan | None


@dataclass(frozen=True)
class Observed:
    """Everything that one decision depends on. `now` is in UTC, in whole seconds."""

    now: datetime
    resource: Resource
    job: JobView | None = None
    """The Job with the name of the last run, whoever created it."""
    own_jobs: tuple[JobView, ...] = ()
    """All Jobs that carry our label with the resource's uid; their owner reference shows to whom they belong."""
    migrate_seen: bool = False
    """This process has seen `migrate` started in a pod of the Job, though that pod may be gone."""
    job_expected: bool = False
    """This process has just created the Job, and the cache has not shown it yet."""
    pods: tuple[PodView, ...] = field(default=())
    """All pods of the resource, oldest first, those of earlier runs too."""
    fresh: bool = False
    """Job and pods were read from the API server, for what the caches must not decide alone."""
    secret: SecretView | None = None
    """None until it was needed."""
    aws_enabled: bool = False
    platform: Platform = field(default_factory=Platform)
    """The settings allow AWS authentication."""
    token_written: datetime | None = None
    """When this process has last written the token of the run's Job; None when it has not."""
    report: Report | None = None
    """What the ended container printed; None until it was needed."""
    plan: PlanRead | None = None
    """The plan of a run that has ended; None until it was needed."""
    progress: Looked | None = None
    """The last known progress of the run's Job."""
    busy: str = ""
    """What else is using the database, for the message; empty if nothing is known to."""
    unended: tuple[UnendedJob, ...] = ()
    """Jobs that may still be using the database, although nothing shows that they do."""
    checks: tuple[CheckStatus, ...] = ()
    """What was last known of the checks; the status may have it in a minute."""
    pods_seen: Mapping[str, PodsSeen] = field(default_factory=dict)
    """Pods of applications, by the selector's text, as far as they were listed."""
    samples: Mapping[str, Sample] = field(default_factory=dict)
    """The last answer of a metrics API for each metric check, by the check's definition."""

    @property
    def blocked(self) -> bool:
        """Whether another run uses the database, or may still use it."""
        return bool(self.busy or self.unended)

    @property
    def jobs_of_resource(self) -> tuple[JobView, ...]:
        """The Jobs that the resource owns, whatever their labels say."""
        return tuple(job for job in self.own_jobs if job.owner_uid == self.resource.uid)

    @property
    def at_work(self) -> bool:
        """Whether a Job or a pod of the resource has not ended, or was just created: a run ends before they do."""
        own = (*self.jobs_of_resource, self.job)
        unfinished = any(job and job.owner_uid == self.resource.uid and not job.finished for job in own)
        created = self.job is None and self.job_expected
        return unfinished or created or self.living_pod is not None

    @property
    def living_pod(self) -> PodView | None:
        """A pod of the resource that has not ended, if there is one."""
        return next((pod for pod in self.pods if not pod.terminal), None)

    def last_check(self, phase: CheckPhase, kind: CheckKind, name: str) -> CheckStatus | None:
        """What was last known of a check."""
        wanted = (phase, kind, name)
        return next((check for check in self.checks if (check.phase, check.kind, check.name) == wanted), None)


def retry_value(metadata: Object) -> str:
    """The value of the annotation that requests a retry, as the status stores it: a hash, if the value is long or unusual."""
    value = str((metadata.get("annotations") or {}).get(names.ANNOTATION_RETRY, ""))
    return value if clean(value, _RETRY_BYTES) == value else f"hash:{names.digest(value, length=32)}"
