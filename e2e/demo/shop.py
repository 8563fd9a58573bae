"""The shop on the cluster: its namespace, its Secret and its DBUpgrade, from the example's own manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from e2e.demo.errors import DemoError
from e2e.demo.release import EXAMPLE

if TYPE_CHECKING:
    from e2e.demo.kubectl import Json, Kubectl

MANIFEST = EXAMPLE / "dbupgrade.yaml"
NAME = "shop"
CRD = "dbupgrades.dbupgrade.subbug.learning"


@dataclass(frozen=True)
class Shop:
    """The shop's objects in the namespace of the same name."""

    kubectl: Kubectl

    async def recreate_namespace(self) -> None:
        """Remove what an earlier demo left, wait until it is gone, and make an empty namespace."""
        if not await self.kubectl.run("get", "crd", CRD, "--ignore-not-found", "-o", "name"):
            raise DemoError(f"the cluster does not know {CRD}: run `make up` first")
        await self.kubectl.run("delete", "namespace", NAME, "--ignore-not-found", "--timeout=180s")
        await self.kubectl.apply([manifest()["Namespace"]])
        # Kubernetes gives a new namespace its service account a moment later; pods need it.
        await self.kubectl.run("wait", "--for=create", "serviceaccount/default", "--timeout=60s")

    async def create(self, image: str, url: str) -> int:
        """Apply Secret and DBUpgrade, with this image and this database; the generation that this makes."""
        objects = manifest()
        objects["Secret"]["stringData"]["url"] = url
        objects["DBUpgrade"]["spec"]["migrations"]["image"] = image
        await self.kubectl.apply([objects["Secret"], objects["DBUpgrade"]])
        return _generation(await self.kubectl.get("dbupgrade", NAME))

    async def change_image(self, image: str) -> int:
        """Ask for another image; the generation that this makes."""
        patch = json.dumps({"spec": {"migrations": {"image": image}}})
        printed = await self.kubectl.run(
            "patch", "dbupgrade", NAME, "--type=merge", "--patch", patch, "-o", "json"
        )
        return _generation(json.loads(printed))


def manifest() -> dict[str, Json]:
    """Read the objects of the example, by their kind."""
    return {item["kind"]: item for item in yaml.safe_load_all(MANIFEST.read_text())}


def _generation(item: Json) -> int:
    return int(item["metadata"]["generation"])
