"""Carries out a decision: the status first, under its precondition, then the actions in order."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog

from dbupgrade.api import names
from dbupgrade.api.record import to_json
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.decide import bounds, migration, transitions
from dbupgrade.decide.decision import (
    CompareJob,
    CreateJob,
    Decision,
    DeleteJob,
    RemoveToken,
    RenewToken,
    SetTtl,
    WriteStatus,
)
from dbupgrade.decide.observed import Observed, Resource, job_from
from dbupgrade.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooLarge,
    Unreachable,
)
from dbupgrade.objects import Key, Object
from dbupgrade.pod.adoption import runs_the_same
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import job
from dbupgrade.reconcile.memory import Memory
from dbupgrade.reconcile.tokens import NoTokenError, TokenSecrets
from dbupgrade.telemetry.metrics import RUN_SECONDS
from dbupgrade.telemetry.resources import Outcome, Resources

_log = structlog.get_logger()

NAMESPACE_TERMINATING = "NamespaceTerminating"


class Writes(Protocol):
    """The writes of the operator. All raise a KubeError."""

    async def replace_status(self, namespace: str, name: str, status: Mapping[str, Any], version: str) -> str:
        """Write a status under the precondition `version`; returns the new resourceVersion."""

    async def create_job(self, namespace: str, body: Mapping[str, Any]) -> str:
        """Create a Job, and return its uid."""

    async def try_job(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a Job as the API server would store it, with its defaults, under another name; nothing is stored."""

    async def job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Job from the API server, not from a cache; None when there is none."""

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job, in the foreground, if it has that uid."""

    async def set_job_ttl(self, namespace: str, name: str, seconds: int) -> None:
        """Set ttlSecondsAfterFinished of a Job."""


class Recorder(Protocol):
    """Notes Events, without waiting for them."""

    def record(self, involved: Mapping[str, str], event_type: Any, reason: str, message: str) -> None:
        """Note an Event about an object."""


