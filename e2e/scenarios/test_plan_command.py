"""`kubectl dbupgrade plan` and `approve` with real pods on a real PostgreSQL: the plan of a person's Job is the plan of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from e2e.scenarios.support.images import FIRST
from e2e.scenarios.support.upgrade import DONE, held

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

ADD = {"20250105000000_note.sql": "ALTER TABLE users ADD COLUMN note text;"}


def command(world: World, *words: str) -> str:
    """Run a command of the plugin in the namespace."""
    return subprocess.run(
        [sys.executable, "-m", "dbupgrade", "--kubeconfig", str(world.cluster.kubeconfig), "--namespace", world.namespace, *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True,
    ).stdout  # fmt: skip


def test_what_is_planned_without_applying_is_what_is_approved_and_applied(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    image = world.image({**FIRST, **ADD})
    cluster = world.cluster
    published = {
        "craneImage": cluster.crane_image,
        "runnerImage": cluster.runner_image,
        "insecureRegistries": "true",
    }
    literals = [f"--from-literal={name}={value}" for name, value in published.items()]
    world.kubectl("create", "configmap", "dbupgrade-runner", *literals)
    words = ("plan", "app", "--image", image, "--operator-namespace", world.namespace)
    plan = json.loads(command(world, *words, "--output", "json"))
    assert (plan["fileCount"], plan["fromVersion"], plan["toVersion"]) == (
        1,
        "20250101000000",
        "20250105000000",
    )
    assert "note" not in world.database.rows("SELECT column_name FROM information_schema.columns")
    assert (
        world.kubectl("get", "jobs", "-l", "app.kubernetes.io/managed-by=kubectl-dbupgrade", "-o", "name")
        == ""
    )

    world.upgrade(image, policy={"approval": "Always"})
    upgrade = world.wait_for(held("ApprovalPending"))
    assert upgrade.status["plan"]["digest"] == plan["digest"]
    assert f"Plan digest:  {plan['digest']}" in command(world, "status", "app")
    assert "approved as" in command(world, "approve", "app", "--plan", plan["digest"])
    assert world.wait_for(DONE).run["plan"] == plan["digest"]
    assert "note" in world.database.rows("SELECT column_name FROM information_schema.columns")
