"""A namespace with the operator in it: what a test of the whole operator plays on.

The operator reaches the API server through the fault proxy, and watches the scene's namespace only, so that many scenes can share one
API server.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dbupgrade.kube.resources import JOBS, SECRETS, ResourceClient
from e2e.operator import Launch, Operator
from tests.integration.harness import forked
from tests.integration.harness.faultproxy import Fault, FaultProxy, Match
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.standin import StandIn
from tests.integration.harness.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from dbupgrade.kube.client import Client
    from tests.integration.harness.apiserver import ApiServer
    from tests.integration.harness.faultproxy import Action

Object = dict[str, Any]

NAME = "shop"
IMAGE = "registry.example/shop:1.0.0"

STATUS_WRITE = Match("PATCH", r"/dbupgrades/[^/]+/status$")
JOB_CREATION = Match("POST", r"/jobs$")
JOB_PATCH = Match("PATCH", r"/jobs/[^/]+$")
EVENT = Match("POST", r"/events$")
SECRET_READ = Match("GET", r"/secrets/")
LOG_READ = Match("GET", r"/pods/[^/]+/log$")
WRITES = {
    "the-intent": (STATUS_WRITE, 0),
    "the-creation-of-the-job": (JOB_CREATION, 0),
    "the-status-that-the-job-is-there": (STATUS_WRITE, 1),
    "the-status-that-migrate-has-started": (STATUS_WRITE, 2),
    "the-result": (STATUS_WRITE, 3),
    "the-ttl-of-the-job": (JOB_PATCH, 0),
    "the-event-of-the-start": (EVENT, 0),
    "the-event-of-the-end": (EVENT, 1),
}
"""Each write of a run that succeeds: the request, and how many such come before it."""


def watch_of(kind: str) -> Match:
    """The watch of a kind, named in the plural."""
    return Match("GET", rf"/{kind}$", watch=True)


def condition(resource: Object, kind: str) -> Object:
    """The condition of that type; an empty one if there is none."""
    conditions = (resource.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {"status": None, "reason": None, "message": ""})


def summary(resource: Object) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in resource["status"]["conditions"]}


def run_of(resource: Object) -> Object:
    """The run in progress or last done; empty if there is none."""
    run: Object = (resource.get("status") or {}).get("run") or {}
    return run


def spec(image: str = IMAGE, **more: Any) -> Object:
    """The spec of a resource that uses the scene's Secret."""
    connection = {"urlSecretRef": {"name": "database"}}
    database = {"type": "selfHosted", "connection": connection}
    return {"migrations": {"image": image}, "database": database, **more}


def is_ready(resource: Object) -> bool:
    return bool(condition(resource, "Ready")["status"] == "True")


def is_finished(resource: Object) -> bool:
    """Whether the last run's end is recorded."""
    return "finishedAt" in run_of(resource)


def has_reason(reason: str) -> Callable[[Object], bool]:
    """Make a check for Progressing's reason."""
    return lambda resource: condition(resource, "Progressing")["reason"] == reason


