"""Checks before and after a run with real pods, a real exporter, Prometheus and prometheus-adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from e2e.cluster.images import BUSYBOX
from e2e.scenarios.support.chain import Chain, metrics_chain
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE, Upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e.scenarios.support.world import World

CUSTOM, EXTERNAL = "/apis/custom.metrics.k8s.io/v1beta2", "/apis/external.metrics.k8s.io/v1beta1"
CHECKS = Path(__file__).parents[2] / "examples" / "checks" / "checks.yaml"


@pytest.fixture
def chain(world: World, tmp_path: Path) -> Iterator[Chain]:
    with metrics_chain(world.cluster, world.api, tmp_path, world.namespace) as chain:
        yield chain


def app_image(world: World, version: str) -> str:
    """An image of the application, which does nothing but run."""
    sleep = ("/bin/busybox", "sleep", "infinity")
    return world.cluster.push_image(
        f"{world.namespace}/web:{version}", {"/bin/busybox": BUSYBOX}, entrypoint=sleep
    )


def deploy(world: World, image: str) -> None:
    """Roll two pods of the application out, as `kubectl apply` does."""
    secure = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    labels = {"app": "web"}
    container = {"name": "web", "image": image, "securityContext": secure}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec: dict[str, Any] = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    world.api.request(
        "PATCH",
        f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web?fieldManager=e2e",
        manifest,
        "application/apply-patch+yaml",
    )
    world.kubectl("rollout", "status", "deployment/web", "--timeout=5m")


def because(reason: str) -> Callable[[Upgrade], bool]:
    return lambda upgrade: upgrade.verdict.reason == reason


def running_pods(world: World) -> list[str]:
    """Names of the pods of the application that are not on their way out."""
    answer = json.loads(world.kubectl("get", "pods", "-l", "app=web", "-o", "json"))
    return [pod["metadata"]["name"] for pod in answer["items"] if "deletionTimestamp" not in pod["metadata"]]


def test_checks_hold_a_run_until_pods_and_queue_are_right_and_then_its_success(
    world: World, chain: Chain
) -> None:
    queue = {"namespace": world.namespace, "queue": "mail"}
    deploy(world, app_image(world, "1.9"))
    chain.export("queue_depth", 7, **queue)
    chain.wait_served(f"{EXTERNAL}/namespaces/{world.namespace}/queue_depth?labelSelector=queue%3Dmail", 1)
    world.secret()
    world.upgrade(world.image(THREE), checks=yaml.safe_load(CHECKS.read_text()))
    held = world.wait_for(because("PreCheckImageVersionFailed"))
    assert "2 of 2 pods below 2.0.0: web-" in held.message

    deploy(world, app_image(world, "2.0"))
    held = world.wait_for(because("PreCheckMetricFailed"))
    assert "external metric queue_depth with queue=mail is 7, wanted <= 5" in held.message
    assert world.jobs() == {}
    for pod in running_pods(world):
        chain.export("http_errors", 0.5, namespace=world.namespace, pod=pod)
    chain.wait_served(f"{CUSTOM}/namespaces/{world.namespace}/pods/*/http_errors?labelSelector=app%3Dweb", 2)
    chain.export("queue_depth", 5, **queue)

    failed = world.wait_for(because("PostCheckFailed"))
    assert "metric http_errors of pods app=web is 0.5 (Avg of 2 series), wanted < 0.05" in failed.message
    assert world.database.rows("SELECT count(*) FROM users") == [10]
    for pod in running_pods(world):
        chain.export("http_errors", 0, namespace=world.namespace, pod=pod)
    upgrade = world.wait_for(DONE)
    assert upgrade.run["sequence"] == 1
    assert {check["name"]: check["verdict"] for check in upgrade.status["checks"]} == {
        "app=web, container web": "Holds",
        "queue": "Holds",
        "errors": "Holds",
    }
    world.wait_events(
        {"PreCheckFailed": 2, "MigrationStarted": 1, "MigrationSucceeded": 1, "PostCheckFailed": 1}
    )
    assert len(world.created_jobs()) == 1
