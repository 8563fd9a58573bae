"""What is observed of a resource: from the caches first, from the API server where a decision needs it."""

import json
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.decide.needs import ReadProgress, ReadReport, ReadRun, ReadSecret
from dbupgrade.decide.observed import Observed, SecretView, UnendedJob
from dbupgrade.kube.errors import Forbidden, NotFound, TooManyRequests, Unreachable
from dbupgrade.objects import Key
from dbupgrade.pod.progress import Seen
from dbupgrade.reconcile.memory import Memory
from tests.unit.reconcile.world import World, key


async def started(world: World) -> Key:
    """A resource whose Job exists and is in the caches."""
    orders = world.add("orders")
    await world.settle(orders)
    world.server.calls.clear()
    return orders


def observe(world: World, each: Key) -> Observed:
    obj = world.stores.resources.get(each)
    assert obj
    return world.observer.observe(obj, world.memories.of(each))


async def test_the_caches_are_read_without_a_call() -> None:
    world = World()
    orders = await started(world)
    world.start_pod(orders, running={})
    world.sync()
    observed = observe(world, orders)
    assert observed.job
    assert observed.job.name == world.run(orders)["jobName"]
    assert observed.own_jobs == (observed.job,)
    assert [pod.migrate.started for pod in observed.pods] == [True]
    assert (observed.secret, observed.report, observed.fresh) == (None, None, False)
    assert world.server.calls == []


async def test_what_only_carries_the_label_elsewhere_is_not_the_resources() -> None:
    world = World()
    orders = await started(world)
    forged = world.start_pod(orders, running={})
    forged["metadata"]["namespace"] = "other"
    world.sync()
    assert observe(world, orders).pods == ()


async def test_a_pod_that_migrated_is_remembered_when_it_has_gone() -> None:
    world = World()
    orders = await started(world)
    world.start_pod(orders, running={})
    world.sync()
    world.server.pod_list = []
    world.sync()
    observed = observe(world, orders)
    assert observed.pods == ()
    assert observed.migrate_seen


async def test_a_job_that_was_just_created_is_expected() -> None:
    world = World()
    orders = world.add("orders")
    world.sync()
    await world.reconcile(orders)
    world.stores.resources.put(world.server.resources[orders])
    observed = observe(world, orders)
    assert observed.job is None
    assert observed.job_expected


async def test_a_fresh_read_is_what_the_api_server_has() -> None:
    world = World()
    orders = await started(world)
    observed = observe(world, orders)
    world.server.jobs.clear()
    found = await world.observer.fetch(ReadRun(), observed, Memory())
    assert (found.job, found.pods, found.fresh, found.job_expected) == (None, (), True, False)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFound("", status=404), "Secret orders-db not found in namespace shop"),
        (Forbidden("", status=403), "the operator is not allowed to read Secret orders-db"),
    ],
)
async def test_a_secret_that_cannot_be_had_is_a_problem(error: Exception, text: str) -> None:
    world = World()
    orders = await started(world)
    world.server.failures["get secret"].append(error)
    found = await world.observer.fetch(ReadSecret(), observe(world, orders), Memory())
    assert found.secret
    assert found.secret.problem is Reason.SECRET_NOT_FOUND
    assert found.secret.message.startswith(text)


async def test_of_a_secret_only_its_version_is_known() -> None:
    world = World()
    orders = await started(world)
    found = await world.observer.fetch(ReadSecret(), observe(world, orders), Memory())
    assert found.secret == SecretView(version="uid-of-orders-db/1")


async def test_an_operator_that_may_not_read_secrets_asks_for_none_and_tells_no_text_of_a_command() -> None:
    world = World(reads_secrets=False)
    orders = world.add("orders", migrations={"image": "app:1", "engine": "Command", "command": ["migrate"]})
    await world.settle(orders)
    assert world.run(orders)["jobName"]
    assert "secretVersion" not in world.run(orders)
    world.end_job(orders, "Failed", exit_code=3)
    (name,) = world.server.logs
    world.server.logs[name] = "cannot log in with hunter2\n"
    found = await report(world, orders, Memory())
    assert found.report
    assert (found.report.error, found.report.said) == ("exit code 3", None)
    assert [call for call in world.server.calls if "secret" in str(call)] == []


