from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from dbupgrade.kube.events import EventRecorder
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import EVENTS, NAMESPACES, ResourceClient, ResourceKind
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dbupgrade.kube.client import Client

CONFIG_MAPS = ResourceKind("", "v1", "configmaps")


@contextlib.asynccontextmanager
async def running(client: Client) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client)
    task = asyncio.create_task(recorder.run())
    yield recorder
    await recorder.flush(60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def involved(client: Client, namespace: str, name: str) -> dict[str, str]:
    made = await ResourceClient(client, CONFIG_MAPS).create(namespace, {"metadata": {"name": name}})
    uid = made["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": name, "uid": uid}


async def events_in(client: Client, namespace: str) -> list[dict[str, Any]]:
    return (await ListWatcher(client, EVENTS, namespace).list_page(0)).items


async def test_events_are_stored_and_aggregated(admin: Client, namespace: str) -> None:
    about = await involved(admin, namespace, "a")
    async with running(admin) as recorder:
        recorder.record(about, "Normal", "MigrationStarted", "run 1")
        recorder.record(about, "Warning", "PreCheckFailed", "lag")
        await recorder.flush(60)
        for _ in range(2):
            recorder.record(about, "Warning", "PreCheckFailed", "lag")
            await recorder.flush(60)
    stored = {event["reason"]: event for event in await events_in(admin, namespace)}
    assert {reason: event["count"] for reason, event in stored.items()} == {
        "MigrationStarted": 1,
        "PreCheckFailed": 3,
    }
    assert stored["PreCheckFailed"]["involvedObject"] == about
    assert stored["PreCheckFailed"]["lastTimestamp"] >= stored["PreCheckFailed"]["firstTimestamp"]


async def test_the_longest_legal_name_is_accepted(admin: Client, namespace: str) -> None:
    about = await involved(admin, namespace, "a" * 236 + "." + "b" * 16)
    async with running(admin) as recorder:
        recorder.record(about, "Normal", "MigrationStarted", "x" * 5000)
    assert len(await events_in(admin, namespace)) == 1


async def test_events_in_a_terminating_namespace_are_dropped(admin: Client, namespace: str) -> None:
    about = await involved(admin, namespace, "a")
    await ResourceClient(admin, NAMESPACES).delete("", namespace, propagation="Background")

    async def terminating() -> bool:
        found = await ResourceClient(admin, NAMESPACES).get("", namespace)
        return bool(found["status"]["phase"] == "Terminating")

    await eventually(terminating)
    async with running(admin) as recorder:
        recorder.record(about, "Normal", "MigrationStarted", "run 1")
        await recorder.flush(60)
        assert not recorder._pending
