"""The world around the operator in a chaos run: Job controller, kubelet and garbage collector for all namespaces.

It does what a real cluster does in time, and ends runs only when it is told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.kube.errors import KubeError, NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, PODS, ResourceClient
from dbupgrade.pod.message import text
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps.fetch import Fetch
from tests.chaos import approvals, locks
from tests.chaos.ledger import FORGED, Ledger, Object, is_finished, label
from tests.integration.harness.kubernetes import end_of_job
from tests.integration.harness.namespaces import DBUPGRADES

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dbupgrade.kube.client import Client

_GONE = (NotFound,)
_TERMINATED_EXIT_CODE = 143
_SLOWEST_SECONDS = 0.4
"""Collecting garbage takes a while in a real cluster: pods outlive their Job, and Jobs their resource."""


class World:
    """Use it as an async context manager."""

    def __init__(self, client: Client, ledger: Ledger) -> None:
        self._random = random.Random(0)
        self._client = client
        self.ledger = ledger
        self._jobs = ResourceClient(client, JOBS)
        self._pods = ResourceClient(client, PODS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._over: set[str] = set()
        self._pod_of: dict[str, Object] = {}
        self._ending: set[str] = set()
        self._kubelets: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By pod: one thing at a time becomes of it, and what has ended does not start."""

    async def __aenter__(self) -> Self:
        kinds: tuple[tuple[ListWatcher, Callable[[str, Object], None]], ...] = (
            (ListWatcher(self._client, DBUPGRADES), self._resource),
            (ListWatcher(self._client, JOBS, "", names.LABEL_UID), self._job),
            (ListWatcher(self._client, PODS, "", names.LABEL_UID), self.ledger.pod),
        )
        for watcher, handle in kinds:
            page = await watcher.list_page(1)
            self._do(self._follow(watcher, page.resource_version, handle))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failures:
            raise self._failures[0]

    # --- what a play does ------------------------------------------------------------------------------------------

    def unfinished(self, namespace: str) -> list[Object]:
        """The Jobs of a namespace that run, oldest first."""
        jobs = (job for job in self.ledger.jobs.values() if job["metadata"]["namespace"] == namespace)
        return [job for job in jobs if not is_finished(job) and not job["metadata"].get("deletionTimestamp")]

    async def end(self, job: Object, *, succeed: bool) -> None:
        """Let the Job's pod start and end, then the Job, once; whatever has gone meanwhile stays gone."""
        uid = job["metadata"]["uid"]
        pod = self._pod_of.get(uid)
        if pod is None or uid in self._ending:
            return
        self._ending.add(uid)
        succeed = succeed and not approvals.missing(pod)
        with contextlib.suppress(*_GONE):
            await self._end_pod(pod, succeed=succeed, slowly=True)
            await self._dawdle()
            await self._end_job(job, succeed=succeed)

    async def start(self, job: Object) -> None:
        """Let the Job's pod start."""
        pod = self._pod_of.get(job["metadata"]["uid"])
        if pod is None:
            return
        name = pod["metadata"]["name"]
        status = {
            "phase": "Running",
            "initContainerStatuses": [_container(Fetch.name, _terminated(0))],
            "containerStatuses": [
                _container(names.CONTAINER_MIGRATE, {"running": {"startedAt": now(-locks.SECONDS)}})
            ],
        }
        async with self._kubelets[name]:
            if name not in self._over:
                with contextlib.suppress(*_GONE):
                    await self._status(self._pods, pod, status)

    async def disrupt(self, job: Object) -> None:
        """Evict the Job's pod, which the Job controller replaces some time later."""
        uid = job["metadata"]["uid"]
        pod = self._pod_of.get(uid)
        if pod is None or uid in self._ending:
            return
        name = pod["metadata"]["name"]
        status = {
            "phase": "Failed",
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}],
            "containerStatuses": [_container(names.CONTAINER_MIGRATE, _terminated(_TERMINATED_EXIT_CODE))],
        }
        with contextlib.suppress(*_GONE):
            async with self._kubelets[name]:
                if name in self._over:
                    return
                self._over.add(name)
                del self._pod_of[uid]
                await self._status(self._pods, pod, status)
        self._do(self._replace_pod(job))

    async def delete_job(self, job: Object) -> None:
        """Delete a Job as a person does, in the background."""
        with contextlib.suppress(*_GONE):
            metadata = job["metadata"]
            await self._jobs.delete(metadata["namespace"], metadata["name"], propagation="Background")

    # --- what happens by itself ------------------------------------------------------------------------------------

    async def _follow(self, watcher: ListWatcher, at: str, handle: Callable[[str, Object], None]) -> None:
        while True:
            with contextlib.suppress(KubeError):
                async for kind, obj in watcher.watch(at, 600):
                    at = obj["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        handle(kind, obj)
            await asyncio.sleep(0.1)

    def _resource(self, kind: str, obj: Object) -> None:
        self.ledger.resource(kind, obj)
        if kind == "DELETED":
            self._do(self._collect(obj["metadata"]["uid"]))

    def _job(self, kind: str, obj: Object) -> None:
        self.ledger.job(kind, obj)
        if label(obj, FORGED):
            return
        if kind == "ADDED":
            self._do(self._create_pod(obj))
        elif kind == "DELETED" or obj["metadata"].get("deletionTimestamp"):
            self._do(self._remove_pod(obj, gone=kind == "DELETED"))

    async def _collect(self, uid: str) -> None:
        """The garbage collector: what a deleted resource owned goes."""
        await self._dawdle()
        for job in list(self.ledger.jobs.values()):
            if label(job, names.LABEL_UID) == uid:
                await self.delete_job(job)

    async def _create_pod(self, job: Object) -> None:
        template, metadata = job["spec"]["template"], job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        body = {
            "metadata": {
                **template["metadata"],
                "name": f"{metadata['name'][:57]}-{secrets.token_hex(2)}",
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": template["spec"],
        }
        pod = await self._pods.create(metadata["namespace"], body)
        self._pod_of[metadata["uid"]] = pod
        if not self._goes_on(job):  # it went while its pod was made
            await self._remove_pod(job, gone=True)

    async def _replace_pod(self, job: Object) -> None:
        await self._dawdle()
        if self._goes_on(job):
            await self._create_pod(job)

    def _goes_on(self, job: Object) -> bool:
        current = self.ledger.jobs.get(job["metadata"]["uid"])
        return current is not None and "deletionTimestamp" not in current["metadata"]

    async def _dawdle(self) -> None:
        await asyncio.sleep(self._random.random() * _SLOWEST_SECONDS)

    async def _remove_pod(self, job: Object, *, gone: bool) -> None:
        await self._dawdle()
        self._ending.add(job["metadata"]["uid"])
        pod = self._pod_of.get(job["metadata"]["uid"])
        if pod is not None:
            with contextlib.suppress(*_GONE):
                await self._end_pod(pod, succeed=False)
                await self._pods.delete(
                    pod["metadata"]["namespace"], pod["metadata"]["name"], propagation="Background"
                )
        if not gone:
            with contextlib.suppress(*_GONE):
                metadata = job["metadata"]
                patch = {"metadata": {"finalizers": None}}
                await self._jobs.patch(metadata["namespace"], metadata["name"], patch)

    async def _end_pod(self, pod: Object, *, succeed: bool, slowly: bool = False) -> None:
        """End the container, then the pod: in between something else in it goes on for a while."""
        name = pod["metadata"]["name"]
        containers = {
            "initContainerStatuses": [_container(Fetch.name, _terminated(0))],
            "containerStatuses": [
                _container(names.CONTAINER_MIGRATE, _ended(pod, succeed=succeed)),
            ],
        }
        phase = "Succeeded" if succeed else "Failed"
        async with self._kubelets[name]:
            if name not in self._over:
                self._over.add(name)
                if slowly:
                    await self._status(self._pods, pod, {"phase": "Running", **containers})
                    await self._dawdle()
                await self._status(self._pods, pod, {"phase": phase, **containers})

    async def _end_job(self, job: Object, *, succeed: bool) -> None:
        at = now()
        conditions = end_of_job(succeeded=succeed, at=at)
        outcome: Object = {"succeeded": 1, "completionTime": at} if succeed else {"failed": 1}
        status = {"startTime": at, "active": 0, "ready": 0, "conditions": conditions, **outcome}
        await self._status(self._jobs, job, status)

    async def _status(self, objects: ResourceClient, obj: Object, status: Object) -> None:
        metadata = obj["metadata"]
        await objects.patch(metadata["namespace"], metadata["name"], {"status": status}, subresource="status")

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failures.append(error)


def now(seconds: int = 0) -> str:
    """So many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ended(pod: Object, *, succeed: bool) -> Object:
    """The end of a runner: it looks for an approval before it applies anything."""
    if plan := approvals.missing(pod):
        return _terminated(approvals.EXIT_CODE, text(approvals.planned(plan)))
    if succeed:
        return _terminated(0, text(Report(to_version="1", applied=1, pending=0)))
    failed = locks.failed(pod["metadata"]["name"])
    return _terminated(KINDS[failed.failure or Failure.SQL].exit_code, text(failed))


def _container(name: str, state: Object) -> Object:
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _terminated(exit_code: int, message: str = "") -> Object:
    ended = {
        "exitCode": exit_code,
        "message": message,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": now(),
    }
    return {"terminated": {**ended, "finishedAt": now()}}