@dataclass
class Scene:
    """One namespace, its stand-in for a cluster, and the operators that were started in it."""

    namespace: str
    admin: Client
    api: ApiServer
    proxy: FaultProxy
    standin: StandIn
    directory: Path
    operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resources = ResourceClient(self.admin, DBUPGRADES)
        self.jobs = ResourceClient(self.admin, JOBS)
        self.secrets = ResourceClient(self.admin, SECRETS)
        self.log = self.directory / "operator.log"

    # --- operators -------------------------------------------------------------------------------------------------

    def spawn(self, direct: bool = False, /, **settings: str) -> Operator:
        """Start an operator without waiting for it; a direct one passes by the proxy."""
        kubeconfig = self.api.kubeconfig
        if not direct:
            kubeconfig = self.api.write_kubeconfig("operator", self.api.admin, server=self.proxy.url)
        given = {"DBUPGRADE_WATCH_NAMESPACES": self.namespace, **settings}
        # It must not outlive the tests, whatever ends them.
        prefix = ("setpriv", "--pdeathsig", "KILL", "--")
        operator = Operator.spawn(Launch(kubeconfig, self.log, given, prefix), forked.begin)
        self.operators.append(operator)
        return operator

    async def start(self, direct: bool = False, /, **settings: str) -> Operator:
        """Start an operator and wait until its caches are filled."""
        operator = self.spawn(direct, **settings)
        await asyncio.to_thread(operator.wait_ready)
        return operator

    async def stop(self, operator: Operator) -> int:
        """Ask it to end, and return its exit code."""
        return await asyncio.to_thread(operator.stop)

    def inject(self, match: Match, action: Action, *, times: int | None = 1, skip: int = 0) -> Fault:
        """Add a fault; the stand-in, which answers for logs, stays the last."""
        fault = Fault(match, action, times, skip)
        self.proxy.faults.insert(-1, fault)
        return fault

    # --- objects ---------------------------------------------------------------------------------------------------

    async def create_secret(self, url: str = "postgres://u:hunter2@db.example/shop") -> Object:
        return await self.secrets.create(
            self.namespace, {"metadata": {"name": "database"}, "stringData": {"url": url}}
        )

    async def create(self, name: str = NAME, image: str = IMAGE, **more: Any) -> Object:
        """Create a DBUpgrade."""
        body = {
            "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
            "kind": "DBUpgrade",
            "metadata": {"name": name},
            "spec": spec(image, **more),
        }
        return await self.resources.create(self.namespace, body)

    async def get(self, name: str = NAME) -> Object:
        return await self.resources.get(self.namespace, name)

    async def patch(self, patch: Object, name: str = NAME, *, subresource: str = "") -> Object:
        return await self.resources.patch(self.namespace, name, patch, subresource=subresource)

    async def set_image(self, image: str) -> Object:
        return await self.patch({"spec": {"migrations": {"image": image}}})

    async def until(
        self,
        check: Callable[[Object], bool],
        *,
        name: str = NAME,
        within: float = PATIENCE,
        what: str = "",
    ) -> Object:
        """Wait until the resource fits; returns it."""
        last: Object = {}

        async def fits() -> bool:
            nonlocal last
            last = await self.get(name)
            return check(last)

        try:
            await eventually(fits, within=within, what=what or "the resource is as expected")
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {last.get('status')}") from error
        return last

    async def until_reason(self, reason: str, *, name: str = NAME, within: float = PATIENCE) -> Object:
        return await self.until(has_reason(reason), name=name, within=within, what=reason)

    async def until_ready(self, *, sequence: int = 1, within: float = PATIENCE) -> Object:
        """Wait for Ready after the run of that number, and for the TTL of its Job, the last that the operator writes."""

        def done(resource: Object) -> bool:
            return is_ready(resource) and run_of(resource)["sequence"] == sequence

        resource = await self.until(done, within=within, what=f"Ready after run {sequence}")
        await self.until_ttl(resource)
        return resource

    async def until_ttl(self, resource: Object) -> None:
        name = run_of(resource)["jobName"]

        async def expires() -> bool:
            return "ttlSecondsAfterFinished" in (await self.jobs.get(self.namespace, name))["spec"]

        await eventually(expires, what="the Job has a TTL")

    async def told(self, name: str = NAME) -> list[str]:
        """The reasons of the resource's Events, sorted."""
        answer = await self.admin.request("GET", f"/api/v1/namespaces/{self.namespace}/events")
        return sorted(event["reason"] for event in answer["items"] if event["involvedObject"]["name"] == name)

    async def until_told(self, reason: str) -> None:
        """Wait for an Event: it is sent some time after the status that it is about."""

        async def is_told() -> bool:
            return reason in await self.told()

        await eventually(is_told, what=f"the Event {reason}")

    async def quiet(self) -> None:
        """Let all operators do what there is to do, then end in good order: nothing can follow what is asserted next."""
        for operator in self.operators:
            if not operator.ended():
                await asyncio.to_thread(operator.wait_ready)
                await eventually(partial(has_nothing_to_do, operator))
                assert await self.stop(operator) == 0


def has_nothing_to_do(operator: Operator) -> bool:
    """Whether an operator has reconciled something and nothing waits for its workers."""
    values = dict(line.rsplit(" ", 1) for line in operator.metrics().splitlines() if line[:1] != "#")
    added = float(values.get('workqueue_adds_total{name="dbupgrade"}', 0))
    waiting = float(values['workqueue_depth{name="dbupgrade"}'])
    working = float(values['workqueue_unfinished_work_seconds{name="dbupgrade"}'])
    return added > 0 and waiting == working == 0


@contextlib.asynccontextmanager
async def open_scene(api: ApiServer, admin: Client, namespace: str, directory: Path) -> AsyncIterator[Scene]:
    """Set a scene with a Secret and without an operator; at the end the operators' log is printed, for failed tests."""
    async with FaultProxy(api) as proxy, StandIn(admin, namespace) as standin:
        scene = Scene(namespace, admin, api, proxy, standin, directory)
        proxy.inject(Fault(LOG_READ, standin, times=None))
        await scene.create_secret()
        try:
            yield scene
        finally:
            for operator in scene.operators:
                operator.kill()
            if scene.log.exists():
                sys.stdout.write(scene.log.read_text())
