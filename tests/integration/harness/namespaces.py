"""A namespace for each test. Nothing finishes the deletion of namespaces here, so what a test made is removed by hand."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from dbupgrade.api.names import ANNOTATION_FORCE_DELETE
from dbupgrade.kube.errors import NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, NAMESPACES, PODS, ResourceClient, ResourceKind
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

DBUPGRADES = ResourceKind("dbupgrade.subbug.learning", "v1alpha1", "dbupgrades")


async def create_namespace(admin: Client, labels: dict[str, str] | None = None) -> str:
    name = f"t-{secrets.token_hex(5)}"
    await ResourceClient(admin, NAMESPACES).create("", {"metadata": {"name": name, "labels": labels or {}}})
    return name


async def clear_namespace(admin: Client, namespace: str) -> None:
    """Remove the objects that an operator would act on, while the API server may still ask a webhook that has just gone."""

    async def cleared() -> bool:
        await _clear(admin, namespace)
        return True

    await eventually(cleared, what=f"{namespace} can be cleared")


async def _clear(admin: Client, namespace: str) -> None:
    """Remove them, their finalizers first. Raises a KubeError."""
    for resource in (DBUPGRADES, JOBS, PODS):
        objects = ResourceClient(admin, resource)
        with contextlib.suppress(NotFound):  # the CRD is not there yet
            for item in (await ListWatcher(admin, resource, namespace).list_page(limit=0)).items:
                name = item["metadata"]["name"]
                release = {"finalizers": None, "annotations": {ANNOTATION_FORCE_DELETE: "true"}}
                with contextlib.suppress(NotFound):
                    if item["metadata"].get("finalizers") or resource is DBUPGRADES:
                        await objects.patch(namespace, name, {"metadata": release})
                    await objects.delete(namespace, name, propagation="Background")
