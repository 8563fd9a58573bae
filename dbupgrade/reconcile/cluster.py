"""The reads and writes of reconciling, as calls to the API server."""

from collections.abc import Mapping
from typing import Any

from dbupgrade.api import names
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, PODS, SECRETS, ResourceClient, ResourceKind, pod_log

DBUPGRADES = ResourceKind(names.GROUP, names.VERSION, names.PLURAL)
_LOG_BYTES = 1024 * 1024
_MAX_PODS = 500
_LOG_LINES = 100  # the report is one line, the last


class Cluster:
    """Implements `observe.Reads`, `act.Writes` and `tokens.SecretWrites`. Every call raises a KubeError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._resources = ResourceClient(client, DBUPGRADES)
        self._jobs = ResourceClient(client, JOBS)
        self._secrets = ResourceClient(client, SECRETS)

    async def secret(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a Secret object."""
        return await self._secrets.get(namespace, name)

    async def create_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Create a Secret."""
        await self._secrets.create(namespace, body)

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Replace a Secret of the body's resourceVersion."""
        await self._secrets.replace(namespace, name, body)

    async def delete_secret(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Secret if it has that uid."""
        await self._secrets.delete(namespace, name, propagation="Background", uid=uid)

    async def pods(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        """Return the pods of a resource from the API server; a resource never has more than a page of them."""
        watcher = ListWatcher(self._client, PODS, namespace, f"{names.LABEL_UID}={uid}")
        return (await watcher.list_page(_MAX_PODS)).items

    async def log(self, namespace: str, pod: str) -> str:
        """Return the end of what the container `migrate` printed."""
        return await pod_log(
            self._client,
            namespace,
            pod,
            names.CONTAINER_MIGRATE,
            limit_bytes=_LOG_BYTES,
            tail_lines=_LOG_LINES,
        )

    async def replace_status(self, namespace: str, name: str, status: Mapping[str, Any], version: str) -> str:
        """Write a status under the precondition `version`; returns the new resourceVersion."""
        stored = await self._resources.replace_status(namespace, name, status, resource_version=version)
        return str(stored["metadata"]["resourceVersion"])

    async def create_job(self, namespace: str, body: Mapping[str, Any]) -> str:
        """Create a Job, and return its uid."""
        return str((await self._jobs.create(namespace, body))["metadata"]["uid"])

    async def try_job(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a Job as the API server would store it, under another name; nothing is stored."""
        metadata = {**body["metadata"], "generateName": "dbupgrade-compare-"}
        del metadata["name"]
        return await self._jobs.create(namespace, {**body, "metadata": metadata}, dry_run=True)

    async def job(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Job from the API server; None when there is none."""
        try:
            return await self._jobs.get(namespace, name)
        except NotFound:
            return None

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job after its pods, if it has that uid."""
        await self._jobs.delete(namespace, name, propagation="Foreground", uid=uid)

    async def set_job_ttl(self, namespace: str, name: str, seconds: int) -> None:
        """Set ttlSecondsAfterFinished of a Job."""
        await self._jobs.patch(namespace, name, {"spec": {"ttlSecondsAfterFinished": seconds}})
