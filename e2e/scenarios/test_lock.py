"""The lock as people and tools meet it: what kubectl prints, what passes, and that the accepted change runs in the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import ClusterError
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, FOURTH, THREE
from e2e.scenarios.support.upgrade import DONE
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenarios.support.world import World

WAIT = {"20250103000000_wait.sql": WAIT_AT_GATE}
LOCKED = "cannot update spec while migration is in progress (Progressing=True)"
HINT = "kubectl wait --for=condition=Progressing=False dbupgrade/app"


def test_a_spec_that_changes_during_a_run_is_refused_until_the_run_has_ended(world: World) -> None:
    world.secret()
    slow, next_image = world.image({**FIRST, **WAIT}), world.image({**FIRST, **WAIT, **FOURTH})
    patch = json.dumps({"spec": {"migrations": {"image": next_image}}})
    with world.database.closed_gate() as gate:
        world.upgrade(slow)
        job = world.wait_migrating().run["jobName"]
        with pytest.raises(ClusterError) as refused:
            world.kubectl("patch", "dbupgrade", "app", "--type=merge", "-p", patch)
        assert f"{LOCKED}: Job {job} is running" in str(refused.value)
        assert HINT in str(refused.value)
        # What leaves spec as it is passes, a sync that changes nothing among it.
        world.upgrade(slow)
        world.kubectl("label", "dbupgrade", "app", "team=shop")
        world.kubectl("annotate", "dbupgrade", "app", "note=1")
        world.kubectl(
            "replace", "-f", _written(world, world.kubectl("get", "dbupgrade", "app", "-o", "json"))
        )
        gate.open()
    world.kubectl("wait", "--for=condition=Progressing=False", "dbupgrade/app", "--timeout=5m")
    world.kubectl("patch", "dbupgrade", "app", "--type=merge", "-p", patch)
    world.wait_run(2)  # the first run is done already
    upgrade = world.wait_for(DONE)
    images = [(run["image"], run["result"]) for run in upgrade.history]
    assert images == [(next_image, "Succeeded"), (slow, "Succeeded")]
    assert world.live_pods_at_most() == 1


def test_a_deletion_during_a_run_is_refused_and_the_run_goes_on(world: World) -> None:
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image({**FIRST, **WAIT}))
        world.wait_migrating()
        with pytest.raises(ClusterError, match="cannot delete while migration is in progress"):
            world.kubectl("delete", "dbupgrade", "app")
        gate.open()
    world.wait_for(DONE)
    world.kubectl("delete", "dbupgrade", "app")


def test_a_namespace_can_be_deleted_during_a_run(world: World) -> None:
    world.secret()
    with world.database.closed_gate():
        world.upgrade(world.image({**FIRST, **WAIT}))
        world.wait_migrating()
        world.kubectl("delete", "namespace", world.namespace, "--wait=false")
        world.wait_gone("dbupgrades", "app")


INVALID = {
    "selfHosted-without-connection": ({"type": "selfHosted"}, "spec.database"),
    "aws-with-neither": ({"type": "awsRds"}, "spec.database"),
    "connection-without-urlSecretRef": ({"type": "selfHosted", "connection": {}}, "urlSecretRef"),
}


@pytest.mark.parametrize(("database", "field"), INVALID.values(), ids=INVALID)
def test_a_database_that_cannot_be_is_refused(world: World, database: dict[str, object], field: str) -> None:
    manifest = world.manifest("registry.example/app:1", database=database)
    with pytest.raises(ClusterError, match=field):
        world.kubectl("apply", "-f", _written(world, json.dumps(manifest)))


def test_the_database_of_a_resource_cannot_be_changed(world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)
    patch = json.dumps({"spec": {"database": {"connection": {"urlSecretRef": {"name": "other"}}}}})
    with pytest.raises(ClusterError, match=r"spec\.database\.connection\.urlSecretRef\.name is immutable"):
        world.kubectl("patch", "dbupgrade", "app", "--type=merge", "-p", patch)


def test_the_webhook_is_asked_and_warns(world: World, shared_metrics: Callable[[], str]) -> None:
    """The CRD's rules come first, so that only a warning shows that the webhook has been asked."""
    asked = _reviews(shared_metrics())
    manifest = world.manifest("registry.example/app:latest")
    with pytest.raises(ClusterError, match="has no fixed tag"):
        world.kubectl("apply", "--warnings-as-errors", "-f", _written(world, json.dumps(manifest)))
    wait_until(lambda: _reviews(shared_metrics()) > asked, "the webhook has counted its review")


def _reviews(metrics: str) -> float:
    lines = (line.rpartition(" ") for line in metrics.splitlines())
    return sum(
        float(value) for name, _, value in lines if name.startswith("dbupgrade_webhook_requests_total{")
    )


def _written(world: World, manifest: str) -> str:
    path = world.cluster.state / f"{world.namespace}.json"
    path.write_text(manifest)
    return str(path)
