"""How the webhook does: reviews at a steady rate, then a burst of them at once, on as many new connections as an API server makes.

python -m bench.webhook N=2000

An operator with the webhook on, asked as the API server asks it but without one in between. A latency counts from when its review was
due, not from when it could be sent: one that waits behind a slow one is slow too. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from bench.audit import percentiles
from bench.burst import parse, print_figures
from bench.process import cpu_seconds, resident_mib
from dbupgrade.api import admission, names
from dbupgrade.kube.client import Client
from e2e.operator import Launch, Operator
from e2e.ports import free_port
from tests.integration.harness.crd import install_crd
from tests.integration.harness.guard import WebhookConfiguration
from tests.integration.harness.namespaces import create_namespace
from tests.integration.harness.scene import spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

RATE = 200
STEADY_SECONDS = 20
WARM_UP = 50
CONNECTIONS = (
    600  # what an API server works on at once: --max-requests-inflight and --max-mutating-requests-inflight
)


def a_review(uid: str) -> bytes:
    """An edit of the image during a run, which is denied: the answer that takes most words."""
    conditions = [
        {
            "type": kind,
            "status": str(kind == "Progressing"),
            "reason": "MigrationInProgress",
            "message": "run 3 is at work",
            "lastTransitionTime": "2026-11-27T07:00:00Z",
        }
        for kind in ("Ready", "Progressing", "Stalled")
    ]
    old: dict[str, Any] = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "shop", "namespace": "n", "uid": "u", "generation": 1},
        "spec": spec(),
        "status": {"conditions": conditions},
    }
    new = copy.deepcopy(old)
    new["spec"]["migrations"]["image"] = "registry.example/shop:9.9.9"
    kind = {"group": names.GROUP, "version": names.VERSION}
    request = {
        "uid": uid,
        "kind": {**kind, "kind": names.KIND},
        "resource": {**kind, "resource": names.PLURAL},
        "operation": "UPDATE",
        "namespace": "n",
        "object": new,
        "oldObject": old,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review).encode()


@dataclass
class Asker:
    """Sends reviews and notes what became of each."""

    session: aiohttp.ClientSession
    url: str
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def ask(self, number: int, due: float) -> None:
        """Ask once; `due` is a monotonic time."""
        uid = f"u-{number}"
        try:
            headers = {"Content-Type": "application/json"}
            async with self.session.post(self.url, data=a_review(uid), headers=headers) as answer:
                response = json.loads(await answer.read())["response"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            self.failures.append(repr(error))
            return
        self.seconds.append(time.monotonic() - due)
        if response["uid"] != uid or response["allowed"]:
            self.failures.append(f"a wrong answer: {response}")

    async def at_a_rate(self, rate: int, seconds: float) -> None:
        """Send one review every 1/`rate` seconds, whether those before have been answered or not."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self.ask(number, due))

    async def at_once(self, number: int) -> None:
        """Send so many reviews together."""
        now = time.monotonic()
        await asyncio.gather(*(self.ask(index, now) for index in range(number)))

    def figures(self) -> dict[str, Any]:
        """What was noted since the last call."""
        figures = {
            "reviews": len(self.seconds) + len(self.failures),
            "failed": len(self.failures),
            "first_failures": self.failures[:3],
            "ms": percentiles(self.seconds) if self.seconds else {},
        }
        self.seconds, self.failures = [], []
        return figures


async def measure(
    api: ApiServer,
    directory: Path,
    number: int,
    steady: float = STEADY_SECONDS,
    patience: float = admission.TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """Ask at a steady rate for `steady` seconds, then `number` times at once; return the figures.

    An answer is waited for as long as the API server does, unless `patience` in seconds says otherwise.
    """
    async with served(api, directory) as running:
        return await _load(running, number, steady, patience)


@dataclass(frozen=True)
class Running:
    """An operator with the webhook, in a namespace of its own."""

    operator: Operator
    port: int
    admin: Client
    namespace: str


@contextlib.asynccontextmanager
async def served(api: ApiServer, directory: Path) -> AsyncIterator[Running]:
    """Start one."""
    port = free_port()
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await install_crd(admin)
        namespace = await create_namespace(admin)
        configuration = WebhookConfiguration(admin, f"bench-{namespace}", port, {"bench": "none"})
        await configuration.install()
        settings = {
            "DBUPGRADE_NAMESPACE": namespace,
            "DBUPGRADE_WATCH_NAMESPACES": namespace,
            "DBUPGRADE_WEBHOOK_ENABLED": "true",
            "DBUPGRADE_WEBHOOK_PORT": str(port),
            "DBUPGRADE_WEBHOOK_CONFIGURATION": configuration.name,
        }
        launch = Launch(api.kubeconfig, directory / "operator.log", settings)
        try:
            with await asyncio.to_thread(Operator.start, launch) as operator:
                yield Running(operator, port, admin, namespace)
        finally:
            await configuration.remove()


async def _load(running: Running, number: int, steady: float, patience: float) -> dict[str, Any]:
    operator, port = running.operator, running.port
    # The certificate is the operator's own; whether it is right is what the tests look at.
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=False)
    timeout = aiohttp.ClientTimeout(sock_connect=patience, sock_read=patience)
    load = os.getloadavg()[0]
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        asker = Asker(session, f"https://127.0.0.1:{port}{names.WEBHOOK_PATH}")
        await asker.at_a_rate(RATE, WARM_UP / RATE)
        asker.figures()
        cpu, rss = cpu_seconds(operator.pid), resident_mib(operator.pid)
        await asker.at_a_rate(RATE, steady)
        used = cpu_seconds(operator.pid) - cpu
        at_rate = asker.figures()
        began = time.monotonic()
        await asker.at_once(number)
        wall, after = time.monotonic() - began, resident_mib(operator.pid)
    return {
        "load_before": round(load, 1),
        "steady": {
            "per_s": RATE,
            **at_rate,
            "cpu_ms_per_review": round(1000 * used / at_rate["reviews"], 2),
        },
        "burst": {**asker.figures(), "wall_s": round(wall, 2)},
        "rss_mib": {"before": rss, "after": after},
    }


def main(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    number = parse(arguments).number
    print_figures(lambda api, directory: measure(api, directory, number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
