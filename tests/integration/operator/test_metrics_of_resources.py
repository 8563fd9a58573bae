"""The series of single resources, from their creation to their deletion, against a real API server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from dbupgrade.app.dbupgrades import DBUpgrades
from dbupgrade.kube.client import Client
from dbupgrade.kube.events import EventRecorder
from dbupgrade.settings import Settings
from dbupgrade.telemetry.resources import AT_ZERO_SECONDS, Resources
from tests.integration.harness.scene import NAME, has_reason, is_ready
from tests.integration.harness.standin import SQL_ERROR, SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from e2e.operator import Operator
    from tests.integration.harness.scene import Scene

OTHERS = ("", "others")


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@contextlib.asynccontextmanager
async def working(scene: Scene, series: Resources) -> AsyncIterator[None]:
    """A controller in this process, which makes those series."""
    kubeconfig = scene.api.write_kubeconfig("operator", scene.api.admin, server=scene.proxy.url)
    async with await Client.connect(str(kubeconfig)) as client:
        settings = Settings(watch_namespaces=(scene.namespace,))
        controller = DBUpgrades(client, settings, EventRecorder(client), series)
        watches = [asyncio.create_task(reflector.run()) for reflector in controller.reflectors]
        for reflector in controller.reflectors:
            await reflector.synced.wait()
        controller.prepare()
        work = asyncio.create_task(controller.run())
        try:
            yield
        finally:
            await controller.stop(60)
            await work
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await controller.close()


def values(series: Resources, metric: str) -> dict[tuple[str, ...], float]:
    """Values by the labels of one metric."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in series.collect()
        for sample in family.samples
        if sample.name == metric
    }


async def test_a_resource_has_its_series_until_it_is_deleted(scene: Scene) -> None:
    clock = Clock()
    series = Resources(clock=clock)
    async with working(scene, series):
        scene.standin.ending = SQL_ERROR
        await scene.create()
        await scene.until(has_reason("JobFailed"), what="the run failed")
        key = (scene.namespace, NAME)
        failed = {(*key, "Failed", "SQLError"): 0.0}
        await eventually(lambda: values(series, "dbupgrade_runs_total") == failed, what="the run is counted")
        state = {(*key, "Failed", "JobFailed", "SQLError", "false"): 1.0}
        await eventually(lambda: values(series, "dbupgrade_state") == state, what="its failure is shown")
        clock.seconds += AT_ZERO_SECONDS
        failed = {(*key, "Failed", "SQLError"): 1.0}
        assert values(series, "dbupgrade_runs_total") == failed

        scene.standin.ending = SUCCESS
        await scene.set_image("registry.example/shop:1.0.1")
        await scene.until_ready(sequence=2)
        both = {**failed, (*key, "Succeeded", ""): 0.0}
        await eventually(lambda: values(series, "dbupgrade_runs_total") == both, what="both are counted")
        state = {(*key, "Ready", "MigrationComplete", "", "false"): 1.0}
        await eventually(lambda: values(series, "dbupgrade_state") == state, what="it is ready")

        await scene.resources.delete(scene.namespace, NAME, propagation="Background")
        await eventually(lambda: not any(each.samples for each in series.collect()), what="nothing is left")


async def test_beyond_the_bound_resources_are_counted_together_until_one_goes(scene: Scene) -> None:
    clock = Clock()
    series = Resources(most=1, clock=clock)

    def runs() -> dict[tuple[str, ...], float]:
        clock.seconds += AT_ZERO_SECONDS
        return values(series, "dbupgrade_runs_total")

    async with working(scene, series):
        scene.standin.ending = SUCCESS
        for name in ("first", "second"):
            await scene.create(name)
            await scene.until(is_ready, name=name, what=f"{name} is ready")
        first = (scene.namespace, "first", "Succeeded", "")
        others = (*OTHERS, "Succeeded", "")
        await eventually(lambda: runs() == {first: 1, others: 1}, what="the second is counted among others")
        complete = ("Ready", "MigrationComplete", "", "false")
        states = {(scene.namespace, "first", *complete): 1, (*OTHERS, *complete): 1}
        await eventually(lambda: values(series, "dbupgrade_state") == states, what="both are ready")

        await scene.resources.delete(scene.namespace, "first", propagation="Background")
        await eventually(lambda: first not in runs(), what="the first has gone")
        await scene.patch({"spec": {"migrations": {"image": "registry.example/shop:2.0.0"}}}, "second")
        second = (scene.namespace, "second", "Succeeded", "")
        await eventually(lambda: runs() == {second: 1, others: 1}, what="the second has its own")


async def test_the_endpoint_serves_them(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    operator = await scene.start()
    await scene.create()
    await scene.until_ready()
    labels = f'name="{NAME}",namespace="{scene.namespace}"'
    run = f'dbupgrade_runs_total{{failure="",{labels},result="Succeeded"}} '
    state = f'dbupgrade_state{{failure="",{labels},reason="MigrationComplete",state="Ready",suspended="false"}} 1.0'
    counted = 'dbupgrade_run_duration_seconds_count{result="Succeeded"} 1.0'
    await eventually(lambda: shows(operator, run, state, counted), what="the run and the state are served")
    await scene.resources.delete(scene.namespace, NAME, propagation="Background")
    await eventually(lambda: labels not in operator.metrics(), what="the series are gone")
    assert shows(operator, counted)


def shows(operator: Operator, *words: str) -> bool:
    text = operator.metrics()
    return all(each in text for each in words)
