"""What a restart costs with many finished resources: time until the caches are filled, and memory.

python -m bench.scale N=5000

The resources are written as an operator leaves them after a run (a status with one run in its history), then an operator is
started on them. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.burst import parse, print_figures
from bench.process import cpu_seconds, resident_mib
from dbupgrade.api.record import to_json
from dbupgrade.clock import utc_now
from dbupgrade.decide.decision import Decision
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import JobView, Observed, SecretView, resource_from
from dbupgrade.kube.client import Client
from dbupgrade.kube.resources import ResourceClient
from dbupgrade.pod.report import Report
from e2e.operator import Launch, Operator
from tests.integration.harness.crd import install_crd
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace
from tests.integration.harness.scene import spec

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.api.status import Status
    from tests.integration.harness.apiserver import ApiServer

AT_ONCE = 30
REST_SECONDS = 10.0


def finished_status(obj: dict[str, Any]) -> dict[str, Any]:
    """The status that the operator itself would come to after one successful run."""
    resource = resource_from(obj)
    now = utc_now()
    started = _decided(Observed(now=now, resource=resource, secret=SecretView(version="uid/1")))
    run = started.run
    assert run is not None
    running = resource_from({**obj, "status": to_json(started)})
    job = JobView(
        name=run.job_name, uid="j", owner_uid=resource.uid, run_id=run.run_id, sequence=1, created=now,
        completed=now, succeeded=True, failed_reason=None, deleting=False, has_ttl=True, had_pod=True,
    )  # fmt: skip
    report = Report(to_version="20250101000000", applied=3, pending=0)
    return to_json(_decided(Observed(now=now, resource=running, job=job, report=report, fresh=True)))


def _decided(observed: Observed) -> Status:
    decision = next_step(observed)
    if not isinstance(decision, Decision):
        raise TypeError(f"{decision} is needed")
    return decision.status


async def fill(admin: Client, namespace: str, number: int) -> None:
    """Create the resources with their statuses."""
    resources = ResourceClient(admin, DBUPGRADES)
    flying = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        body = {"apiVersion": "dbupgrade.subbug.learning/v1alpha1", "kind": "DBUpgrade"}
        async with flying:
            obj = await resources.create(
                namespace, {**body, "metadata": {"name": f"r{index}"}, "spec": spec()}
            )
            version = obj["metadata"]["resourceVersion"]
            status = finished_status(obj)
            await resources.replace_status(namespace, f"r{index}", status, resource_version=version)

    await asyncio.gather(*(one(index) for index in range(number)))


async def measure(api: ApiServer, directory: Path, number: int) -> dict[str, Any]:
    """Fill the API server, start an operator, and return the figures."""
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await install_crd(admin)
        namespace = await create_namespace(admin)
        empty = await _start(api, directory, namespace)
        await fill(admin, namespace, number)
        full = await _start(api, directory, namespace)
    return {"resources": number, "empty": empty, "full": full}


async def _start(api: ApiServer, directory: Path, namespace: str) -> dict[str, Any]:
    settings = {"DBUPGRADE_WATCH_NAMESPACES": namespace}
    began = time.monotonic()
    with await asyncio.to_thread(
        Operator.start, Launch(api.kubeconfig, directory / "operator.log", settings)
    ) as operator:
        synced = time.monotonic() - began
        await asyncio.sleep(REST_SECONDS)  # every resource is looked at once, then nothing more happens
        rss, cpu = resident_mib(operator.pid), cpu_seconds(operator.pid)
        return {"start_to_synced_s": round(synced, 2), "rss_mib": rss, "cpu_s": round(cpu, 2)}


def main(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    number = parse(arguments).number
    print_figures(lambda api, directory: measure(api, directory, number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
