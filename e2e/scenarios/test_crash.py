"""The operator dies at the worst moments: one Job, and the right status once it is back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from e2e.scenarios.support.api import RefusedError, path
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, THREE
from e2e.scenarios.support.upgrade import DONE, STALLED
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.operator import Operator
    from e2e.scenarios.support.world import World

    StartOperator = Callable[[], Operator]

GATED = {**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}


def test_killed_while_the_migration_runs_it_goes_on_watching_the_same_job(
    lonely_world: World, start_operator: StartOperator
) -> None:
    world = lonely_world
    world.secret()
    operator = start_operator()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        operator.kill()
        start_operator()
        gate.open()
        upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert len(upgrade.history) == 1
    assert world.created_jobs() == [job]
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})


def test_killed_before_the_end_it_reports_what_happened_without_it(
    lonely_world: World, start_operator: StartOperator
) -> None:
    world = lonely_world
    world.secret()
    operator = start_operator()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        operator.kill()
        gate.open()
        world.wait(lambda: "completionTime" in world.record.latest("jobs")[job]["status"], "the Job ends")
        start_operator()
        upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    (pod,) = world.record.latest("pods").values()
    (migrate,) = pod["status"]["containerStatuses"]
    assert upgrade.status["jobCompletedAt"] == migrate["state"]["terminated"]["finishedAt"]
    assert world.created_jobs() == [job]
    world.wait(lambda: "ttlSecondsAfterFinished" in world.record.latest("jobs")[job]["spec"], "a TTL")


def test_a_job_deleted_while_the_operator_is_down_is_told_as_cancelled(
    lonely_world: World, start_operator: StartOperator
) -> None:
    world = lonely_world
    world.secret()
    operator = start_operator()
    with world.database.closed_gate():
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        operator.kill()
        world.delete("jobs", job)
        world.wait_gone("jobs", job)
        start_operator()
        upgrade = world.wait_for(STALLED)
    assert upgrade.run["failure"] == "Cancelled"
    assert world.created_jobs() == [job]


def test_killed_between_intent_and_job_it_creates_the_job_of_the_intent(
    lonely_world: World, start_operator: StartOperator
) -> None:
    world = lonely_world
    world.secret()
    operator = start_operator()
    world.upgrade(world.image(THREE))
    # Killed as soon as the intent is seen; what else it managed to do is then taken back.
    world.wait_for(lambda upgrade: bool(upgrade.run), what="an intent is written")
    operator.kill()
    intent = next(upgrade for upgrade in world.versions() if upgrade.run)
    job = intent.run["jobName"]

    def taken_back() -> bool:
        """Its last request may have been on its way when it was killed."""
        for name in world.jobs():
            with contextlib.suppress(RefusedError):  # it has just gone
                world.delete("jobs", name)
        return not world.jobs() and not world.record.latest("pods")

    wait_until(taken_back, "neither a Job nor a pod is left")
    latest = world.api.request("GET", path("dbupgrades", world.namespace, "app"))
    assert "jobUid" not in intent.run
    body = {**latest, "status": intent.status}
    world.api.request("PUT", path("dbupgrades", world.namespace, "app", "status"), body)
    start_operator()
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["jobName"], upgrade.run["sequence"]) == (job, 1)
    assert set(world.created_jobs()) == {job}
    assert world.database.rows("SELECT count(*) FROM users") == [10]


def test_killed_before_the_start_and_after_the_end_nothing_is_repeated(
    lonely_world: World, start_operator: StartOperator
) -> None:
    world = lonely_world
    world.secret()
    image = world.image(THREE)
    world.upgrade(image)
    operator = start_operator()
    done = world.wait_for(DONE)
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})
    operator.kill()
    start_operator()
    # It has looked at the resource once it knows a later generation.
    world.upgrade(image, runner={"activeDeadlineSeconds": 300})
    upgrade = world.wait_for(DONE)
    assert upgrade.run == done.run
    assert upgrade.history == done.history
    assert world.created_jobs() == [done.run["jobName"]]
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})


def test_asked_to_stop_it_ends_in_good_order(lonely_world: World, start_operator: StartOperator) -> None:
    world = lonely_world
    world.secret()
    operator = start_operator()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        world.wait_migrating()
        operator.stop()
        last = world.cluster.state / "log" / f"operator-{world.namespace}"
        wait_until(lambda: '"event":"stopped"' in last.read_text(), "it says that it stopped")
        gate.open()
        start_operator()
        world.wait_for(DONE)
    assert len(world.created_jobs()) == 1
