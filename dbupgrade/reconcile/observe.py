"""Gathers what a decision needs: from the caches, and by the few reads that are not cached."""

import base64
import binascii
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from dbupgrade.api.conditions import Reason
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import UrlSecretRef
from dbupgrade.api.spec.migrations import KeyReference
from dbupgrade.clock import utc_now
from dbupgrade.decide.needs import ReadPlan, ReadProgress, ReadReport, ReadRun, ReadSecret
from dbupgrade.decide.observed import (
    JobView,
    Looked,
    Observed,
    PlanRead,
    PodView,
    Resource,
    SecretView,
    UnendedJob,
    job_from,
    pod_from,
    resource_from,
)
from dbupgrade.decide.platform import Platform
from dbupgrade.kube.errors import Forbidden, KubeError, NotFound, TooManyRequests, Unauthorized
from dbupgrade.objects import Key, Object, key_of
from dbupgrade.pod import engines, plan, progress, redact
from dbupgrade.pod.connection.secrets import AUTHORITY, URL, USER, problem, secret_references, unusable
from dbupgrade.pod.identity import KEY_URL
from dbupgrade.pod.job import schemes
from dbupgrade.pod.report import Report
from dbupgrade.reconcile.check_inputs import InputsOfChecks
from dbupgrade.reconcile.memory import Memory
from dbupgrade.reconcile.stores import BY_UID, Stores, is_over
from dbupgrade.reconcile.tokens import TokenSecrets
from dbupgrade.runtime.store import Store

_READ_TRIES = 8  # with the back-off between them, some ten seconds

_log = structlog.get_logger(__name__)


