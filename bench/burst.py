"""How the operator does with many resources at once, or with one after the other on an idle cluster.

python -m bench.burst N=500              all at once
python -m bench.burst --one-database N=60  all at once, and all on the same database
python -m bench.burst --sequential 30    one at a time, each until it is Ready, then some seconds of rest

A real etcd and kube-apiserver on loopback, no nodes: a stand-in ends each Job as soon as it appears, which takes its share of the same
CPUs: `load_before`, the machine's load when it began, should be below one. Latencies and calls are read from the API server's audit log, in which the operator has a user of its own. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.audit import Log
from bench.process import cpu_seconds, resident_mib
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import AlreadyExists
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import SECRETS, ResourceClient
from e2e.operator import Launch, Operator
from tests.integration.harness.apiserver import ApiServer
from tests.integration.harness.crd import install_crd
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace
from tests.integration.harness.scene import is_ready, spec
from tests.integration.harness.standin import SUCCESS, StandIn
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OPERATOR = "bench-operator"
WITHIN_SECONDS = 600.0
AT_ONCE = 50  # requests of ours in flight; more would only wait for a connection


class Cluster:
    """A namespace on an API server, with an operator that works on it and a stand-in that ends its Jobs."""

    def __init__(
        self, api: ApiServer, admin: Client, namespace: str, operator: Operator, *, one_database: bool
    ) -> None:
        self._one_database = one_database
        self._admin = admin
        self._namespace = namespace
        self._resources = ResourceClient(admin, DBUPGRADES)
        self._flying = asyncio.Semaphore(AT_ONCE)
        self.api = api
        self.operator = operator

    async def create(self, name: str) -> None:
        """Create a resource on a database of its own, or on the one of all."""
        secret_name = "database" if self._one_database else name
        secret = {"metadata": {"name": secret_name}, "stringData": {"url": "postgres://u:p@db.example/shop"}}
        body = {
            "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
            "kind": "DBUpgrade",
            "metadata": {"name": name},
            "spec": {
                **spec(),
                "database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": secret_name}}},
            },
        }
        async with self._flying:
            with contextlib.suppress(AlreadyExists):
                await ResourceClient(self._admin, SECRETS).create(self._namespace, secret)
            await self._resources.create(self._namespace, body)

    async def ready(self, name: str) -> bool:
        """Whether the resource's run is over."""
        return is_ready(await self._resources.get(self._namespace, name))

    async def all_ready(self, version: str, number: int) -> None:
        """Wait until so many resources are Ready; `version` is from before them. A list again and again would cost as much."""
        watcher, ready = ListWatcher(self._admin, DBUPGRADES, self._namespace), set()
        async with aclosing(watcher.watch(version, int(WITHIN_SECONDS))) as events:
            async for _, resource in events:
                if is_ready(resource):
                    ready.add(resource["metadata"]["name"])
                if len(ready) == number:
                    return
        raise TimeoutError(f"{len(ready)} of {number} resources are Ready")

    async def version(self) -> str:
        """Where a watch can begin."""
        return (await ListWatcher(self._admin, DBUPGRADES, self._namespace).list_page(1)).resource_version


