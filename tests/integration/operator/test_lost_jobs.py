"""A Job that has gone may have left its pod at work, and a watch may be the last to tell: the next run asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.kube.resources import PODS, ResourceClient
from tests.integration.harness.faultproxy import Stall
from tests.integration.harness.scene import has_nothing_to_do, watch_of
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene


@pytest.mark.parametrize("unheard", [("pods",), ("jobs",), ("jobs", "pods")])
async def test_a_pod_at_work_that_no_watch_shows_keeps_its_database(
    scene: Scene, unheard: tuple[str, ...]
) -> None:
    for kind in unheard:
        scene.inject(watch_of(kind), Stall(events=0), times=None)
    operator = await scene.start()
    await scene.create("first")
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in resource["status"].get("run", {}), name="first")
    pod = await scene.standin.start(job)
    await scene.resources.delete(scene.namespace, "first", propagation="Background")
    await scene.jobs.delete(scene.namespace, job["metadata"]["name"], propagation="Background")

    await scene.create("second")
    held = await scene.until_reason("DatabaseBusy", name="second")
    assert "first-" in held["status"]["conditions"][0]["message"]
    await eventually(lambda: has_nothing_to_do(operator))
    assert len(scene.standin.created) == 1

    await ResourceClient(scene.admin, PODS).delete(
        scene.namespace, pod["metadata"]["name"], propagation="Background"
    )
    # It looks again by itself every half minute; an edit makes it sooner.
    await scene.patch({"metadata": {"annotations": {"look": "again"}}}, "second")
    assert (await scene.standin.job(2))["metadata"]["name"].startswith("second-")
