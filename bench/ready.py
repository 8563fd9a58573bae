"""How long a migration takes until it is Ready, against a bare Job with the same pod until it is Complete, in turns.

python -m bench.ready --state .local [N=10]

On a local cluster with the operator from the checkout (`make up`): two files, each time into an empty database. Prints one JSON object: the median seconds
of both and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import sys
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbupgrade.kube.client import Client
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, NAMESPACES, SECRETS, ResourceClient, ResourceKind
from e2e.cluster import Cluster
from e2e.scenarios.support.database import Database
from e2e.scenarios.support.images import FIRST, SECOND, folder
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.scene import is_ready, spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dbupgrade.objects import Object

WITHIN_SECONDS = 120
SECRET = "database"


def is_complete(job: Object) -> bool:
    """Whether the Job controller reports success."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


@dataclass
class Bench:
    """A cluster, and the image that is migrated with."""

    cluster: Cluster
    admin: Client
    image: str

    async def job(self) -> Object:
        """The spec of the Job that a DBUpgrade gets; by then its images are on the node."""
        async with self._namespace() as namespace:
            await self._upgrade(namespace)
            (job,) = (await ListWatcher(self.admin, JOBS, namespace).list_page(0)).items
            return dict(job["spec"])

    async def turn(self, number: int, job: Object) -> tuple[float, float]:
        """The seconds of one DBUpgrade and of one bare Job, each first in half of the turns."""
        async with self._namespace() as namespace:
            if number % 2:
                bare = await self._bare(namespace, job)
                return await self._upgrade(namespace), bare
            return await self._upgrade(namespace), await self._bare(namespace, job)

    @asynccontextmanager
    async def _namespace(self) -> AsyncIterator[str]:
        namespaces, name = ResourceClient(self.admin, NAMESPACES), f"bench-ready-{secrets.token_hex(4)}"
        await namespaces.create("", {"metadata": {"name": name}})
        try:
            yield name
        finally:
            await namespaces.delete("", name, propagation="Background")

    async def _upgrade(self, namespace: str) -> float:
        await self._empty_database(namespace)
        metadata = {"name": "shop"}
        kind = {"apiVersion": "dbupgrade.subbug.learning/v1alpha1", "kind": "DBUpgrade"}
        body = {**kind, "metadata": metadata, "spec": spec(self.image)}
        return await self._until(DBUPGRADES, namespace, body, is_ready)

    async def _bare(self, namespace: str, of: Object) -> float:
        """The same pod and the same rules, in a Job that nobody looks after."""
        await self._empty_database(namespace)
        kept = ("backoffLimit", "activeDeadlineSeconds", "podReplacementPolicy", "podFailurePolicy")
        # Not its labels: the operator would take it for its own.
        annotations = of["template"]["metadata"]["annotations"]
        template = {"metadata": {"annotations": annotations}, "spec": of["template"]["spec"]}
        job = {"metadata": {"name": "bare"}, "spec": {**{key: of[key] for key in kept}, "template": template}}
        return await self._until(JOBS, namespace, job, is_complete)

    async def _empty_database(self, namespace: str) -> None:
        """Point the Secret to a new database."""
        name = f"bench_{secrets.token_hex(4)}"
        database = await asyncio.to_thread(Database.create, self.cluster.database_admin_url, name)
        stored = ResourceClient(self.admin, SECRETS)
        page = await ListWatcher(self.admin, SECRETS, namespace).list_page(0)
        found = [each["metadata"]["name"] for each in page.items]
        body = {"metadata": {"name": SECRET}, "stringData": {"url": database.url()}}
        await (stored.patch(namespace, SECRET, body) if SECRET in found else stored.create(namespace, body))

    async def _until(
        self, kind: ResourceKind, namespace: str, body: Object, done: Callable[[Object], bool]
    ) -> float:
        """Create an object, and the seconds until it is done, as a watch shows it."""
        watcher, name = ListWatcher(self.admin, kind, namespace), body["metadata"]["name"]
        version = (await watcher.list_page(1)).resource_version
        begin = time.monotonic()
        await ResourceClient(self.admin, kind).create(namespace, body)
        async with (
            asyncio.timeout(WITHIN_SECONDS),
            aclosing(watcher.watch(version, WITHIN_SECONDS)) as events,
        ):
            async for _, found in events:
                if found["metadata"].get("name") == name and done(found):
                    return time.monotonic() - begin
        raise TimeoutError(f"{name} is not done")


async def measure(state: Path, turns: int) -> dict[str, Any]:
    """Take the turns and return the figures."""
    cluster = Cluster.load(state)
    image = cluster.push_image("bench/ready:1", layers=folder(cluster, {**FIRST, **SECOND}))
    load = os.getloadavg()[0]
    async with await Client.connect(str(cluster.kubeconfig)) as admin:
        bench = Bench(cluster, admin, image)
        job = await bench.job()
        taken = [await bench.turn(number, job) for number in range(turns)]
    ready, complete = (statistics.median(column) for column in zip(*taken, strict=True))
    return {
        "load_before": round(load, 1),
        "turns": turns,
        "applied_to_ready_s": round(ready, 2),
        "bare_job_to_complete_s": round(complete, 2),
        "ratio": round(ready / complete, 2),
    }


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench.ready", description=__doc__)
    parser.add_argument(
        "turns", nargs="?", default=10, type=lambda text: int(text.removeprefix("N=")), metavar="N=…"
    )
    parser.add_argument("--state", type=Path, default=Path(".local"))
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.state, given.turns))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
