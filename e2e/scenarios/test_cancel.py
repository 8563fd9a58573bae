"""People and the cluster take away what a run needs: its Job, its pod, its resource, its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.api import path
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, THREE
from e2e.scenarios.support.upgrade import DONE, RETRIED, STALLED
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

RETRY = "dbupgrade.subbug.learning/retry"
FORCE_DELETE = "dbupgrade.subbug.learning/force-delete"
GATED = {**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%shared%' AND pid <> pg_backend_pid()"


def test_a_deleted_job_is_a_cancelled_run_until_somebody_asks_for_a_retry(world: World) -> None:
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        world.kubectl("delete", "job", job)
        upgrade = world.wait_for(STALLED)
        assert upgrade.run["failure"] == "Cancelled"
        assert f"set the annotation {RETRY}" in upgrade.message
        gate.open()
    world.kubectl("annotate", "dbupgrade", "app", f"{RETRY}=please")
    upgrade = world.wait_for(DONE)
    assert [run["result"] for run in upgrade.history] == ["Succeeded", "Failed"]
    assert len(world.created_jobs()) == 2
    assert world.live_pods_at_most() == 1
    world.wait_events({"MigrationStarted": 2, "MigrationFailed": 1, "MigrationSucceeded": 1})


def test_a_resource_deleted_by_force_takes_its_run_along_and_a_new_one_runs_afresh(world: World) -> None:
    world.secret()
    image = world.image(GATED)
    with world.database.closed_gate() as gate:
        first = world.upgrade(image)
        job = world.wait_migrating().run["jobName"]
        world.annotate("app", FORCE_DELETE, "true")
        world.kubectl("delete", "dbupgrade", "app", "--wait=false")
        world.wait_gone("dbupgrades", "app")
        world.wait_gone("jobs", job)
        world.wait(lambda: not world.record.latest("pods"), "its pods go")
        gate.open()
    second = world.upgrade(image)
    assert second.uid != first.uid
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["sequence"], len(upgrade.history)) == (1, 1)
    assert upgrade.run["jobName"] != job
    assert world.live_pods_at_most() == 1


def test_a_finished_resource_that_is_deleted_and_made_again_finds_nothing_to_apply(world: World) -> None:
    world.secret()
    image = world.image(THREE)
    world.upgrade(image)
    world.wait_for(DONE)
    world.kubectl("delete", "dbupgrade", "app")
    world.wait_gone("dbupgrades", "app")
    world.upgrade(image)
    upgrade = world.wait_for(DONE)
    assert upgrade.message == "nothing to apply: the database is at 20250103000000"
    assert upgrade.run["appliedCount"] == 0


def test_an_evicted_pod_is_replaced_and_the_run_goes_on(world: World) -> None:
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        world.wait_migrating()
        (pod,) = world.record.latest("pods")
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        world.api.request("POST", path("pods", world.namespace, pod, "eviction"), body)
        world.wait_gone("pods", pod)
        gate.open()
    upgrade = world.wait_for(DONE)
    assert upgrade.run["sequence"] == 1
    assert len(world.created_jobs()) == 1
    assert len({obj["metadata"]["uid"] for _, obj in world.record.changes("pods")}) == 2
    assert world.live_pods_at_most() == 1
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})


def test_a_pod_deleted_by_hand_ends_the_run_and_says_what_to_do(world: World) -> None:
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        world.wait_migrating()
        (pod,) = world.record.latest("pods")
        world.kubectl("delete", "pod", pod, "--wait=false")
        upgrade = world.wait_for(STALLED)
        assert upgrade.run["failure"] == "Interrupted"
        assert f"set the annotation {RETRY}" in upgrade.message
        gate.open()
    wait_until(lambda: world.database.rows(SESSIONS) == [0], "the database has ended what the pod began")
    world.annotate("app", RETRY, "1")
    world.wait_for(DONE)
    assert world.live_pods_at_most() == 1


def test_a_run_that_takes_too_long_is_ended_and_not_repeated(world: World) -> None:
    world.secret()
    with world.database.closed_gate():
        # The pod goes at the deadline, when a run that has no pod would long have been given up as one without.
        world.upgrade(world.image(GATED), runner={"activeDeadlineSeconds": 45})
        world.wait_migrating()
        upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == "DeadlineExceeded"
    assert "raise the deadline" in upgrade.message
    assert world.created_jobs() == [upgrade.run["jobName"]]


def test_a_quota_that_admits_no_job_is_told_and_its_removal_lets_the_run_start(world: World) -> None:
    world.secret()
    _quota(world, "count/jobs.batch")
    world.upgrade(world.image(THREE))
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "JobRefused"
    assert "exceeded quota" in upgrade.message
    world.delete("resourcequotas", "none")
    world.wait_for(DONE)


def test_a_quota_that_admits_no_pod_is_told_and_its_removal_lets_the_run_start(world: World) -> None:
    world.secret()
    _quota(world, "pods")
    world.upgrade(world.image(THREE), runner={"activeDeadlineSeconds": 45})
    upgrade = world.wait_run(1)
    assert upgrade.verdict == RETRIED
    assert upgrade.run["failure"] == "NoPod"
    assert world.jobs() == {}
    world.delete("resourcequotas", "none")
    world.wait_for(DONE)


def _quota(world: World, what: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {what: "0"}},
    }
    world.api.apply(quota, "resourcequotas", world.namespace)
    where = path("resourcequotas", world.namespace, "none")
    wait_until(lambda: "hard" in world.api.request("GET", where).get("status", {}), "the quota is in force")