class Actor:
    """Carries out decisions; renders the Jobs by the operator's `settings`, and counts the runs in `series`."""

    def __init__(
        self,
        writes: Writes,
        recorder: Recorder,
        tokens: TokenSecrets,
        settings: JobSettings,
        series: Resources,
    ) -> None:
        self._writes = writes
        self._recorder = recorder
        self._tokens = tokens
        self._settings = settings
        self._series = series

    async def act(self, observed: Observed, version: str, decision: Decision, memory: Memory) -> None:
        """Carry out the actions in their order, for the resource that is stored at `version`. Raises a KubeError."""
        resource = observed.resource
        for action in decision.actions:
            match action:
                case WriteStatus(status):
                    status = bounds.bounded(status)
                    if transitions.worth_writing(resource.status, status, observed.now):
                        version = await self._write_status(resource, version, status, memory)
                case CreateJob(run):
                    now = replace(observed, resource=replace(resource, status=decision.status))
                    await self._launch(now, version, run, memory)
                case CompareJob(run):
                    await self._adopt(resource, run, job(resource, run, self._settings), memory)
                case RenewToken():
                    await self._renew(observed, memory)
                case RemoveToken(name):
                    await self._tokens.remove(resource, name)
                case DeleteJob(name, uid):
                    await self._delete(resource, name, uid)
                case SetTtl(name, seconds):
                    await self._expire(resource, name, seconds, memory)

    async def _write_status(self, resource: Resource, version: str, status: Status, memory: Memory) -> str:
        """Write `status` over that of `resource` at `version`; returns the new version."""
        try:
            new = await self._replace(resource, version, status)
        except (TooLarge, Invalid) as error:
            # The spec must not stay locked because of what somebody put into a text.
            _log.warning("status_refused", error=error.safe_message)
            status = bounds.smallest(status)
            new = await self._replace(resource, version, status)
        if new != version:
            memory.overwritten = version
        self._tell(resource, status)
        return new

    async def _replace(self, resource: Resource, version: str, status: Status) -> str:
        return await self._writes.replace_status(resource.namespace, resource.name, to_json(status), version)

    def _tell(self, resource: Resource, status: Status) -> None:
        """Events and metrics of the change, only after it is written, so that it is reported once."""
        involved = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": resource.namespace,
            "name": resource.name,
            "uid": resource.uid,
        }
        for event in transitions.events(resource.status, status):
            self._recorder.record(involved, event.type, event.reason, event.message)
        for check in transitions.failed_checks(resource.status, status):
            self._series.check_failed(check.name)
        ended = transitions.ended_run(resource.status, status)
        if ended and ended.result and ended.finished_at:
            seconds = (ended.finished_at - ended.started_at).total_seconds()
            result = transitions.result_label(ended)
            key = Key(resource.namespace, resource.name)
            self._series.ended(key, Outcome(result, str(ended.failure or "")), seconds)
            RUN_SECONDS.labels(result).observe(seconds)
            _log.info(
                "run_ended", run=ended.job_name, result=ended.result, failure=ended.failure, seconds=seconds
            )

    async def _launch(self, observed: Observed, version: str, run: Run, memory: Memory) -> None:
        """Create the Job of `run`, whose intent is stored at `version`; report what prevents it."""
        resource = observed.resource
        try:
            refusal = await self._write_token(observed, run, memory)
            refusal = refusal or await self._create(resource, run, memory)
        except (ServerError, Unreachable) as error:
            status = bounds.bounded(migration.not_created(observed, run, error.safe_message))
            if status != resource.status:
                await self._write_status(resource, version, status, memory)
            raise
        if refusal is not None:
            _log.warning("job_refused", job=run.job_name, error=refusal)
            await self.act(observed, version, migration.refused(observed, run, refusal), memory)

    async def _write_token(self, observed: Observed, run: Run, memory: Memory) -> str | None:
        """Write the token that the run uses, if it does; returns the words of a refusal."""
        if run.token_secret is None:
            return None
        try:
            await self._tokens.write(observed.resource, run)
        except NoTokenError as error:
            return error.safe_message
        except (Forbidden, Invalid) as error:
            return _refusal(error)
        memory.token = (run.token_secret, observed.now)
        return None

    async def _renew(self, observed: Observed, memory: Memory) -> None:
        run = observed.resource.status.run
        if run is None:
            raise ValueError("a token was to be renewed without a run")
        refusal = await self._write_token(observed, run, memory)
        if refusal is None:
            _log.info("token_renewed", secret=run.token_secret)
        else:
            _log.warning("token_not_renewed", secret=run.token_secret, error=refusal)

    async def _create(self, resource: Resource, run: Run, memory: Memory) -> str | None:
        """Create or adopt the Job; returns the words of a refusal. Raises AlreadyExists for a foreign Job."""
        body = job(resource, run, self._settings)
        try:
            memory.known_job = await self._writes.create_job(resource.namespace, body)
        except AlreadyExists:
            if not await self._adopt(resource, run, body, memory):
                raise
        except (Forbidden, Invalid) as error:
            return _refusal(error)
        memory.created = (run.job_name, time.monotonic())
        _log.info("job_created", job=run.job_name)
        return None

    async def _adopt(self, resource: Resource, run: Run, body: Object, memory: Memory) -> bool:
        """Whether a Job of the run's name is there and is the run's; remembers which it is. Raises a KubeError."""
        found = await self._writes.job(resource.namespace, run.job_name)
        if found is None:
            return False  # it has just gone: the next reconcile looks what it has left
        if not await self._is_ours(resource, run, body, found):
            memory.foreign = replace(job_from(found), ours=False)
            return False
        memory.known_job = found["metadata"]["uid"]
        return True

    async def _is_ours(self, resource: Resource, run: Run, body: Object, found: Object) -> bool:
        """Whether a Job of that name is the run's. Anybody can copy names, labels and annotations, so what it runs is compared."""
        view = job_from(found)
        if (view.owner_uid, view.run_id) != (resource.uid, run.run_id):
            return False
        try:
            return runs_the_same(await self._writes.try_job(resource.namespace, body), found)
        except (Forbidden, Invalid):
            return False  # a quota, for example: what cannot be compared is waited for, and not believed

    async def _delete(self, resource: Resource, name: str, uid: str) -> None:
        try:
            await self._writes.delete_job(resource.namespace, name, uid)
        except (NotFound, Conflict):
            return  # gone already, or another one by now
        _log.info("job_deleted", job=name)

    async def _expire(self, resource: Resource, name: str, seconds: int, memory: Memory) -> None:
        if name in memory.expired:
            return
        try:
            await self._writes.set_job_ttl(resource.namespace, name, seconds)
        except NotFound:
            return
        memory.expired.add(name)


def _refusal(error: Forbidden | Invalid) -> str | None:
    """What prevents it, for the status; empty in a namespace that is being deleted."""
    terminating = any(reason == NAMESPACE_TERMINATING for reason, _ in error.causes)
    return None if terminating else error.safe_message