class Reads(Protocol):
    """The reads that no cache answers. All raise a KubeError."""

    async def secret(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a Secret object."""

    async def job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Job from the API server; None when there is none."""

    async def pods(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        """Return the pods that carry our label with the resource's `uid`, from the API server."""

    async def log(self, namespace: str, pod: str) -> str:
        """Return the end of what the container `migrate` printed."""


@dataclass(frozen=True)
class Allowed:
    """What the operator's settings allow: pods to claim, and the operator to read."""

    platform: Platform = field(default_factory=Platform)
    reads_secrets: bool = True
    """Whether the operator reads the Secrets of connections; else the pod of a run says what is wrong with them."""


class Observer:
    """Builds the Observed of a resource."""

    def __init__(
        self,
        stores: Stores,
        reads: Reads,
        inputs: InputsOfChecks,
        tokens: TokenSecrets,
        clock: Callable[[], datetime] = utc_now,
        allowed: Allowed | None = None,
    ) -> None:
        self.stores = stores
        self.inputs = inputs
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._allowed = allowed or Allowed()

    def observe(self, obj: Object, memory: Memory) -> Observed:
        """What the caches and the memory have of a resource, except who else works on its database."""
        resource = resource_from(obj)
        run = resource.status.run
        job = self.stores.jobs.get(Key(resource.namespace, run.job_name)) if run else None
        foreign = memory.foreign if run and memory.foreign and memory.foreign.name == run.job_name else None
        view = _compared(job_from(job), run, memory) if job else foreign
        started = {run.job_uid, view.uid if view else ""} if run else set()
        observed = Observed(
            now=self._clock(),
            resource=resource,
            job=view,
            own_jobs=tuple(job_from(each) for each in self._own(self.stores.jobs, resource)),
            job_expected=run is not None and memory.expects(run.job_name, time.monotonic()),
            migrate_seen=not memory.started_jobs.isdisjoint(started),
            aws_enabled=self._tokens.enabled,
            platform=self._allowed.platform,
            token_written=_token_written(run, memory),
            progress=memory.progress,
            pods=self._views(self._own(self.stores.pods, resource)),
            checks=resource.status.checks if memory.checks is None else memory.checks,
        )
        return self.inputs.add_seen(key_of(obj), observed)

    async def fetch(
        self,
        need: ReadRun | ReadSecret | ReadReport | ReadPlan | ReadProgress,
        observed: Observed,
        memory: Memory,
    ) -> Observed:
        """`observed` with what is needed. Raises a KubeError."""
        match need:
            case ReadRun():
                return await self._reread(observed, memory)
            case ReadSecret():
                return replace(observed, secret=await self._secret(observed.resource))
            case ReadReport(pod):
                return replace(observed, report=await self._report(observed.resource, pod, memory))
            case ReadPlan(pod, line):
                log = await self._log(observed.resource.namespace, pod, memory)
                return replace(observed, plan=PlanRead(plan.read(log, line)))
            case ReadProgress(pod):
                memory.progress = await self._progress(observed, pod, memory)
                return replace(observed, progress=memory.progress)

    async def has_ended(self, job: UnendedJob) -> bool:
        """Whether, according to the API server, neither the Job nor a pod of its resource is running. Raises a KubeError."""
        found = await self._reads.job(job.namespace, job.name)  # before its pods, which only a Job can bring
        if found and not is_over(found):
            return False
        return all(is_over(pod) for pod in await self._reads.pods(job.namespace, job.uid))

    @staticmethod
    def _own(store: Store, resource: Resource) -> list[Object]:
        """What carries our label with the resource's uid, in its namespace: elsewhere the label is forged."""
        labelled = store.by_index(BY_UID, resource.uid)
        return [obj for obj in labelled if obj["metadata"]["namespace"] == resource.namespace]

    async def _reread(self, observed: Observed, memory: Memory) -> Observed:
        """Job and pods as the API server has them, for what the caches must not decide alone."""
        resource, run = observed.resource, observed.resource.status.run
        if run is None:
            return observed
        job = await self._reads.job(resource.namespace, run.job_name)
        pods = await self._reads.pods(resource.namespace, resource.uid)
        view = _compared(job_from(job), run, memory) if job else None
        return replace(observed, job=view, job_expected=False, pods=self._views(pods), fresh=True)

    def _views(self, pods: Iterable[Object]) -> tuple[PodView, ...]:
        """The pods, oldest first."""
        views = (pod_from(pod) for pod in pods)
        return tuple(sorted(views, key=lambda pod: (pod.created or self._clock(), pod.name)))

    async def _secret(self, resource: Resource) -> SecretView:
        """What is known of the Secrets of the connection: one with a URL, or those with user and password."""
        spec = resource.spec
        if spec and spec.database.uses_aws:
            return await self._session(resource)
        needed = secret_references(spec.database.connection) if spec and spec.database.connection else ()
        if spec is None or not needed:
            return SecretView(problem=Reason.INVALID_SPEC, message="spec.database.connection is missing")
        if not self._allowed.reads_secrets:
            return SecretView()  # the pod looks at them
        versions = []
        for what, reference in needed:
            view = await self._one_secret(resource.namespace, what, reference, spec)
            if view.problem:
                return view
            versions.append(view.version)
        return SecretView(version=",".join(dict.fromkeys(versions)))

    async def _one_secret(
        self, namespace: str, what: str, reference: KeyReference | UrlSecretRef, spec: Spec
    ) -> SecretView:
        try:
            secret = await self._reads.secret(namespace, reference.name)
        except NotFound:
            message = f"Secret {reference.name} not found in namespace {namespace}: create it with a key {reference.key} that contains the {what}"
            return SecretView(problem=Reason.SECRET_NOT_FOUND, message=message)
        except Forbidden:
            message = f"the operator is not allowed to read Secret {reference.name}: allow it to get Secrets in namespace {namespace}"
            return SecretView(problem=Reason.SECRET_NOT_FOUND, message=message)
        return secret_view(secret, reference, spec, what)

    async def _session(self, resource: Resource) -> SecretView:
        """Whether there is a session to make a token with; what the user's Secret is to other resources."""
        refusal = await self._tokens.check(resource)
        return SecretView(problem=Reason.AWS_AUTH_FAILED, message=refusal) if refusal else SecretView()

    async def _report(self, resource: Resource, pod: PodView, memory: Memory) -> Report:
        run, exit_code = resource.status.run, pod.migrate.exit_code or 0
        if run is None:
            raise ValueError("a report was to be read without a run")
        text = await self._log(resource.namespace, pod, memory)
        if not self._allowed.reads_secrets:  # what cannot be masked is not told
            return replace(engines.named(run.engine).parse(text, exit_code=exit_code), said=None)
        secrets = () if exit_code == 0 else await self._known_secrets(resource)
        return engines.named(run.engine).parse(text, exit_code=exit_code, secrets=secrets)

    async def _progress(self, observed: Observed, pod: PodView, memory: Memory) -> Looked:
        """What the pod does. A log that cannot be read says nothing new: the run does not depend on it."""
        last = memory.progress
        known = last.seen if last and last.job_uid == pod.job_uid else None
        try:
            known = progress.read(await self._reads.log(observed.resource.namespace, pod.name)) or known
        except KubeError as error:
            _log.info("progress_unreadable", pod=pod.name, error=error.safe_message)
        return Looked(pod.job_uid, observed.now, known)

    async def _log(self, namespace: str, pod: PodView, memory: Memory) -> str:
        """The log, or nothing when it cannot be had: a run whose log is lost is still a run that ended."""
        try:
            text = await self._reads.log(namespace, pod.name)
        except (Unauthorized, TooManyRequests):
            raise
        except KubeError as error:
            memory.unread += 1
            if memory.unread < _READ_TRIES and not isinstance(error, NotFound):
                raise
            text = ""
        memory.unread = 0
        return text

    async def _known_secrets(self, resource: Resource) -> tuple[str, ...]:
        """All that the pod was given from Secrets: the longest first, as one may hold another."""
        if resource.spec is None:
            return ()
        known: set[str] = set()
        for what, reference in _given_secrets(resource.spec, resource.status.run):
            try:
                value = _value(await self._reads.secret(resource.namespace, reference.name), reference.key)
            except (NotFound, Forbidden):
                continue
            known.update(redact.url_secrets(value) if what == URL else redact.spellings(value))
        return tuple(sorted(known, key=len, reverse=True))


def _compared(job: JobView, run: Run | None, memory: Memory) -> JobView:
    """The view, with what is known of whether the Job runs what ours would. What its annotations say proves nothing."""
    if memory.foreign and memory.foreign.uid == job.uid:
        return replace(job, ours=False)
    known = run is None or not run.active or job.uid in {run.job_uid, memory.known_job}
    return job if known else replace(job, ours=None)


def _token_written(run: Run | None, memory: Memory) -> datetime | None:
    if run is None or memory.token is None or memory.token[0] != run.token_secret:
        return None
    return memory.token[1]


def _given_secrets(spec: Spec, run: Run | None) -> list[tuple[str, KeyReference]]:
    """The keys that a pod of `run` takes from Secrets, each with what it holds, but for the user's name."""
    needed = secret_references(spec.database.connection) if spec.database.connection else ()
    if run and run.token_secret:
        needed = ((URL, KeyReference(name=run.token_secret, key=KEY_URL)),)
    sources = (variable.value_from for variable in spec.migrations.env)
    variables = [
        ("variable", source.secret_key_ref) for source in sources if source and source.secret_key_ref
    ]
    return [(what, reference) for what, reference in needed if what not in (USER, AUTHORITY)] + variables


def _value(secret: dict[str, Any], key: str) -> str:
    encoded = (secret.get("data") or {}).get(key, "")
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def secret_view(
    secret: dict[str, Any],
    reference: KeyReference | UrlSecretRef,
    spec: Spec,
    what: str = URL,
) -> SecretView:
    """What a decision may know of a Secret: its version and what is wrong with it, never its content."""
    metadata = secret["metadata"]
    if reference.key not in (secret.get("data") or {}):
        message = f"Secret {reference.name} has no key {reference.key}: add it with the {what}"
        return SecretView(problem=Reason.SECRET_NOT_FOUND, message=message)
    value = _value(secret, reference.key)
    if found := problem(value, what, schemes(spec), spec.migrations.engine, spec.policy):
        message = unusable(what, reference.name, reference.key, found)
        return SecretView(problem=Reason.INVALID_SPEC, message=message)
    return SecretView(version=f"{metadata['uid']}/{metadata['resourceVersion']}")
