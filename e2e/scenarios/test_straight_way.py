"""The straight way: an image's migrations are applied, and a rollout can wait for it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, FOURTH, THREE
from e2e.scenarios.support.upgrade import DONE

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.scenarios.support.world import World

VERSIONS = ["20250101000000", "20250102000000", "20250103000000"]


def test_kubectl_apply_and_wait_lead_to_a_migrated_database(world: World, tmp_path: Path) -> None:
    world.secret()
    image = world.image(THREE)
    file = tmp_path / "dbupgrade.json"
    file.write_text(json.dumps(world.manifest(image)))
    world.kubectl("apply", "-f", str(file))
    world.kubectl("wait", "--for=condition=Ready", "dbupgrade/app", "--timeout=5m")

    upgrade = world.wait_for(DONE)
    assert world.database.tables == ["orders", "users"]
    assert world.database.rows("SELECT count(*) FROM users") == [10]
    assert world.database.versions == VERSIONS
    assert upgrade.message == f"applied 3 files of {image}: the database is at {VERSIONS[-1]}"
    assert upgrade.status["currentVersion"] == VERSIONS[-1]
    assert upgrade.status["pendingCount"] == 0
    assert upgrade.status["jobCompletedAt"] >= upgrade.run["startedAt"]
    assert upgrade.history == [upgrade.run]
    assert (upgrade.run["sequence"], upgrade.run["result"]) == (1, "Succeeded")
    assert (upgrade.run["image"], upgrade.run["appliedCount"]) == (image, 3)
    assert upgrade.run["digest"] == _digest(world, image)
    assert upgrade.run["toVersion"] == VERSIONS[-1]
    assert "fromVersion" not in upgrade.run
    assert world.created_jobs() == [upgrade.run["jobName"]]
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})


def test_each_step_of_a_run_is_told_in_order(world: World) -> None:
    world.secret()
    # A migration that ends at once may have ended before the kubelet tells that it began.
    with world.database.closed_gate() as gate:
        world.upgrade(world.image({**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}))
        world.wait_migrating()
        gate.open()
    world.wait_for(DONE)
    reasons = [version.verdict.reason for version in world.versions()]
    in_order = list(dict.fromkeys(reasons))
    assert in_order == ["", "JobPending", "MigrationInProgress", "MigrationComplete"]
    assert world.versions()[0].status == {"observedGeneration": -1}


def test_the_job_belongs_to_the_resource_and_expires_only_once_its_end_is_recorded(world: World) -> None:
    world.secret()
    upgrade = world.upgrade(world.image(THREE), runner={"ttlSecondsAfterFinished": 600})
    name = world.wait_for(DONE).run["jobName"]
    job = world.wait(
        lambda: next((j for j in _jobs(world) if "ttlSecondsAfterFinished" in j["spec"]), None), "a TTL"
    )
    assert job["metadata"]["name"] == name
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    recorded = next(version for version in world.versions() if version.finished(1))
    assert _version(job) > _version(recorded.json), "one that went before would have been lost"
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("DBUpgrade", "app", upgrade.uid)
    assert owner["controller"] is True


def test_a_job_that_expired_is_not_run_again(world: World) -> None:
    world.secret()
    image = world.image(THREE)
    world.upgrade(image, runner={"ttlSecondsAfterFinished": 0})
    name = world.wait_for(DONE).run["jobName"]
    world.wait_gone("jobs", name)
    # The operator has looked at the resource since: it knows the new generation.
    world.upgrade(image, runner={"ttlSecondsAfterFinished": 1})
    upgrade = world.wait_for(DONE)
    assert upgrade.run["sequence"] == 1
    assert world.created_jobs() == [name]


def test_a_newer_image_makes_a_second_run_and_the_same_image_none(world: World) -> None:
    world.secret()
    first, second = world.image(THREE), world.image({**THREE, **FOURTH})
    world.upgrade(first)
    world.wait_for(DONE)
    world.upgrade(second)
    upgrade = world.wait_for(DONE)
    assert world.database.tables == ["items", "orders", "users"]
    assert [run["image"] for run in upgrade.history] == [second, first]
    assert [run["sequence"] for run in upgrade.history] == [2, 1]
    assert (upgrade.run["fromVersion"], upgrade.run["toVersion"]) == (VERSIONS[-1], "20250104000000")
    assert upgrade.run["appliedCount"] == 1
    jobs = [run["jobName"] for run in upgrade.history]
    assert world.created_jobs() == jobs[::-1]

    same = world.upgrade(second)
    assert same.json["metadata"]["generation"] == 2
    world.upgrade(second, runner={"activeDeadlineSeconds": 300}, migrations={"dir": "/migrations/"})
    upgrade = world.wait_for(DONE)
    assert upgrade.status["observedGeneration"] == 3
    assert world.created_jobs() == jobs[::-1]
    world.wait_events({"MigrationStarted": 2, "MigrationSucceeded": 2, "SpecChanged": 1})


def test_an_older_image_runs_again_and_says_that_the_database_is_ahead(world: World) -> None:
    world.secret()
    older, newer = world.image(THREE), world.image({**THREE, **FOURTH})
    world.upgrade(newer)
    world.wait_for(DONE)
    world.upgrade(older)
    upgrade = world.wait_for(DONE)
    assert upgrade.message == f"nothing to apply: the database is at 20250104000000, ahead of {older}"
    assert (upgrade.run["sequence"], upgrade.run["appliedCount"]) == (2, 0)
    assert world.database.tables == ["items", "orders", "users"]


def test_kubectl_get_prints_the_columns_of_the_contract(world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    upgrade = world.wait_for(DONE)
    heads, row = (line.split() for line in world.kubectl("get", "dbu").splitlines())
    assert heads == ["NAME", "READY", "PROGRESSING", "REASON", "FAILURE", "SUSPENDED", "AGE"]
    assert row[:5] == ["app", "True", "False", "MigrationComplete", "false"]  # and no failure
    heads, row = (line.split() for line in world.kubectl("get", "dbu", "-o", "wide").splitlines())
    assert heads[6:] == ["IMAGE", "VERSION", "JOB", "MESSAGE", "AGE"]
    assert row[5:8] == [upgrade.run["image"], VERSIONS[-1], upgrade.run["jobName"]]
    assert row[8:10] == ["applied", str(len(THREE))]


def _jobs(world: World) -> list[dict[str, dict[str, object]]]:
    return [job for _, job in world.record.changes("jobs")]


def _version(obj: dict[str, dict[str, object]]) -> int:
    """When it was written: the resource versions of one etcd are numbers that grow with each write."""
    return int(str(obj["metadata"]["resourceVersion"]))


def _digest(world: World, image: str) -> str:
    done = subprocess.run([world.cluster.bin_dir / "crane", "digest", image], check=True, capture_output=True)
    return done.stdout.decode().strip()
