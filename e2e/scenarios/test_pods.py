"""What the pod of a run may claim from a cluster, and what it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from e2e.scenarios.support.api import RefusedError
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST
from e2e.scenarios.support.upgrade import DONE

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def test_a_run_with_the_labels_of_an_application_gets_none_of_its_requests(world: World) -> None:
    world.secret()
    world.api.request("POST", f"/api/v1/namespaces/{world.namespace}/services", body=SERVICE)
    with world.database.closed_gate() as gate:
        world.upgrade(
            world.image({**FIRST, "20250103000000_wait.sql": WAIT_AT_GATE}),
            runner={"podLabels": {"app": "web"}},
        )
        world.wait_migrating()
        world.wait(lambda: endpoints(world), "the pod is known to the Service")
        assert [endpoint["conditions"]["ready"] for endpoint in endpoints(world)] == [False]
        gate.open()
    world.wait_for(DONE)


def endpoints(world: World) -> list[dict[str, Any]]:
    found = world.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=web", "-o", "json")
    return [endpoint for piece in json.loads(found)["items"] for endpoint in piece["endpoints"] or ()]


def test_a_pod_that_asks_for_more_than_the_platform_allows_is_never_made(world: World) -> None:
    world.secret()
    annotation = "vault.hashicorp.com/agent-inject"
    with pytest.raises(RefusedError, match=f"spec.runner.podAnnotations must not have {annotation}"):
        world.upgrade(world.image(FIRST), runner={"podAnnotations": {annotation: "true"}})
