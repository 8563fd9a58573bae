"""Pod version checks of the whole operator: pods are watched only while somebody waits, and a rollout is seen at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dbupgrade.kube.resources import PODS, ResourceClient
from tests.integration.harness.faultproxy import Answer, Match
from tests.integration.harness.scene import condition, summary
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.operator import Operator
    from tests.integration.harness.scene import Scene

WEB = {"selector": {"matchLabels": {"app": "web"}}, "minVersion": "2.0"}
CHECKS = {"pre": {"minPodVersions": [WEB]}}
APP_PODS = Match("GET", r"/pods$")


async def create_pod(scene: Scene, name: str, image: str) -> None:
    body = {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": image}], "terminationGracePeriodSeconds": 0},
    }
    await ResourceClient(scene.admin, PODS).create(scene.namespace, body)


async def delete_pod(scene: Scene, name: str) -> None:
    await ResourceClient(scene.admin, PODS).delete(scene.namespace, name, propagation="Background")


def lists(scene: Scene) -> int:
    """How often pods of the application were listed or watched."""
    return sum(seen.query.get("labelSelector") == "app=web" for seen in scene.proxy.requests)


def is_watching(operator: Operator) -> bool:
    return 'dbupgrade_informer_lag_seconds{kind="checked-pods"}' in operator.metrics()


def check(resource: dict[str, Any], name: str = "app=web") -> dict[str, Any]:
    checks: list[dict[str, Any]] = resource["status"].get("checks", [])
    return next(check for check in checks if check["name"] == name)


async def test_a_run_waits_for_the_rollout_and_starts_with_its_last_pod(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    for number in (1, 2):
        await create_pod(scene, f"web-{number}", "shop/web:1.9.3")
    operator = await scene.start()
    await scene.create(checks=CHECKS)
    resource = await scene.until_reason("PreCheckImageVersionFailed")
    assert summary(resource)["Ready"] == ("False", "PreCheckImageVersionFailed")
    assert summary(resource)["Stalled"][0] == "False"
    assert condition(resource, "Ready")["message"] == (
        "app=web: 2 of 2 pods below 2.0.0: web-1 (1.9.3), web-2 (1.9.3)"
    )
    assert (check(resource)["verdict"], check(resource)["lastValue"]) == ("Fails", "1.9.3")
    await eventually(lambda: is_watching(operator))
    for number in (1, 2):
        await create_pod(scene, f"web-new-{number}", "shop/web:2.0.0")
        await delete_pod(scene, f"web-{number}")
    resource = await scene.until_ready()
    assert check(resource)["highest"] == {"app": "2.0.0"}
    await eventually(lambda: not is_watching(operator))
    # A list and a watch: it was the watch that brought the news, for an old list is listed again before a run starts.
    assert lists(scene) == 2
    await scene.quiet()
    assert len(scene.standin.created) == 1


async def test_a_resource_without_checks_lists_no_pods_of_applications(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.until_ready()
    await scene.quiet()
    assert lists(scene) == 0


async def test_resources_with_the_same_selector_share_a_watch(scene: Scene) -> None:
    await create_pod(scene, "web-1", "shop/web:1.9")
    operator = await scene.start()
    for name in ("one", "two", "three"):
        await scene.create(name, checks=CHECKS)
    for name in ("one", "two", "three"):
        await scene.until_reason("PreCheckImageVersionFailed", name=name)
    await eventually(lambda: lists(scene) == 2, what="a list and a watch for all of them")
    for name in ("one", "two"):
        await scene.resources.delete(scene.namespace, name, propagation="Background")
    await scene.patch({"spec": {"suspend": True}}, name="three")
    await eventually(lambda: not is_watching(operator))
    assert lists(scene) == 2


async def test_pods_that_go_while_they_are_waited_for(scene: Scene) -> None:
    await create_pod(scene, "web-1", "shop/web:1.9")
    await scene.start()
    await scene.create(checks=CHECKS)
    await scene.until_reason("PreCheckImageVersionFailed")
    await delete_pod(scene, "web-1")
    # The verdict is the same, so its words may wait a minute; a run of theirs is never let start.
    await create_pod(scene, "web-2", "shop/web:latest")
    await asyncio.to_thread(scene.operators[0].wait_ready)
    await scene.patch({"spec": {"checks": {"pre": {"minPodVersions": [{**WEB, "containerName": "other"}]}}}})
    resource = await scene.until(lambda resource: "other" in condition(resource, "Ready")["message"])
    assert (
        "no pod that matches app=web has an image tag that is a version"
        in condition(resource, "Ready")["message"]
    )
    assert not scene.standin.created


async def test_nothing_that_matches_holds_the_run(scene: Scene) -> None:
    await scene.start()
    await scene.create(checks=CHECKS)
    resource = await scene.until_reason("PreCheckImageVersionFailed")
    assert "no running pod matches app=web, wanted 2.0.0 or newer" in condition(resource, "Ready")["message"]


async def test_pods_that_may_not_be_listed_are_told_with_the_cause(scene: Scene) -> None:
    await create_pod(scene, "web-1", "shop/web:2.0")
    scene.standin.ending = SUCCESS
    await scene.start()
    fault = scene.inject(APP_PODS, Answer(403, "Forbidden"), times=None)
    await scene.create(checks=CHECKS)
    resource = await scene.until_reason("PreCheckImageVersionFailed")
    assert "pods that match app=web cannot be listed: " in condition(resource, "Ready")["message"]
    assert "403 Forbidden" in condition(resource, "Ready")["message"]
    scene.proxy.faults.remove(fault)
    await scene.until_ready()


async def test_a_downgrade_is_refused_also_after_a_restart(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await create_pod(scene, "web-1", "shop/web:2.5")
    operator = await scene.start()
    await scene.create(checks={"pre": {"minPodVersions": [{**WEB, "disallowDowngrade": True}]}})
    await scene.until_ready()
    assert await scene.stop(operator) == 0
    await create_pod(scene, "web-2", "shop/web:2.4")
    await scene.start()
    await scene.set_image("registry.example/shop:2.0.0")
    resource = await scene.until_reason("PreCheckImageVersionFailed")
    assert "web-2 (2.4.0 after 2.5.0)" in condition(resource, "Ready")["message"]
    await delete_pod(scene, "web-2")
    await scene.until_ready(sequence=2)