async def report(world: World, orders: Key, memory: Memory) -> Observed:
    world.sync()
    observed = observe(world, orders)
    return await world.observer.fetch(ReadReport(observed.pods[-1]), observed, memory)


async def test_a_report_has_no_secret_in_it() -> None:
    world = World()
    orders = world.add("orders", migrations={"image": "app:1", "engine": "Command", "command": ["migrate"]})
    await world.settle(orders)
    world.end_job(orders, "Failed", exit_code=1)
    (name,) = world.server.logs
    world.server.logs[name] = "cannot log in with hunter2\n"
    found = await report(world, orders, Memory())
    assert found.report
    assert found.report.said == "cannot log in with ***"
    assert "hunter2" not in str(found.report)


async def test_a_log_that_cannot_be_read_is_tried_again_and_then_given_up() -> None:
    world = World()
    orders = await started(world)
    world.end_job(orders)
    memory = Memory()
    world.server.failures["read log"] += [Unreachable("reset") for _ in range(8)]
    for _ in range(7):
        with pytest.raises(Unreachable):
            await report(world, orders, memory)
    assert (await report(world, orders, memory)).report
    assert memory.unread == 0


async def test_what_a_run_does_is_read_from_its_log_and_remembered() -> None:
    world = World()
    orders = await started(world)
    pod = world.start_pod(orders, running={"startedAt": "2026-01-02T12:00:01Z"})["metadata"]["name"]
    world.sync()
    memory = Memory()
    line = {"event": "blocked", "file": "1_a.sql", "number": 1, "of": 2, "message": "waiting"}
    world.server.logs[pod] = json.dumps(line)
    observed = observe(world, orders)
    found = await world.observer.fetch(ReadProgress(observed.pods[-1]), observed, memory)
    assert found.progress
    assert (found.progress.at, found.progress.seen) == (
        observed.now,
        Seen("1_a.sql", 1, 2, "waiting", is_blocked=True),
    )
    assert memory.progress == found.progress
    world.server.failures["read log"].append(Unreachable("reset"))
    again = await world.observer.fetch(ReadProgress(observed.pods[-1]), observed, memory)
    assert again.progress
    assert again.progress.seen == found.progress.seen  # it is known no better


async def test_a_log_that_has_gone_is_given_up_at_once() -> None:
    world = World()
    orders = await started(world)
    world.end_job(orders)
    world.server.failures["read log"].append(NotFound("gone", status=404))
    assert (await report(world, orders, Memory())).report


async def test_a_server_that_asks_for_patience_is_not_given_up() -> None:
    world = World()
    orders = await started(world)
    world.end_job(orders)
    memory = Memory()
    for _ in range(20):
        world.server.failures["read log"].append(TooManyRequests("wait", status=429))
        with pytest.raises(TooManyRequests):
            await report(world, orders, memory)


@pytest.mark.parametrize(
    ("job", "pods", "ended"),
    [
        pytest.param(None, [], True, id="nothing is left"),
        pytest.param({"status": {}}, [], False, id="the Job is at work"),
        pytest.param(None, ["Running"], False, id="a pod is at work"),
        pytest.param(
            {"status": {"conditions": [{"type": "Failed", "status": "True"}]}},
            ["Failed"],
            True,
            id="both are over",
        ),
    ],
)
async def test_whether_a_lost_job_has_ended(job: dict[str, Any] | None, pods: list[str], ended: bool) -> None:
    world = World()
    if job:
        world.server.jobs[key("lost")] = {"metadata": {"name": "lost"}, **job}
    labels = {names.LABEL_UID: "u"}
    world.server.pod_list = [
        {"metadata": {"namespace": "shop", "name": "p", "labels": labels}, "status": {"phase": phase}}
        for phase in pods
    ]
    assert await world.observer.has_ended(UnendedJob("shop", "lost", "u", may_be_asked=True)) is ended
