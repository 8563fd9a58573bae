"""A small API server in memory, and the parts of a reconcile on it: only the wire is a fake."""

import base64
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from dbupgrade.api import names
from dbupgrade.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from dbupgrade.objects import Key, Object, key_of
from dbupgrade.pod.context import JobSettings
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.changes import Changes
from dbupgrade.reconcile.check_inputs import InputsOfChecks
from dbupgrade.reconcile.databases import Databases
from dbupgrade.reconcile.memory import Memories
from dbupgrade.reconcile.observe import Allowed, Observer
from dbupgrade.reconcile.podwatches import PodWatches
from dbupgrade.reconcile.reconciler import Reconciler
from dbupgrade.reconcile.samples import Samples
from dbupgrade.reconcile.stores import Stores, of_resource
from dbupgrade.reconcile.tokens import Signer, TokenSecrets
from dbupgrade.runtime.controller import Result
from dbupgrade.telemetry.resources import Resources

NAMESPACE = "shop"
NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SETTINGS = JobSettings(
    crane_image="crane.test/crane:1",
    runner_image="runner.test/runner:1",
)
URL = "postgres://orders:hunter2@db:5432/orders"


def key(name: str) -> Key:
    return Key(NAMESPACE, name)


@dataclass(frozen=True)
class Event:
    reason: str
    name: str


class ApiServer:
    """Objects by kind and key. `calls` are in their order; `failures` are raised by the calls of that name, each once.

    `meanwhile` is what happens elsewhere while a call of that name is under way, once.
    """

    def __init__(self) -> None:
        self.resources: dict[Key, Object] = {}
        self.jobs: dict[Key, Object] = {}
        self.pod_list: list[Object] = []
        self.secrets: dict[Key, Object] = {}
        self.logs: dict[str, str] = {}
        self.calls: list[str] = []
        self.failures: dict[str, list[BaseException]] = defaultdict(list)
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self.events: list[Event] = []
        self._version = 100

    def _called(self, call: str, *words: str) -> None:
        self.calls.append(" ".join((call, *words)))
        self.meanwhile.pop(call, lambda: None)()
        if self.failures[call]:
            raise self.failures[call].pop(0)

    def next_version(self) -> str:
        self._version += 1
        return str(self._version)

    async def secret(self, namespace: str, name: str) -> Object:
        self._called("get secret", name)
        return _found(self.secrets, namespace, name)

    async def create_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        name = body["metadata"]["name"]
        self._called("create secret", name)
        metadata = {**body["metadata"], "uid": f"uid-of-{name}", "resourceVersion": self.next_version()}
        self.secrets[Key(namespace, name)] = {**body, "metadata": metadata}

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        self._called("replace secret", name)
        self.secrets[Key(namespace, name)] = dict(body)

    async def delete_secret(self, namespace: str, name: str, uid: str) -> None:
        self._called("delete secret", name)
        assert _found(self.secrets, namespace, name)["metadata"]["uid"] == uid
        del self.secrets[Key(namespace, name)]

    async def job(self, namespace: str, name: str) -> Object | None:
        self._called("get job", name)
        return self.jobs.get(Key(namespace, name))

    async def try_job(self, namespace: str, body: Mapping[str, Any]) -> Object:
        self._called("try job", body["metadata"]["name"])
        del namespace
        return dict(body)

    async def create_job(self, namespace: str, body: Mapping[str, Any]) -> str:
        name = body["metadata"]["name"]
        self._called("create job", name)
        if Key(namespace, name) in self.jobs:
            raise AlreadyExists("there is one", status=409)
        metadata = {**body["metadata"], "uid": f"uid-of-{name}", "resourceVersion": self.next_version()}
        self.jobs[Key(namespace, name)] = {**body, "metadata": metadata, "status": {}}
        return str(metadata["uid"])

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        self._called("delete job", name)
        assert _found(self.jobs, namespace, name)["metadata"]["uid"] == uid

    async def set_job_ttl(self, namespace: str, name: str, seconds: int) -> None:
        self._called("expire job", name)
        _found(self.jobs, namespace, name)["spec"]["ttlSecondsAfterFinished"] = seconds

    async def pods(self, namespace: str, uid: str) -> list[Object]:
        self._called("list pods", uid)
        return [
            pod
            for pod in self.pod_list
            if (pod["metadata"]["namespace"], pod["metadata"]["labels"][names.LABEL_UID]) == (namespace, uid)
        ]

    async def log(self, namespace: str, pod: str) -> str:
        del namespace
        self._called("read log", pod)
        return self.logs[pod]

    async def replace_status(self, namespace: str, name: str, status: Mapping[str, Any], version: str) -> str:
        stored = _found(self.resources, namespace, name)
        run = status.get("run") or {}
        self._called("write status", name, "active" if run and "finishedAt" not in run else "at rest")
        if stored["metadata"]["resourceVersion"] != version:
            raise Conflict("it has changed", status=409)
        new = self.next_version()
        metadata = {**stored["metadata"], "resourceVersion": new}
        self.resources[Key(namespace, name)] = {**stored, "metadata": metadata, "status": dict(status)}
        return new

    def record(self, involved: Mapping[str, str], event_type: Any, reason: str, message: str) -> None:
        del event_type, message
        self.events.append(Event(reason, involved["name"]))


def _found(objects: dict[Key, Object], namespace: str, name: str) -> Object:
    if Key(namespace, name) not in objects:
        raise NotFound(f"{name} is not there", status=404)
    return objects[Key(namespace, name)]