async def burst(cluster: Cluster, number: int) -> None:
    """Create all resources at once, and wait until all are Ready."""
    version = await cluster.version()
    async with asyncio.timeout(WITHIN_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(cluster.all_ready(version, number))
        for index in range(number):
            group.create_task(cluster.create(f"r{index}"))


async def sequence(cluster: Cluster, number: int) -> None:
    """Create one resource after the other, each when the one before it is Ready."""
    for index in range(number):
        name = f"r{index}"
        await cluster.create(name)
        await eventually(lambda name=name: cluster.ready(name), within=WITHIN_SECONDS)  # type: ignore[misc]


async def measure(api: ApiServer, directory: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run the load and return the figures."""
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await install_crd(admin)
        namespace = await create_namespace(admin)
        kubeconfig = api.write_kubeconfig(OPERATOR, api.login(OPERATOR, "system:masters"))
        launch = Launch(kubeconfig, directory / "operator.log", {"DBUPGRADE_WATCH_NAMESPACES": namespace})
        async with StandIn(admin, namespace, SUCCESS) as standin:
            with await asyncio.to_thread(Operator.start, launch) as operator:
                cluster = Cluster(api, admin, namespace, operator, one_database=given.one_database)
                figures = await _load(cluster, given)
            figures["duplicate_jobs"] = len(standin.created) - figures["resources"]
            return figures


async def _load(cluster: Cluster, given: argparse.Namespace) -> dict[str, Any]:
    number = given.sequential or given.number
    pid = cluster.operator.pid
    processes = {"operator": pid, **cluster.api.pids, "bench": os.getpid()}
    before = {name: cpu_seconds(process) for name, process in processes.items()}
    rss, began = resident_mib(pid), time.monotonic()
    skipped, load = len(cluster.api.audit()), os.getloadavg()[0]
    await (sequence if given.sequential else burst)(cluster, number)
    wall = time.monotonic() - began

    async def told() -> Log | None:
        """The log, once what follows Ready is done: the TTL and the Events."""
        await asyncio.sleep(0.25)
        log = Log(cluster.api.audit()[skipped:], OPERATOR)
        return log if log.complete(number) else None

    log = await eventually(told, within=60)
    assert log is not None
    used = {name: cpu_seconds(process) - before[name] for name, process in processes.items()}
    figures: dict[str, Any] = {
        "load_before": round(load, 1),
        "resources": number,
        "mode": "sequential" if given.sequential else "burst",
        "wall_s": round(wall, 2),
        "per_s": round(number / wall, 1),
        "create_to_job_ms": log.create_to_job(),
        "job_done_to_ready_ms": log.job_done_to_ready(),
        "cpu_ms_per_resource": {name: round(1000 * seconds / number, 1) for name, seconds in used.items()},
        "rss_mib": {"before": rss, "after": resident_mib(pid)},
        "api_calls_per_resource": log.calls_per_resource(number),
    }
    if given.rest:
        figures["at_rest"] = await _rest(cluster, given.rest)
    return figures


async def _rest(cluster: Cluster, seconds: float) -> dict[str, Any]:
    """What the operator asks of the API server while nothing happens: nothing but its watches."""
    before, cpu = len(cluster.api.audit()), cpu_seconds(cluster.operator.pid)
    await asyncio.sleep(seconds)  # a span of time is what is measured
    requests = Log(cluster.api.audit()[before:], OPERATOR).calls_but_watches()
    used = cpu_seconds(cluster.operator.pid) - cpu
    return {"seconds": seconds, "requests": requests, "cpu_ms_per_s": round(1000 * used / seconds, 1)}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; `N=500` is how many resources."""
    parser = argparse.ArgumentParser(prog="python -m bench.burst", description=__doc__)
    parser.add_argument("number", nargs="?", default=200, type=_number, metavar="N=…", help="all at once")
    parser.add_argument("--sequential", type=int, default=0, metavar="N", help="one after the other")
    parser.add_argument("--one-database", action="store_true", help="all on the same database")
    parser.add_argument("--rest", type=float, default=None, metavar="SECONDS", help="then watch it rest")
    given = parser.parse_args(arguments)
    if given.rest is None:
        given.rest = 10.0 if given.sequential else 0.0
    return given


def _number(text: str) -> int:
    return int(text.removeprefix("N="))


def print_figures(measured: Callable[[ApiServer, Path], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Print as JSON what `measured` makes of an API server of its own and a folder for its files."""
    with tempfile.TemporaryDirectory(prefix="dbupgrade-bench-") as name:
        directory = Path(name)
        api = ApiServer(directory)
        try:
            api.start()
            print(json.dumps(asyncio.run(measured(api, directory))))
        finally:
            api.stop()


def main(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    given = parse(arguments)
    print_figures(lambda api, directory: measure(api, directory, given))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
