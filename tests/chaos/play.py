"""One play: a random sequence of what people and clusters do to a few resources in one namespace."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbupgrade.api.names import ANNOTATION_FORCE_DELETE
from dbupgrade.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, ServerError
from dbupgrade.kube.resources import NAMESPACES, SECRETS, ResourceClient
from tests.chaos import approvals
from tests.chaos.attack import Attack
from tests.chaos.guards import ABSENT, DOWN, UP, WEBHOOK_LABEL
from tests.chaos.ledger import LIAR
from tests.integration.harness.faultproxy import Answer, Cut, Duplicate, ErrorEvent, Fault, Match, Reset
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from dbupgrade.kube.client import Client
    from tests.chaos.ledger import Object
    from tests.chaos.world import World
from tests.integration.harness.faultproxy import FaultProxy

RESOURCES = {"alpha": "one", "beta": "one", "gamma": "two"}
"""Resource -> Secret: the first two share a database."""
DELTA = "delta"
"""The resource of namespaces that are rivals: both name the same server and database."""
_SHARED = {"host": "db.example", "database": "shared", "sslMode": "disable"}
_LOGIN = {name: {"name": "login", "key": "key"} for name in ("userSecretRef", "passwordSecretRef")}
IMAGES = ("registry.example/app:1", "registry.example/app:2", "registry.example/app:3")
LAST_IMAGE = "registry.example/app:last"
FINAL_SECONDS = 300.0
PAUSE_SECONDS = 0.03
_DENIED = (
    Invalid,
    Forbidden,
    ServerError,
)  # the CRD; the policy or the webhook; a webhook that cannot be reached


@dataclass
class Stage:
    """What all plays share. `kill` ends the operator with SIGKILL and starts another; `rules`: the CRD has its own."""

    admin: Client
    world: World
    proxy: FaultProxy
    kill: Callable[[], Awaitable[None]]
    rules: bool


@dataclass
class Play:
    """A sequence of `steps` steps in `namespace`, which follows from `seed`.

    `webhook` says what the API server meets when it asks: a webhook that is up, one that is down, or none.
    """

    stage: Stage
    namespace: str
    seed: int | str
    steps: int
    webhook: str = ABSENT
    rival: str = ""
    """A namespace that is attacked, and attacks this one in a play of its own."""
    denied: int = 0
    trail: list[str] = field(default_factory=list)
    """What was done, for the report of a failure."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._resources = ResourceClient(self.stage.admin, DBUPGRADES)
        self._secrets = ResourceClient(self.stage.admin, SECRETS)
        ledger = self.stage.world.ledger
        self._attack = Attack(self.stage.admin, ledger, self.namespace, self.rival, self._random)
        self._names = [*RESOURCES, *([DELTA] if self.rival else [])]

    async def act(self) -> None:
        """Do the steps."""
        for name in ("one", "two"):
            await self._create_secret(name)
        if self.rival:
            await self._create_secret("login", key="key")
            await self._try(f"create {LIAR}", self._create(LIAR, suspend=True))
        for name in self._names:
            await self._apply(name)
        if self.webhook == DOWN:
            await self.label(DOWN)
        for _ in range(self.steps):
            await self._step()
            # Not luck: it only lets the operator come in between, as it would between the acts of people.
            await asyncio.sleep(self._random.random() * PAUSE_SECONDS)

    async def _step(self) -> None:
        acts: tuple[tuple[int, Callable[[], Awaitable[None]]], ...] = (
            (6, self._edit_image),
            (5, self._end_job),
            (4, self._start_job),
            (3, self._recreate),
            (2, self._delete_job),
            (2, self._disrupt),
            (2, self._retry),
            (2, self._suspend),
            (2, self._toggle_secret),
            (2, self._edit_runner),
            (2, self._ask),
            (3, self._approve),
            (4, self._fault),
            (1, self._kill),
            (6 if self.rival else 0, self._strike),
        )
        weights, choices = zip(*acts, strict=True)
        (act,) = self._random.choices(choices, weights)
        await act()

    # --- acts ------------------------------------------------------------------------------------------------------

    async def _edit_image(self) -> None:
        image = self._random.choice(IMAGES)
        await self._patch({"spec": {"migrations": {"image": image}}})

    async def _edit_runner(self) -> None:
        await self._patch({"spec": {"runner": {"activeDeadlineSeconds": self._random.choice((600, 700))}}})

    async def _ask(self) -> None:
        approval = self._random.choice(("Never", "OnFindings", "Always"))
        await self._patch({"spec": {"policy": {"approval": approval}}})

    async def _approve(self) -> None:
        """Approve the plan of an image, which may be another one than that of the resource, or in another way."""
        name = self._any()
        digest = approvals.plan_of(f"{self.namespace}/{name}", self._random.choice(IMAGES))
        in_git = self._random.random() < 0.3
        patch = {"spec": {"policy": {"approvedPlan": digest}}} if in_git else approvals.approval(digest)
        await self._try(f"approve a plan of {name}", self._resources.patch(self.namespace, name, patch))

    async def _suspend(self) -> None:
        await self._patch({"spec": {"suspend": self._random.random() < 0.5}})

    async def _retry(self) -> None:
        value = str(self._random.randrange(1000))
        await self._patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": value}}})

    async def _recreate(self) -> None:
        name = self._any()
        if self._random.random() < 0.5:
            force = {"metadata": {"annotations": {ANNOTATION_FORCE_DELETE: "true"}}}
            await self._try(f"force {name}", self._resources.patch(self.namespace, name, force))
        deletion = self._resources.delete(self.namespace, name, propagation="Background")
        await self._try(f"delete {name}", deletion)
        if self._random.random() < 0.7:
            await self._apply(name)

    async def _toggle_secret(self) -> None:
        name = self._random.choice(("one", "two"))
        try:
            await self._secrets.delete(self.namespace, name, propagation="Background")
            self._note(f"delete Secret {name}")
        except NotFound:
            await self._create_secret(name)

    async def _start_job(self) -> None:
        for job in self._some_job():
            self._note(f"start {job['metadata']['name']}")
            await self.stage.world.start(job)

    async def _end_job(self) -> None:
        succeed = self._random.random() < 0.6
        for job in self._some_job():
            self._note(f"end {job['metadata']['name']} {'well' if succeed else 'badly'}")
            await self.stage.world.end(job, succeed=succeed)

    async def _delete_job(self) -> None:
        for job in self._some_job():
            self._note(f"delete {job['metadata']['name']}")
            await self.stage.world.delete_job(job)

    async def _disrupt(self) -> None:
        for job in self._some_job():
            self._note(f"evict the pod of {job['metadata']['name']}")
            await self.stage.world.disrupt(job)

    async def _fault(self) -> None:
        write, watch = Match("PATCH", rf"/{self.namespace}/.*status$"), Match(watch=True)
        create, read = Match("POST", rf"/{self.namespace}/jobs$"), Match("GET", rf"/{self.namespace}/")
        fault = self._random.choice(
            (
                Fault(write, Answer(409, "Conflict")),
                Fault(write, Answer(500, "InternalError"), times=2),
                Fault(write, Reset(applied=True)),
                Fault(write, Reset()),
                Fault(create, Answer(500, "InternalError")),
                Fault(create, Reset(applied=True)),
                Fault(create, Reset()),
                Fault(read, Answer(503, "ServiceUnavailable")),
                Fault(read, Answer(429, "TooManyRequests", retry_after=1)),
                Fault(watch, Answer(410, "Expired")),
                Fault(watch, ErrorEvent(410, "Expired")),
                Fault(watch, Duplicate()),
                Fault(watch, Cut(events=1)),
            )
        )
        self._note(f"inject {fault.action} on {fault.match}")
        self.stage.proxy.inject(fault)

    async def _kill(self) -> None:
        self._note("kill the operator")
        await self.stage.kill()

    async def _strike(self) -> None:
        self._note(await self._attack.strike())

    # --- the end ---------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Whatever happened: a new image, a Secret and no more trouble lead every resource to Ready. Raises AssertionError.

        What a rival has at work, and has forged, goes on all the time.
        """
        self._note("finish")
        if self.rival:
            await self._attack.withdraw()
        for name in ("one", "two"):
            with contextlib.suppress(AlreadyExists):
                await self._create_secret(name)
        if self.webhook != ABSENT:
            await self.label(UP)
        await asyncio.gather(*(self._rest(name) for name in self._names))

    async def _rest(self, name: str) -> None:
        last: Object = {}

        async def done() -> bool:
            nonlocal last
            for job in self.stage.world.unfinished(self.namespace):
                await self.stage.world.end(job, succeed=True)
            last = await self._set_last(name)
            status = last.get("status") or {}
            (ready, reason) = next(
                (
                    (c["status"] == "True", c["reason"])
                    for c in status.get("conditions") or ()
                    if c["type"] == "Ready"
                ),
                (False, ""),
            )
            if reason in approvals.WAITS and "plan" in status:
                patch = approvals.approval(status["plan"]["digest"])
                await self._try(f"approve {name}", self._resources.patch(self.namespace, name, patch))
            return ready and (status.get("run") or {}).get("image") == LAST_IMAGE

        try:
            await eventually(done, within=FINAL_SECONDS, what=f"{name} is Ready with its last image")
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {last.get('status')}") from error

    async def _set_last(self, name: str) -> Object:
        """Ask for the last image until that is accepted; returns the resource. Raises a KubeError when it is denied."""
        try:
            resource = await self._resources.get(self.namespace, name)
        except NotFound:
            return await self._create(name)
        spec = resource["spec"]
        if spec["migrations"]["image"] == LAST_IMAGE and not spec["suspend"]:
            return resource
        patch = {"spec": {"suspend": False, "migrations": {"image": LAST_IMAGE}}}
        return await self._resources.patch(self.namespace, name, patch)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _any(self) -> str:
        return self._random.choice(sorted(self._names))

    def _some_job(self) -> list[Object]:
        jobs = self.stage.world.unfinished(self.namespace)
        return [self._random.choice(jobs)] if jobs else []

    def _note(self, text: str) -> None:
        self.trail.append(text)

    async def _patch(self, patch: Object) -> None:
        name = self._any()
        await self._try(f"patch {name}: {patch}", self._resources.patch(self.namespace, name, patch))

    async def _try(self, what: str, request: Coroutine[Any, Any, Any]) -> None:
        """Do what a person would try; it may come too late, or be denied."""
        try:
            await request
        except (NotFound, Conflict, AlreadyExists):
            self._note(f"{what}: too late")
        except _DENIED:
            self.denied += 1
            self._note(f"{what}: denied")
        else:
            self._note(what)

    async def label(self, webhook: str) -> None:
        """Choose what the API server asks about this namespace."""
        self._note(f"the webhook is {webhook}")
        patch = {"metadata": {"labels": {WEBHOOK_LABEL: webhook}}}
        await ResourceClient(self.stage.admin, NAMESPACES).patch("", self.namespace, patch)

    async def _create_secret(self, name: str, key: str = "url") -> None:
        self._note(f"create Secret {name}")
        body = {"metadata": {"name": name}, "stringData": {key: f"postgres://u:p@{name}.example/{name}"}}
        await self._secrets.create(self.namespace, body)

    async def _apply(self, name: str) -> None:
        await self._try(f"create {name}", self._create(name))

    async def _create(self, name: str, **more: bool) -> Object:
        secret = RESOURCES.get(name)
        connection = {"urlSecretRef": {"name": secret}} if secret else {**_SHARED, **_LOGIN}
        database = {"type": "selfHosted", "connection": connection}
        body = {
            "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
            "kind": "DBUpgrade",
            "metadata": {"name": name},
            "spec": {"migrations": {"image": self._random.choice(IMAGES)}, "database": database, **more},
        }
        return await self._resources.create(self.namespace, body)
