"""What it costs to wait for the pods of an application: memory for N pods, and the time from the last pod's rollout to the Job.

python -m bench.pods N=5000

Pods of a usual size (5 KiB) exist before the operator waits for them; then each gets the new image. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.burst import parse, print_figures
from bench.process import cpu_seconds, peak_mib, resident_mib
from dbupgrade.kube.client import Client
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, PODS, SECRETS, ResourceClient
from e2e.operator import Launch, Operator
from tests.integration.harness.crd import install_crd
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace
from tests.integration.harness.scene import has_reason, spec
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

AT_ONCE = 30
WITHIN = 600.0
REST_SECONDS = 3.0
CHECKS = {"pre": {"minPodVersions": [{"selector": {"matchLabels": {"app": "web"}}, "minVersion": "2.0"}]}}


def a_pod(index: int) -> dict[str, Any]:
    environment = [{"name": f"SETTING_{number}", "value": "x" * 60} for number in range(40)]
    container = {"name": "app", "image": "registry.example/shop/web:1.9.3", "env": environment}
    metadata = {"name": f"web-{index}", "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


async def for_each(number: int, do: Callable[[int], Awaitable[Any]]) -> None:
    """Call `do` for all numbers, some at once."""
    flying = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        async with flying:
            await do(index)

    await asyncio.gather(*map(one, range(number)))


async def measure(api: ApiServer, directory: Path, number: int) -> dict[str, Any]:
    """Fill the API server with pods, let an operator wait for them, roll out, and return the figures."""
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await install_crd(admin)
        namespace = await create_namespace(admin)
        pods, resources = ResourceClient(admin, PODS), ResourceClient(admin, DBUPGRADES)
        await for_each(number, lambda index: pods.create(namespace, a_pod(index)))
        secret = {"metadata": {"name": "database"}, "stringData": {"url": "postgres://u:p@db.example/shop"}}
        await ResourceClient(admin, SECRETS).create(namespace, secret)
        launch = Launch(api.kubeconfig, directory / "operator.log", {"DBUPGRADE_WATCH_NAMESPACES": namespace})
        with await asyncio.to_thread(Operator.start, launch) as operator:
            await asyncio.sleep(REST_SECONDS)
            idle = resident_mib(operator.pid)
            kind = {"apiVersion": "dbupgrade.subbug.learning/v1alpha1", "kind": "DBUpgrade"}
            body = {**kind, "metadata": {"name": "shop"}, "spec": spec(checks=CHECKS)}
            began = time.monotonic()
            await resources.create(namespace, body)

            async def is_held() -> bool:
                held = has_reason("PreCheckImageVersionFailed")
                return held(await resources.get(namespace, "shop"))

            await eventually(is_held, within=WITHIN)
            seen, waiting = time.monotonic() - began, resident_mib(operator.pid)
            before = cpu_seconds(operator.pid)
            patch = {"spec": {"containers": [{"name": "app", "image": "registry.example/shop/web:2.0.0"}]}}
            merge = "application/strategic-merge-patch+json"
            await for_each(
                number, lambda index: pods.patch(namespace, f"web-{index}", patch, content_type=merge)
            )
            rolled_out = time.monotonic()
            jobs = ListWatcher(admin, JOBS, namespace)

            async def has_job() -> bool:
                return bool((await jobs.list_page(1)).items)

            await eventually(has_job, within=WITHIN)
            return {
                "pods": number,
                "rss_idle_mib": idle,
                "rss_waiting_mib": waiting,
                "rss_peak_mib": peak_mib(operator.pid),
                "created_to_held_s": round(seen, 2),
                "rollout_to_job_s": round(time.monotonic() - rolled_out, 2),
                "rollout_cpu_s": round(cpu_seconds(operator.pid) - before, 2),
            }


def main(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    number = parse(arguments).number
    print_figures(lambda api, directory: measure(api, directory, number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
