"""What the API server serves: the versions of a group, and the resource of a kind. Asked once, and again when it lacks something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbupgrade.kube.errors import KubeError, NotFound
from dbupgrade.kube.resources import api_root, path

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client


class NoSuchKind(KubeError):  # noqa: N818 - named like its siblings
    """The cluster has no such kind."""


class Kind(NamedTuple):
    """A kind's resource with its group (`deployments.apps`, `services`), and whether it lives in namespaces."""

    resource: str
    namespaced: bool


class Discovery:
    """Answers from what was learnt before, where it can."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._versions: dict[str, tuple[str, ...]] = {}
        self._kinds: dict[str, dict[str, Kind]] = {}

    async def versions(self, group: str) -> tuple[str, ...]:
        """Return the versions of a group, the server's preferred one first. Raises NotFound for an unknown group."""
        if group not in self._versions:
            answer = await self._client.request("GET", path("apis", group))
            self._versions[group] = tuple(each["version"] for each in answer["versions"])
        return self._versions[group]

    def forget(self, group: str) -> None:
        """Ask for the group's versions again, next time."""
        self._versions.pop(group, None)

    async def kind(self, api_version: str, kind: str) -> Kind:
        """Return the resource of a kind, by its apiVersion (`v1`, `apps/v1`). Raises NoSuchKind, or another KubeError."""
        found = self._kinds.get(api_version, {}).get(kind)
        if found is None:
            self._kinds[api_version] = await self._load(api_version)
            found = self._kinds[api_version].get(kind)
        if found is None:
            raise NoSuchKind(f"the cluster has no kind {kind} in {api_version}")
        return found

    async def _load(self, api_version: str) -> dict[str, Kind]:
        group, _, version = api_version.rpartition("/")
        try:
            root = path(*api_root(group, version))
            answer: dict[str, Any] = await self._client.request("GET", root)
        except (ValueError, NotFound) as error:
            raise NoSuchKind(f"the cluster has no API {api_version}") from error
        suffix = f".{group}" if group else ""
        return {
            each["kind"]: Kind(each["name"] + suffix, bool(each["namespaced"]))
            for each in answer["resources"]
            if "/" not in each["name"]  # a subresource, with a kind of its own
        }
