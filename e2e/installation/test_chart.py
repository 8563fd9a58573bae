"""The chart on a real cluster: two replicas that take over from each other, upgrades, and what an uninstall leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from e2e.installation.release import NAME, Release, kill, pod_of
from e2e.operator import NAMESPACE
from e2e.privileges import INSTALLED_ONLY, read, used
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, THREE
from e2e.scenarios.support.upgrade import DONE
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.world import World

GATED = {**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}
TAKEOVER_SECONDS = 20


def test_a_migration_runs_and_the_webhook_has_a_say(release: Release, world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    assert world.wait_for(DONE).run["appliedCount"] == len(THREE)
    assert release.lease()["holderIdentity"].startswith(NAME)
    assert len(release.pods()) == 2


def test_when_the_leader_is_killed_in_a_run_the_other_replica_ends_it(release: Release, world: World) -> None:
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        before = release.leader()
        kill(pod_of(before))
        wait_until(lambda: release.leader() not in {"", before}, "another leads", TAKEOVER_SECONDS)
        gate.open()
        upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert world.created_jobs() == [job]
    assert world.live_pods_at_most() == 1


def test_when_the_leader_is_asked_to_end_the_other_replica_leads_at_once(
    release: Release, world: World
) -> None:
    before = release.leader()
    release.kubectl("delete", "pod", pod_of(before), "--wait=false")
    wait_until(lambda: release.leader() not in {"", before}, "another leads", 5)
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)


def test_an_upgrade_during_a_run_ends_it_with_the_same_job_and_brings_the_crd_up_to_date(
    release: Release, world: World, tmp_path: Path
) -> None:
    crd = release.chart / "files" / "dbupgrades.yaml"
    original = crd.read_text()
    newer = yaml.safe_load(original)
    newer["spec"]["names"]["categories"] = ["all"]
    old_pods = release.pods()
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        crd.write_text(yaml.safe_dump(newer))
        try:
            release.upgrade("log.level=debug")
        finally:
            crd.write_text(original)
        wait_until(lambda: pod_of(release.leader()) not in {"", *old_pods}, "a new replica leads")
        gate.open()
        upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert world.created_jobs() == [job]
    stored = json.loads(
        release.kubectl("get", "crd", "dbupgrades.dbupgrade.subbug.learning", "--output=json")
    )
    assert stored["spec"]["names"]["categories"] == ["all"]


def test_the_operator_was_forbidden_nothing_and_used_what_only_an_installation_has(
    release: Release, cluster: Cluster
) -> None:
    found = used(read(cluster.state / "log" / "audit.log"))
    assert found.forbidden == frozenset()
    assert INSTALLED_ONLY - found.allowed == set()


def test_an_uninstall_leaves_the_crd_with_the_resources_and_nothing_else(
    release: Release, world: World
) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)
    release.uninstall()
    left = [
        line for line in everything(release.cluster) if "dbupgrade" in line and world.namespace not in line
    ]
    assert left == ["customresourcedefinitions.apiextensions.k8s.io dbupgrades.dbupgrade.subbug.learning"]
    inside = set(everything(release.cluster, NAMESPACE))
    assert inside == {"configmaps kube-root-ca.crt", "serviceaccounts default"}
    assert (
        world.kubectl("get", "dbupgrade", "app", "--output=name")
        == "dbupgrade.dbupgrade.subbug.learning/app\n"
    )


def everything(cluster: Cluster, namespace: str = "") -> list[str]:
    """`kind name` of every object of the cluster, or of a namespace; Events and what has an owner left out."""
    scope = ("--namespaced=true",) if namespace else ()
    kinds = cluster.kubectl("api-resources", "--verbs=list,get", "--output=name", *scope).split()
    where = ("--namespace", namespace) if namespace else ("--all-namespaces",)
    found = []
    for kind in sorted(set(kinds) - {"events", "events.events.k8s.io"}):
        items = json.loads(cluster.kubectl("get", kind, *where, "--output=json"))["items"]
        found += [
            f"{kind} {item['metadata']['name']}"
            for item in items
            if not item["metadata"].get("ownerReferences")
        ]
    return found
