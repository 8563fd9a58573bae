"""The memory of an operator with its webhook while people do their worst, and how many honest reviews are answered meanwhile.

python -m bench.attack N=200

N is the number of resources with the largest spec, and of forged Jobs and pods. Prints one JSON object; `peak_mib` is the most that the
process ever had, up to the end of each attack.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from typing import TYPE_CHECKING, Any

import aiohttp

from bench.burst import parse, print_figures
from bench.process import peak_mib, resident_mib
from bench.webhook import Asker, served
from dbupgrade.api import admission, names
from dbupgrade.kube.errors import KubeError
from dbupgrade.kube.resources import JOBS, PODS, ResourceClient
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.scene import spec
from webhook.limits import MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from bench.webhook import Running
    from tests.integration.harness.apiserver import ApiServer

MIB = 1024 * 1024
BODIES = {
    "empty_keys_8_mib": b'{"a":[' + b'{"":0},' * (8 * MIB // 7) + b"0]}",
    "as_many_values_as_are_read": b'{"a":[' + b'{"":0},' * (MAX_VALUES // 2 - 10) + b"0]}",
    "nested": b"[" * MIB,
    "one_string": b'{"a":"' + b"x" * (3 * MIB) + b'"}',
}
"""What people send to the webhook."""
AT_ONCE = 20
TURNS = 5
HALF_OPEN = 1500
HEAD = f"POST {names.WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n"
REVIEWS_PER_S = 20


async def measure(api: ApiServer, directory: Path, number: int) -> dict[str, Any]:
    """Attack, one way after the other, and return the figures."""
    async with served(api, directory) as running:
        pid = running.operator.pid
        figures: dict[str, Any] = {
            "load_before": round(os.getloadavg()[0], 1),
            "rss_mib": {"at_rest": resident_mib(pid)},
        }
        attacks: dict[str, Coroutine[Any, Any, Any]] = {
            **{name: _send(running.port, body) for name, body in BODIES.items()},
            "half_sent_bodies": _half_open(running.port),
            "largest_specs": _resources(running, number),
            "forged_jobs_and_pods": _forge(running, number),
        }
        async with _reviews(running.port) as asker:
            for name, attack in attacks.items():
                await attack
                figures[name] = {"peak_mib": peak_mib(pid), "honest": _answered(asker)}
        figures["rss_mib"]["after"] = resident_mib(pid)
        return figures


def _answered(asker: Asker) -> dict[str, Any]:
    figures = asker.figures()
    return {"reviews": figures["reviews"], "failed": figures["failed"], "ms": figures["ms"]}


@contextlib.asynccontextmanager
async def _reviews(port: int) -> AsyncIterator[Asker]:
    """Ask honestly meanwhile, as the API server does."""
    seconds = admission.TIMEOUT_SECONDS
    timeout = aiohttp.ClientTimeout(sock_connect=seconds, sock_read=seconds)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), timeout=timeout) as session:
        asker = Asker(session, f"https://127.0.0.1:{port}{names.WEBHOOK_PATH}")
        asking = asyncio.create_task(asker.at_a_rate(REVIEWS_PER_S, 3600))
        try:
            yield asker
        finally:
            asking.cancel()
            await asyncio.wait([asking])


async def _send(port: int, body: bytes) -> None:
    """Send a body many times at once, whatever becomes of it."""
    url = f"https://127.0.0.1:{port}{names.WEBHOOK_PATH}"
    headers = {"Content-Type": "application/json"}

    async def once(session: aiohttp.ClientSession) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()

    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), timeout=timeout) as session:
        for _ in range(TURNS):
            await asyncio.gather(*(once(session) for _ in range(AT_ONCE)))


async def _half_open(port: int) -> None:
    """Open connections, and send a head and a part of the body on each."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    writers = []
    for _ in range(HALF_OPEN):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(HEAD.encode() + b"x" * 1000)
            writers.append(writer)
    for writer in writers:
        writer.close()


async def _resources(running: Running, number: int) -> None:
    """Resources with as much in them as the CRD takes, and a huge annotation that asks for a retry."""
    resources = ResourceClient(running.admin, DBUPGRADES)
    affinity = {"nodeAffinity": {"x": ["y" * 1000] * 15}}
    arguments = {"engine": "Command", "command": ["x" * 4000], "args": ["y" * 1000] * 50}

    async def one(index: int) -> None:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": f"r{index}", "annotations": {names.ANNOTATION_RETRY: "z" * 200_000}},
            "spec": {**spec(), "migrations": {"image": "x", **arguments}, "runner": {"affinity": affinity}},
        }
        await resources.create(running.namespace, body)

    await _each(one, number)


async def _forge(running: Running, number: int) -> None:
    """Jobs and pods with our labels, and with much in them that nobody looks at."""
    jobs, pods = ResourceClient(running.admin, JOBS), ResourceClient(running.admin, PODS)
    env = [{"name": f"V{index}", "value": "x" * 2000} for index in range(100)]
    pod = {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": "x", "env": env}]}

    async def one(index: int) -> None:
        labels = {names.LABEL_UID: f"u{index}", names.LABEL_DATABASE: "d"}
        metadata = {"labels": labels, "annotations": {names.ANNOTATION_RESOURCE: "r0", "note": "x" * 100_000}}
        job = {"metadata": {"name": f"j{index}", **metadata}, "spec": {"template": {"spec": pod}}}
        await jobs.create(running.namespace, job)
        await pods.create(running.namespace, {"metadata": {"name": f"p{index}", **metadata}, "spec": pod})

    await _each(one, number)


async def _each(one: Any, number: int) -> None:
    """Do it for each number, a few at a time; then let the operator catch up."""
    limit = asyncio.Semaphore(10)

    async def limited(index: int) -> None:
        async with limit:
            await one(index)

    done = await asyncio.gather(*map(limited, range(number)), return_exceptions=True)
    refused = [error for error in done if isinstance(error, BaseException)]
    if any(not isinstance(error, KubeError) for error in refused) or len(refused) == number:
        raise refused[0]
    await asyncio.sleep(5)


def main(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    number = parse(arguments).number
    print_figures(lambda api, directory: measure(api, directory, number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
