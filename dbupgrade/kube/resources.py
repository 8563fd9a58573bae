"""Kinds of objects by their REST path, and the calls on single objects.

Objects are plain dicts, as the API server sends them. Every call raises a KubeError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from dbupgrade.kube.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from dbupgrade.kube.client import Client

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
# A migration may say nothing for long; a run has a deadline of its own.
LOG_SILENCE_SECONDS = 86400.0

Propagation = Literal["Foreground", "Background", "Orphan"]


@dataclass(frozen=True)
class ResourceKind:
    """A kind of object; the core group's name is empty."""

    group: str
    version: str
    plural: str

    def collection(self, namespace: str = "") -> str:
        """Return the path of all objects, or of those of one namespace."""
        scope = ("namespaces", namespace) if namespace else ()
        return path(*api_root(self.group, self.version), *scope, self.plural)

    def item(self, namespace: str, name: str, subresource: str = "") -> str:
        """Return the path of one object; the namespace of a cluster-scoped kind is empty."""
        return self.collection(namespace) + path(name, *([subresource] if subresource else []))


PODS = ResourceKind("", "v1", "pods")
SECRETS = ResourceKind("", "v1", "secrets")
EVENTS = ResourceKind("", "v1", "events")
NAMESPACES = ResourceKind("", "v1", "namespaces")
JOBS = ResourceKind("batch", "v1", "jobs")
LEASES = ResourceKind("coordination.k8s.io", "v1", "leases")


class ResourceClient:
    """The calls on the objects of one kind."""

    def __init__(self, client: Client, resource: ResourceKind) -> None:
        self._client = client
        self.resource = resource

    async def get(self, namespace: str, name: str) -> dict[str, Any]:
        """Return the object; NotFound if there is none."""
        return await self._dict("GET", self.resource.item(namespace, name))

    async def create(
        self, namespace: str, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object and return it as stored; AlreadyExists if the name is taken. A dry run stores nothing."""
        query = {"dryRun": "All"} if dry_run else {}
        return await self._dict("POST", self.resource.collection(namespace), body=body, query=query)

    async def replace(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the object; Conflict unless `body.metadata.resourceVersion` is the current one."""
        if not body["metadata"].get("resourceVersion"):
            raise ValueError("a replacement without a resourceVersion could undo a change it has not seen")
        return await self._dict("PUT", self.resource.item(namespace, name), body=body)

    async def patch(
        self,
        namespace: str,
        name: str,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> dict[str, Any]:
        """Patch the object and return it; Conflict if the patch names a metadata.resourceVersion that is not current."""
        path = self.resource.item(namespace, name, subresource)
        return await self._dict("PATCH", path, body=patch, content_type=content_type)

    async def replace_status(
        self, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str
    ) -> dict[str, Any]:
        """Make `status` the object's whole status; Conflict unless `resource_version` is the current one.

        A merge patch would keep the fields that `status` lacks. A JSON patch replaces them, and one that sets the resource
        version is checked against the stored one like an update.
        """
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]
        return await self.patch(namespace, name, patch, subresource="status", content_type=JSON_PATCH)

    async def delete(
        self, namespace: str, name: str, *, propagation: Propagation, uid: str | None = None
    ) -> None:
        """Delete the object; NotFound if it has gone, Conflict if the object of that name has another uid."""
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._client.request("DELETE", self.resource.item(namespace, name), body=options)

    async def _dict(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._client.request(method, path, **options)
        return answer


async def is_terminating(client: Client, namespace: str) -> bool:
    """Return whether a namespace is being deleted or has gone."""
    try:
        found = await ResourceClient(client, NAMESPACES).get("", namespace)
    except NotFound:
        return True
    return "deletionTimestamp" in found["metadata"]


async def pod_log(
    client: Client, namespace: str, pod: str, container: str, *, limit_bytes: int, tail_lines: int
) -> str:
    """Return the end of a container's log: the last `tail_lines`, of those the first `limit_bytes`.

    A kubelet that no longer has the log file answers with status 200 and one line that says so.
    """
    query = {"container": container, "limitBytes": str(limit_bytes), "tailLines": str(tail_lines)}
    raw = await client.read(PODS.item(namespace, pod, "log"), query=query)
    return raw[:limit_bytes].decode(errors="replace")


def follow_log(client: Client, namespace: str, pod: str, container: str) -> AsyncGenerator[bytes, None]:
    """Yield a container's log from its beginning, as it is written, until the container ends.

    Close the generator (contextlib.aclosing) to stop before. Raises a KubeError.
    """
    query = {"container": container, "follow": "true"}
    return client.stream(PODS.item(namespace, pod, "log"), query=query, silence=LOG_SILENCE_SECONDS)


def path(*segments: str) -> str:
    """Return the URL path of `segments`, each quoted, so that none of them can reach another object.

    Every path that the operator requests is built here: a part of it may come from a resource's author. Raises
    ValueError for a segment that quoting cannot keep in its place.
    """
    return "".join(f"/{_segment(each)}" for each in segments)


def api_root(group: str, version: str) -> tuple[str, ...]:
    """Return the segments that an API's paths begin with; the core group's name is empty."""
    return ("apis", group, version) if group else ("api", version)


def _segment(name: str) -> str:
    """Quote a path segment. An empty name would address the whole collection, dots another object."""
    if name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is not a valid name in a path")
    return quote(name, safe="")
