"""The node takes no pod, has too little memory, or is drained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.cluster.state import NODE_NAME
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, crane
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

GATED = {**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}
# A run that cannot start is given up 15 s before the Job's own deadline, if that comes before its grace of 10 min.
SHORT = {"activeDeadlineSeconds": 40}
SMALL = {"limits": {"memory": "64Mi"}}
deliveries = pytest.mark.parametrize("delivery", ["Extract", "ImageVolume"])


def test_a_pod_that_no_node_takes_is_given_up_and_a_correction_runs_at_once(world: World) -> None:
    world.secret()
    image = world.image(FIRST)
    world.upgrade(image, runner={**SHORT, "nodeSelector": {"disk": "made-of-gold"}})
    world.wait_for(
        lambda upgrade: "cannot be scheduled" in upgrade.message, what="it says that no node takes it"
    )
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (RETRIED, "Unschedulable")
    assert "Check resources, nodeSelector" in upgrade.message
    assert world.jobs() == {}

    world.upgrade(image)
    upgrade = world.wait_for(DONE)
    assert world.live_pods_at_most() == 1


@deliveries
def test_a_migration_that_needs_more_memory_than_its_limit_is_told(world: World, delivery: str) -> None:
    """Atlas reads the whole file, which is larger than the limit."""
    large = {"20250102000000_large.sql": "SELECT 1; -- " + "x" * (80 << 20)}
    world.secret()
    world.upgrade(
        world.image({**FIRST, **large}), migrations={"delivery": delivery}, runner={"resources": SMALL}
    )
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (STALLED, "OutOfMemory")
    assert "Raise the memory limit in spec.runner.resources" in upgrade.message
    assert world.database.tables == []

    world.upgrade(world.image(FIRST), migrations={"delivery": delivery})
    world.wait_for(DONE)


def test_a_fetch_that_needs_more_memory_than_its_limit_is_told(world: World) -> None:
    """The fetch reads the whole manifest, here with annotations that are each nearly as long as an argument may be."""
    world.secret()
    image = world.image(FIRST)
    notes = [f"--annotation=note{number}={'x' * 120_000}" for number in range(15)]
    crane(world.cluster, "mutate", *notes, "--tag", image, image)
    world.upgrade(image, runner={"resources": {"limits": {"memory": "6Mi"}}})
    upgrade = world.wait_run(1)
    assert (upgrade.verdict, upgrade.run["failure"]) == (STALLED, "OutOfMemory")
    assert world.database.tables == []


@pytest.mark.alone
def test_a_drained_node_takes_the_pod_away_and_the_run_goes_on_when_it_is_back(world: World) -> None:
    world.secret()
    try:
        with world.database.closed_gate() as gate:
            world.upgrade(world.image(GATED))
            world.wait_migrating()
            (pod,) = world.record.latest("pods")
            world.cluster.kubectl(
                "drain", NODE_NAME, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m"
            )
            world.wait_gone("pods", pod)
            gate.open()
        (waiting,) = world.wait(lambda: world.record.latest("pods"), "a pod takes its place")
        assert waiting != pod
        assert "finishedAt" not in world.versions()[-1].run
    finally:
        world.cluster.kubectl("uncordon", NODE_NAME)
    upgrade = world.wait_for(DONE)
    assert upgrade.run["sequence"] == 1
    assert len(world.created_jobs()) == 1
    assert world.live_pods_at_most() == 1
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})
