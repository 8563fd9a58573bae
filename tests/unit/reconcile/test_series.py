"""What the metrics say of a resource, from its first sight to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.decide.state import State
from dbupgrade.reconcile.series import standing
from dbupgrade.telemetry.resources import OTHERS, Standing
from tests.unit.reconcile.world import World

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

    from dbupgrade.objects import Key

RUNS: list[dict[str, Any]] = [{}, {"finishedAt": "2026-01-01T12:00:00Z"}]
SQL_ERROR: dict[str, Any] = {"failure": "SQLError", "finishedAt": "2026-01-01T12:00:00Z"}


def resource(
    ready: str, progressing: str, reason: str, *, stalled: str = "False", seen: int = 1, **run: Any
) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "held", "uid": "u", "generation": 1, "resourceVersion": "1"}
    conditions = [
        {"type": "Ready", "status": ready, "reason": reason},
        {"type": "Progressing", "status": progressing, "reason": reason},
        {"type": "Stalled", "status": stalled, "reason": reason},
    ]
    status = {"observedGeneration": seen, "conditions": conditions, "run": run}
    return {"kind": "DBUpgrade", "metadata": metadata, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        ({**resource("", "", ""), "status": None}, Standing(State.UNSEEN)),
        (resource("True", "False", "MigrationComplete", seen=0), Standing(State.UNSEEN)),
        (resource("True", "False", "MigrationComplete"), Standing(State.READY, "MigrationComplete")),
        (resource("False", "True", "JobPending"), Standing(State.RUNNING, "JobPending")),
        (resource("False", "False", "Suspended", **SQL_ERROR), Standing(State.SUSPENDED, "Suspended")),
        (resource("False", "False", "DatabaseBusy", **SQL_ERROR), Standing(State.WAITING, "DatabaseBusy")),
        (
            resource("False", "False", "JobFailed", stalled="True", **SQL_ERROR),
            Standing(State.FAILED, "JobFailed", "SQLError"),
        ),
        (
            resource("False", "False", "JobFailed", **{**SQL_ERROR, "failure": "ImagePull"}),
            Standing(State.WAITING, "JobFailed", "ImagePull"),
        ),
        (
            resource("False", "False", "JobFailed", **{**SQL_ERROR, "failure": "OfANewerOperator"}),
            Standing(State.WAITING, "JobFailed", "Unknown"),
        ),
        (
            {
                **resource("False", "False", "JobFailed", stalled="True", **SQL_ERROR),
                "spec": {"suspend": True},
            },
            Standing(State.FAILED, "JobFailed", "SQLError", "true"),
        ),
        (  # a run that is being abandoned
            resource("False", "True", "JobFailed", failure="ImagePull"),
            Standing(State.RUNNING, "JobFailed"),
        ),
    ],
    ids=str,
)
def test_how_a_resource_stands(obj: dict[str, Any], wanted: Standing) -> None:
    assert standing(obj) == wanted


def samples(world: World, metric: str) -> list[Sample]:
    return [each for family in world.series.collect() for each in family.samples if each.name == metric]


def states(world: World) -> list[str]:
    return [sample.labels["state"] for sample in samples(world, "dbupgrade_state")]


async def test_a_resource_has_one_series_from_its_first_sight_to_its_end() -> None:
    world = World()
    steps = [
        {**resource("", "", ""), "status": {}},
        resource("False", "True", "MigrationInProgress"),
        resource("False", "False", "ApprovalPending"),
        resource("False", "False", "JobFailed", stalled="True"),
        resource("True", "False", "MigrationComplete"),
        resource("False", "True", "JobPending"),
        None,
    ]
    seen = []
    for old, new in zip([None, *steps], steps, strict=False):
        world.changes.resource_changed(old, new)
        seen.append(states(world))
    assert seen == [["Unseen"], ["Running"], ["Waiting"], ["Failed"], ["Ready"], ["Running"], []]


def counted(world: World) -> dict[tuple[str, ...], float]:
    """The runs by name, result and failure, as they are counted, whether they are shown or not."""
    return {
        tuple(sample.labels[label] for label in ("name", "result", "failure")): sample.value
        for sample in samples(world, "dbupgrade_runs_total")
    }


async def test_a_slow_run_has_a_series_as_long_as_it_is_active() -> None:
    world = World()
    slow, ended = (resource("False", "True", "JobPending", slow=True, **more) for more in RUNS)
    plain = resource("False", "True", "JobPending")
    seen = []
    for old, new in ((None, plain), (plain, slow), (slow, slow), (slow, ended), (None, slow), (slow, None)):
        world.changes.resource_changed(old, new)
        seen.append(len(samples(world, "dbupgrade_run_slow")))
    assert seen == [0, 1, 1, 0, 1, 0]


async def test_a_namespace_has_its_pending_migrations_until_its_last_resource_goes() -> None:
    world = World()
    plain, pending = resource("True", "False", "Ready"), resource("False", "True", "JobPending")
    pending["status"]["pendingCount"] = 3
    seen = []
    for old, new in ((None, plain), (plain, pending), (pending, pending), (pending, plain), (plain, None)):
        world.changes.resource_changed(old, new)
        seen.append([sample.value for sample in samples(world, "dbupgrade_pending_migrations")])
    assert seen == [[0], [3], [3], [0], []]


async def _fail(world: World, key: Key) -> None:
    await world.settle(key)
    world.end_job(key, "Failed", exit_code=1)
    await world.settle(key)


async def test_a_run_that_ended_is_counted_for_its_resource_with_the_class_of_its_failure() -> None:
    world = World()
    key = world.add("orders")
    await _fail(world, key)
    failure = world.run(key)["failure"]
    assert set(counted(world)) == {("orders", "Failed", failure)}
    del world.server.resources[key]
    world.sync()
    assert counted(world) == {}


async def test_a_run_whose_resource_has_gone_meanwhile_leaves_no_series_that_stays_for_ever() -> None:
    world = World()
    key = world.add("orders")
    await world.settle(key)
    world.end_job(key, "Failed", exit_code=1)
    world.sync()
    world.series.forget(key)  # the watch is faster than the answer to the write of the status
    await world.reconcile(key)
    await world.reconcile(key)
    assert {name for name, _, _ in counted(world)} == {OTHERS.name}
