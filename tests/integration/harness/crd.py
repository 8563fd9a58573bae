"""Installs the CRD as users do, from the file that deploy/ ships."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.kube.errors import AlreadyExists
from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

CRD_FILE = Path(__file__).parents[3] / "deploy" / "kustomize" / "crd" / "dbupgrades.yaml"
CRDS = ResourceKind("apiextensions.k8s.io", "v1", "customresourcedefinitions")


async def install_crd(admin: Client, crd: dict[str, Any] | None = None) -> None:
    """Create the CRD (ours, unless another is given) and wait until its objects are served; there already is fine."""
    if crd is None:
        crd = yaml.safe_load(CRD_FILE.read_text())
    crds = ResourceClient(admin, CRDS)
    name: str = crd["metadata"]["name"]
    with contextlib.suppress(AlreadyExists):
        await crds.create("", crd)

    async def established() -> bool:
        conditions = (await crds.get("", name)).get("status", {}).get("conditions") or ()
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    await eventually(established)
    spec = crd["spec"]
    kind = ResourceKind(spec["group"], spec["versions"][0]["name"], spec["names"]["plural"])
    await eventually(lambda: admin.request("GET", kind.collection()), what=f"{name} is served")
