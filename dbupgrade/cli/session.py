"""One command on one cluster: what it reads and writes there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

from dbupgrade.api import names
from dbupgrade.cli import manifest
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.view import Seen, pods_selector
from dbupgrade.kube import config
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, KubeError, NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import PODS, ResourceClient, ResourceKind
from dbupgrade.objects import Object
from dbupgrade.pod.redact import every_text, printable

DBUPGRADES = ResourceKind(names.GROUP, names.VERSION, names.PLURAL)
_AUTHENTICATION = "authentication.k8s.io/v1"
_JOB_LABEL = "batch.kubernetes.io/job-name"
_PAGE = 500
_INTERRUPTED = 130


class Session:
    """The cluster, and the resource that the command is about; `name` is empty when it is about several."""

    def __init__(self, client: Client, namespace: str, name: str) -> None:
        self.client = client
        self.namespace = namespace
        self.name = name
        self._resources = ResourceClient(client, DBUPGRADES)

    async def get(self) -> Seen:
        """The resource. Raises CommandError when there is none, and KubeError."""
        return Seen.of(await self.stored())

    async def stored(self) -> Object:
        """The resource as it is stored. Raises CommandError when there is none, and KubeError."""
        try:
            return await self._find()
        except NotFound:
            raise CommandError(
                f"DBUpgrade {self.name} not found in namespace {self.namespace}; `status -A` lists all namespaces"
            ) from None

    async def find(self) -> Seen:
        """The resource. Raises NotFound when there is none (yet), and KubeError."""
        return Seen.of(await self._find())

    async def _find(self) -> Object:
        try:
            return await self._resources.get(self.namespace, self.name)
        except NotFound as error:
            if error.name == self.name:
                raise
            raise unknown_kind() from None

    async def all(self, namespace: str) -> list[Seen]:
        """The resources of a namespace, or of all when it is empty."""
        try:
            return [Seen.of(obj) async for obj in self._every(DBUPGRADES, namespace)]
        except NotFound:
            raise unknown_kind() from None

    async def user(self) -> str:
        """The user name that the API server knows us by. Raises KubeError."""
        review = {"apiVersion": _AUTHENTICATION, "kind": "SelfSubjectReview"}
        answer = await self.client.request("POST", f"/apis/{_AUTHENTICATION}/selfsubjectreviews", body=review)
        return str(answer["status"]["userInfo"]["username"])

    async def patch(self, patch: Object) -> None:
        """Merge `patch` into the resource. Raises KubeError, Conflict if `patch` has a resourceVersion that is not current."""
        await self._resources.patch(self.namespace, self.name, patch)

    async def pods(self, seen: Seen) -> list[Object]:
        """The pods of the last run, the oldest first; none where they must not be listed."""
        try:
            return await self.listed_pods(seen)
        except Forbidden:
            return []

    async def listed_pods(self, seen: Seen) -> list[Object]:
        """The pods of the last run, the oldest first. Raises KubeError."""
        run = seen.status.run
        if run is None:
            return []
        found = self._every(PODS, seen.namespace, pods_selector(seen.uid))
        own = [
            every_text(pod, printable)
            async for pod in found
            if pod["metadata"].get("labels", {}).get(_JOB_LABEL) == run.job_name
        ]
        return sorted(own, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    async def pods_of(self, job: str) -> list[Object]:
        """The pods of a Job, the oldest first. Raises KubeError."""
        found = [pod async for pod in self._every(PODS, self.namespace, f"{_JOB_LABEL}={job}")]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    async def _every(
        self, resource: ResourceKind, namespace: str, selector: str = ""
    ) -> AsyncIterator[Object]:
        watcher, token = ListWatcher(self.client, resource, namespace, selector), ""
        while True:
            page = await watcher.list_page(_PAGE, token)
            for item in page.items:
                yield item
            if not (token := page.continue_token):
                return


def unknown_kind() -> CommandError:
    """The cluster has no such kind."""
    return CommandError("this cluster has no DBUpgrades: install the operator first")


def run(target: Target, work: Callable[[Session], Awaitable[None]]) -> None:
    """Connect to the cluster that is meant, and do the work there. Raises CommandError."""
    try:
        asyncio.run(_run(target, work))
    except (KubeError, manifest.BadManifestError) as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None


async def _run(target: Target, work: Callable[[Session], Awaitable[None]]) -> None:
    namespace = target.namespace or config.default_namespace(target.kubeconfig, target.context)
    name = target.name or ""
    if target.file:
        metadata = manifest.read(target.file, target.namespace)["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", namespace)
    async with await Client.connect(target.kubeconfig, target.context) as client:
        await work(Session(client, namespace, name))


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)
