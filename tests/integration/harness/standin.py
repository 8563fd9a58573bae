"""Plays what a cluster without nodes lacks for a run: Job controller, kubelet and garbage collector of one namespace.

Each Job of the operator gets one pod. What becomes of it is the test's to say (`start`, `end`), or happens by itself as soon as the
Job is there (`ending`). Job statuses are those that the API server's validation accepts from a Job controller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.kube.errors import AlreadyExists, KubeError, NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, PODS, ResourceClient
from dbupgrade.pod.message import text
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps.fetch import Fetch
from tests.integration.harness.kubernetes import end_of_job
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from dbupgrade.kube.client import Client
    from tests.integration.harness.faultproxy import Action, Exchange

Object = dict[str, Any]

DIGEST = "sha256:" + "ab" * 32
_WATCH_SECONDS = 600
_AT_ONCE = 50


@dataclass(frozen=True)
class Ending:
    """How a pod ends: the exit code of `migrate`, its termination message, and what it printed."""

    exit_code: int = 0
    message: str = ""
    log: str = ""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


def reported(exit_code: int = 0, **known: Any) -> Ending:
    """The end of a runner with that report, and a line of its log."""
    line = json.dumps({"event": "said", "level": "info", "message": f"exit code {exit_code}"})
    return Ending(exit_code, text(Report(**known)), f"{line}\n")


SUCCESS = reported(to_version="20250102", applied=2, pending=0)
SQL_ERROR = reported(
    7,
    failure=Failure.SQL,
    to_version="20250101",
    applied=1,
    pending=2,
    failed_file="20250102_two.sql",
    failed_statement="ALTER TABLE cart ADD total int;",
    error='relation "cart" does not exist',
)


class StandIn:
    """Use it as an async context manager; `created` are all Jobs of the operator that ever were, in order."""

    def __init__(self, client: Client, namespace: str, ending: Ending | None = None) -> None:
        self.created: list[Object] = []
        self.ending = ending
        self.log: Action | None = None
        self._namespace = namespace
        self._jobs = ResourceClient(client, JOBS)
        self._pods = ResourceClient(client, PODS)
        self._watcher = ListWatcher(client, JOBS, namespace, names.LABEL_UID)
        self._logs: dict[str, str] = {}
        self._pod_by_job: dict[str, Object] = {}
        self._plays: list[asyncio.Task[None]] = []
        self._hands = asyncio.Semaphore(_AT_ONCE)

    async def __aenter__(self) -> Self:
        page = await self._watcher.list_page(1)
        self._task = asyncio.create_task(self._follow(page.resource_version))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        for play in self._plays:
            play.cancel()
        results = await asyncio.gather(self._task, *self._plays, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a request for a pod's log, as an action of the proxy."""
        if self.log is not None:
            return await self.log.apply(exchange)
        exchange.seen.status = 200
        pod = exchange.seen.path.split("/")[-2]
        return web.Response(text=self._logs.get(pod, ""))

    # --- what a test does ------------------------------------------------------------------------------------------

    async def job(self, number: int = 1) -> Object:
        """Wait for the Job with that number, counted from one."""
        await eventually(lambda: len(self.created) >= number, what=f"Job {number} is created")
        return self.created[number - 1]

    async def start(self, job: Object) -> Object:
        """Let the pod run, `migrate` being started; returns it."""
        pod = await self._pod_of(job)
        fetched = f"digest={DIGEST}\nlast=20250102\n"
        status = {
            "phase": "Running",
            "startTime": _now(),
            "initContainerStatuses": [_container(Fetch.name, _terminated(0, fetched))],
            "containerStatuses": [_container(names.CONTAINER_MIGRATE, {"running": {"startedAt": _now()}})],
        }
        await self._pods.patch(
            self._namespace, pod["metadata"]["name"], {"status": status}, subresource="status"
        )
        return pod

    async def refuse_image(self, job: Object, message: str) -> None:
        """Let the kubelet report that it cannot pull the image of `migrate`."""
        pod = await self._pod_of(job)
        waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
        status = {"phase": "Pending", "containerStatuses": [_container(names.CONTAINER_MIGRATE, waiting)]}
        await self._pods.patch(
            self._namespace, pod["metadata"]["name"], {"status": status}, subresource="status"
        )

    async def end(self, job: Object, ending: Ending) -> None:
        """Let the pod end, then the Job."""
        pod = await self.start(job)
        await self.end_pod(pod, ending)
        await self.end_job(job, ending)

    async def fail_before(self, job: Object, name: str, ending: Ending) -> None:
        """Let the pod fail in its first container, then the Job."""
        pod = await self._pod_of(job)
        state = _terminated(ending.exit_code, ending.message)
        waiting = {"waiting": {"reason": "PodInitializing"}}
        status = {
            "phase": "Failed",
            "initContainerStatuses": [_container(name, state)],
            "containerStatuses": [_container(names.CONTAINER_MIGRATE, waiting)],
        }
        await self._pods.patch(
            self._namespace, pod["metadata"]["name"], {"status": status}, subresource="status"
        )
        await self.end_job(job, ending)

    async def end_pod(self, pod: Object, ending: Ending) -> None:
        name = pod["metadata"]["name"]
        self._logs[name] = ending.log
        status = {
            "phase": "Succeeded" if ending.succeeded else "Failed",
            "containerStatuses": [
                _container(names.CONTAINER_MIGRATE, _terminated(ending.exit_code, ending.message))
            ],
        }
        await self._pods.patch(self._namespace, name, {"status": status}, subresource="status")

    async def end_job(self, job: Object, ending: Ending) -> None:
        now = _now()
        conditions = end_of_job(succeeded=ending.succeeded, at=now)
        outcome: Object = {"succeeded": 1, "completionTime": now} if ending.succeeded else {"failed": 1}
        status = {"startTime": now, "active": 0, "ready": 0, "conditions": conditions, **outcome}
        await self._jobs.patch(
            self._namespace, job["metadata"]["name"], {"status": status}, subresource="status"
        )

    # --- what happens by itself ------------------------------------------------------------------------------------

    async def _follow(self, version: str) -> None:
        """Watch the Jobs; an API server that is away for a while is waited for."""
        while True:
            try:
                async for kind, job in self._watcher.watch(version, _WATCH_SECONDS):
                    version = job["metadata"]["resourceVersion"]
                    self._changed(kind, job)
            except KubeError:
                await asyncio.sleep(0.2)

    def _changed(self, kind: str, job: Object) -> None:
        if kind == "ADDED":
            self.created.append(job)
            self._do(self.play(job, self.ending))
        elif kind == "MODIFIED" and job["metadata"].get("deletionTimestamp"):
            self._do(self._collect(job))

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._plays.append(asyncio.create_task(coroutine))

    async def play(self, job: Object, ending: Ending | None) -> None:
        """Give a Job its pod, and an ending: for the operator's own, that which was set when the Job appeared."""
        async with self._hands:
            pod = await eventually(lambda: self._create_pod(job))
        if ending is not None:
            async with self._hands:
                await self.end_pod(pod, ending)
                with contextlib.suppress(NotFound):  # removed by somebody who has seen the end of the pod
                    await self.end_job(job, ending)

    async def _create_pod(self, job: Object) -> Object:
        """Create the one pod of a Job; asked again after a lost answer, it finds it."""
        template = job["spec"]["template"]
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        name = f"{job['metadata']['name'][:57]}-{job['metadata']['uid'][:4]}"
        metadata = {**template["metadata"], "name": name, "ownerReferences": [owner]}
        try:
            pod = await self._pods.create(self._namespace, {"metadata": metadata, "spec": template["spec"]})
        except AlreadyExists:
            pod = await self._pods.get(self._namespace, name)
        self._pod_by_job[job["metadata"]["uid"]] = pod
        return pod

    async def _collect(self, job: Object) -> None:
        """Remove the pod of a Job that is being deleted, then the Job."""
        pod = await self._pod_of(job)
        with contextlib.suppress(NotFound):
            await self._pods.delete(self._namespace, pod["metadata"]["name"], propagation="Background")
        with contextlib.suppress(NotFound):
            patch = {"metadata": {"finalizers": None}}
            await self._jobs.patch(self._namespace, job["metadata"]["name"], patch)

    async def _pod_of(self, job: Object) -> Object:
        uid = job["metadata"]["uid"]
        await eventually(lambda: uid in self._pod_by_job, what="the Job has a pod")
        return self._pod_by_job[uid]


def _container(name: str, state: Object) -> Object:
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _terminated(exit_code: int, message: str = "") -> Object:
    reason = "Error" if exit_code else "Completed"
    now = _now()
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            "message": message,
            "startedAt": now,
            "finishedAt": now,
        }
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