class World:
    """The API server and a reconciler on it. The caches follow when `sync` is called, as watches would bring it."""

    def __init__(
        self, server: ApiServer | None = None, signer: Signer | None = None, *, reads_secrets: bool = True
    ) -> None:
        self.server = server or ApiServer()
        self.now = NOW
        self.stores = Stores()
        self.woken: list[Key] = []
        self.memories = Memories()
        self.series = Resources()
        self.databases = Databases(self.stores, self.woken.append)
        tokens = TokenSecrets(self.server, signer)
        inputs = InputsOfChecks(
            PodWatches(_no_watch, self.woken.append, self._clock),
            Samples(_no_metrics, self.woken.append, self._clock),
        )
        allowed = Allowed(reads_secrets=reads_secrets)
        self.observer = Observer(self.stores, self.server, inputs, tokens, self._clock, allowed)
        settings = replace(SETTINGS, reads_secrets=reads_secrets)
        self.actor = Actor(self.server, self.server, tokens, settings, self.series)
        self.reconciler = Reconciler(self.observer, self.actor, self.databases, self.memories)
        self.changes = Changes(self.databases, self.memories, inputs, self.woken.append, self.series)

    def _clock(self) -> datetime:
        return self.now

    def add(
        self,
        name: str,
        *,
        database: str = "orders-db",
        created: str = "1",
        namespace: str = NAMESPACE,
        **spec: Any,
    ) -> Key:
        """A resource of that name and the Secret of its database, not yet in the caches."""
        data = {"url": base64.b64encode(URL.encode()).decode()}
        self.server.secrets.setdefault(
            Key(namespace, database),
            {
                "metadata": {"name": database, "uid": f"uid-of-{database}", "resourceVersion": "1"},
                "data": data,
            },
        )
        self.server.resources[Key(namespace, name)] = {
            "metadata": {
                "namespace": namespace,
                "name": name,
                "uid": f"uid-of-{name}",
                "generation": 1,
                "resourceVersion": self.server.next_version(),
                "creationTimestamp": f"2026-01-01T00:00:0{created}Z",
            },
            "spec": {
                "migrations": {"image": "registry.test/orders:1.0"},
                "database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": database}}},
                **spec,
            },
        }
        return Key(namespace, name)

    def sync(self) -> None:
        """Bring the caches to what the API server has, and have the handlers of the watches told."""
        pods = {key_of(pod): {**pod, "kind": "Pod"} for pod in self.server.pod_list}
        jobs = {each: {**job, "kind": "Job"} for each, job in self.server.jobs.items()}
        for store, objects, changed in (
            (self.stores.resources, self.server.resources, self.changes.resource_changed),
            (self.stores.jobs, jobs, self.changes.dependent_changed),
            (self.stores.pods, pods, self.changes.dependent_changed),
        ):
            for gone in [key_of(obj) for obj in store if key_of(obj) not in objects]:
                changed(store.remove(gone), None)
            for each, obj in objects.items():
                old = store.get(each)
                if old not in (obj, of_resource(obj)):
                    store.put(obj)
                    changed(old, obj)

    async def reconcile(self, each: Key) -> Result:
        return await self.reconciler.reconcile(each)

    async def settle(self, each: Key, rounds: int = 3) -> None:
        """Reconcile with caches that are up to date, until nothing more can be new."""
        for _ in range(rounds):
            self.sync()
            await self.reconcile(each)
        self.sync()

    def run(self, each: Key) -> dict[str, Any]:
        """The run in the stored status."""
        found: dict[str, Any] = self.server.resources[each]["status"]["run"]
        return found

    def reason(self, each: Key) -> str:
        """The reason of Progressing in the stored status."""
        conditions = self.server.resources[each]["status"]["conditions"]
        return str(next(c["reason"] for c in conditions if c["type"] == "Progressing"))

    def message(self, each: Key) -> str:
        conditions = self.server.resources[each]["status"]["conditions"]
        return str(next(c["message"] for c in conditions if c["type"] == "Progressing"))

    def start_pod(self, each: Key, phase: str = "Running", **state: Any) -> Object:
        """The pod of the resource's Job, with the container `migrate` in that state."""
        job = self.server.jobs[Key(each.namespace, self.run(each)["jobName"])]
        template = job["spec"]["template"]["metadata"]
        name = f"{job['metadata']['name']}-pod"
        metadata = {
            "namespace": each.namespace,
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": self.server.next_version(),
            "creationTimestamp": "2026-01-02T12:00:00Z",
            "labels": template["labels"],
            "annotations": template["annotations"],
            "ownerReferences": [{"uid": job["metadata"]["uid"], "controller": True}],
        }
        status = {"phase": phase, "containerStatuses": [{"name": "migrate", "state": state}]}
        pod = {"metadata": metadata, "status": status}
        self.server.pod_list = [other for other in self.server.pod_list if key_of(other) != key_of(pod)]
        self.server.pod_list.append(pod)
        return pod

    def end_job(self, each: Key, condition: str = "Complete", exit_code: int = 0) -> None:
        """The pod of the resource's Job has ended, and the Job with it."""
        ended = {"exitCode": exit_code, "reason": "Completed", "startedAt": "2026-01-02T12:00:01Z"}
        pod = self.start_pod(each, "Failed" if exit_code else "Succeeded", terminated=ended)
        self.server.logs.setdefault(pod["metadata"]["name"], "")
        job_key = Key(each.namespace, self.run(each)["jobName"])
        status = {"conditions": [{"type": condition, "status": "True", "reason": "BackoffLimitExceeded"}]}
        self.server.jobs[job_key] = {**self.server.jobs[job_key], "status": status}


def _no_watch(namespace: str, selector: str) -> Any:
    raise AssertionError(f"a watch was opened in {namespace} for {selector}")


async def _no_metrics(namespace: str, query: object) -> tuple[tuple[str, str], ...]:
    raise KubeError(f"there are no metrics in {namespace}: {query}")
