"""A reconcile from end to end, on a fake API server: who gets a database, what is read first, and what is left alone."""

import asyncio
import base64
import contextlib
from itertools import count
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.decide.needs import LOOKS
from dbupgrade.kube.errors import AlreadyExists, Conflict, Unreachable
from dbupgrade.objects import Key
from dbupgrade.reconcile.reconciler import UndecidedError
from dbupgrade.runtime.controller import Result
from tests.unit.reconcile.world import NAMESPACE, ApiServer, World, key

LOGIN = {
    "userSecretRef": {"name": "login", "key": "user"},
    "passwordSecretRef": {"name": "login", "key": "password"},
}


def a_login() -> dict[str, Any]:
    """A Secret with user and password."""
    value = base64.b64encode(b"x").decode()
    metadata = {"name": "login", "uid": "uid-of-login", "resourceVersion": "1"}
    return {"metadata": metadata, "data": {"user": value, "password": value}}


async def test_a_run_from_its_intent_to_its_recorded_end() -> None:
    world = World()
    orders = world.add("orders")
    await world.settle(orders)
    job = world.run(orders)["jobName"]
    assert world.reason(orders) == "JobPending"
    world.start_pod(orders, running={})
    await world.settle(orders)
    assert world.reason(orders) == "MigrationInProgress"
    world.end_job(orders)
    await world.settle(orders)
    assert world.reason(orders) == "MigrationComplete"
    assert [
        call for call in world.server.calls if call.startswith(("write", "create", "read", "expire"))
    ] == [
        "write status orders active",
        f"create job {job}",
        "write status orders active",  # the Job was seen
        "write status orders active",  # it migrates
        "write status orders at rest",
        f"expire job {job}",
    ]


async def test_the_intent_is_stored_before_the_job_exists() -> None:
    world = World()
    orders = world.add("orders")
    world.server.failures["write status"].append(Conflict("it has changed", status=409))
    world.sync()
    with pytest.raises(Conflict):
        await world.reconcile(orders)
    assert not world.server.jobs


async def test_a_crash_between_intent_and_job_is_resumed_with_the_same_job() -> None:
    server = ApiServer()
    first = World(server)
    orders = first.add("orders")
    server.failures["create job"].append(asyncio.CancelledError())
    first.sync()
    with pytest.raises(asyncio.CancelledError):
        await first.reconcile(orders)
    job = first.run(orders)["jobName"]
    second = World(server)
    second.sync()
    await second.settle(orders)
    assert list(server.jobs) == [Key("shop", job)]


async def test_a_job_that_was_put_in_the_place_of_ours_is_not_adopted_and_ours_is() -> None:
    server = ApiServer()
    first = World(server)
    orders = first.add("orders")
    first.sync()
    await first.reconcile(orders)
    name = key(first.run(orders)["jobName"])
    ours = server.jobs[name]
    template = {**ours["spec"]["template"], "spec": {"containers": [{"name": "migrate", "image": "busybox"}]}}
    forged = {**ours, "spec": {**ours["spec"], "template": template}}
    server.jobs[name] = {**forged, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    second = World(server)
    for _ in range(4):
        second.sync()
        with contextlib.suppress(AlreadyExists):
            await second.reconcile(orders)
    assert second.run(orders)["sequence"] == 2
    third = World(server)
    server.jobs = {name: ours}
    third.server.resources[orders]["status"]["run"] |= {"sequence": 1}
    third.server.resources[orders]["status"]["run"].pop("jobUid", None)
    await third.settle(orders)
    assert third.run(orders)["sequence"] == 1
    assert third.run(orders)["jobUid"] == ours["metadata"]["uid"]


async def test_of_two_resources_on_a_database_one_runs_and_the_other_waits() -> None:
    world = World()
    older, younger = world.add("older", created="1"), world.add("younger", created="2")
    world.sync()
    await asyncio.gather(world.reconcile(younger), world.reconcile(older))
    assert len(world.server.jobs) == 1
    runs, waits = (younger, older) if "run" in world.server.resources[younger]["status"] else (older, younger)
    await world.settle(waits)
    assert world.reason(waits) == "DatabaseBusy"
    assert f"{runs.name} is migrating it" in world.message(waits)
    world.woken.clear()
    world.start_pod(runs, running={})
    world.end_job(runs)
    await world.settle(runs)
    assert waits in world.woken
    await world.settle(waits)
    assert world.reason(waits) == "JobPending"


async def test_resources_on_two_databases_do_not_wait_for_each_other() -> None:
    world = World()
    for each in (world.add("orders"), world.add("users", database="users-db")):
        await world.settle(each)
    assert len(world.server.jobs) == 2


async def test_what_is_at_work_holds_its_database_after_a_restart() -> None:
    server = ApiServer()
    orders = World(server).add("orders")
    await World(server).settle(orders, rounds=1)
    users = World(server).add("users")  # on the same database
    after = World(server)
    after.sync()
    await after.settle(users)
    assert after.reason(users) == "DatabaseBusy"


@pytest.mark.parametrize("pods_left", [True, False])
async def test_a_job_that_vanished_is_asked_for_before_the_database_is_taken(pods_left: bool) -> None:
    world = World()
    first, second = world.add("first"), world.add("second", created="2")
    await world.settle(first)
    job = Key("shop", world.run(first)["jobName"])
    pod = world.start_pod(first, running={})
    world.sync()
    # The resource goes, its Job with it; its pod is still there, and no watch shows it.
    del world.server.resources[first]
    world.sync()
    world.stores.pods.remove(Key("shop", pod["metadata"]["name"]))
    world.stores.jobs.remove(job)
    del world.server.jobs[job]
    if not pods_left:
        world.server.pod_list = []
    world.server.calls.clear()
    await world.reconcile(second)
    assert world.server.calls[:3] == ["get secret orders-db", f"get job {job.name}", "list pods uid-of-first"]
    assert world.reason(second) == ("DatabaseBusy" if pods_left else "JobPending")
    if pods_left:
        assert f"the operator does not know yet how Job {job.name} ended" in world.message(second)


async def test_a_namespace_that_names_the_database_of_another_does_not_hold_it() -> None:
    parts: dict[str, Any] = {"host": "db.example.com", "database": "shop"}
    database = {"type": "selfHosted", "connection": {**parts, **LOGIN}}
    world = World()
    ours, theirs = world.add("orders"), world.add("orders", namespace="attacker")
    for each in (theirs, ours):
        world.server.resources[each]["spec"]["database"] = database
        world.server.secrets[Key(each.namespace, "login")] = a_login()
        await world.settle(each)
    assert len(world.server.jobs) == 2, "the lock in the database is the guard between them"
    labels = [job["metadata"]["labels"][names.LABEL_DATABASE] for job in world.server.jobs.values()]
    assert labels[0] == labels[1], "it is the same database"


async def test_a_resource_that_a_finalizer_holds_frees_its_database_when_its_job_is_over() -> None:
    world = World()
    first, second = world.add("first"), world.add("second", created="2")
    await world.settle(first)
    await world.settle(second)
    stored = world.server.resources[first]
    metadata = {
        **stored["metadata"],
        "deletionTimestamp": "2026-01-02T12:00:05Z",
        "finalizers": ["example.com/holds"],
        "resourceVersion": world.server.next_version(),
    }
    world.server.resources[first] = {**stored, "metadata": metadata}
    await world.settle(first)
    await world.settle(second)
    assert world.reason(second) == "DatabaseBusy", "its pod is still at work"
    world.end_job(first)
    world.woken.clear()
    await world.settle(first)
    assert second in world.woken
    await world.settle(second)
    assert world.reason(second) == "JobPending"


@pytest.mark.parametrize("job_uid", [None, "uid-of-nothing"])
async def test_a_run_that_only_a_status_tells_of_holds_no_database(job_uid: str | None) -> None:
    world = World()
    liar, honest = world.add("liar", suspend=True), world.add("honest", created="2")
    forged = {
        "jobName": "a-job", "sequence": 1, "runId": "x", "runnerHash": "x", "generation": 1, "engine": "Atlas",
        "image": "x", "startedAt": "2026-01-02T12:00:00Z", "jobUid": job_uid,
        "database": names.database_label(("secret", NAMESPACE, "orders-db", "url")),
    }  # fmt: skip
    world.server.resources[liar]["status"] = {"run": {key: value for key, value in forged.items() if value}}
    await world.settle(liar)
    await world.settle(honest)
    assert world.reason(honest) == "JobPending"


async def test_a_run_s_end_wakes_one_of_those_that_wait() -> None:
    world = World()
    first = world.add("first")
    await world.settle(first)
    waiting = [world.add(f"waits-{number}", created=str(number)) for number in range(2, 6)]
    for each in waiting:
        await world.settle(each)
    world.start_pod(first, running={})
    await world.settle(first)
    world.woken.clear()
    world.server.calls.clear()
    world.end_job(first)
    await world.settle(first)
    assert set(world.woken) & set(waiting) == {waiting[0]}
    for each in waiting[1:]:
        await world.reconcile(each)
    assert not [call for call in world.server.calls if "waits" in call or "secret" in call]


async def test_what_changed_while_something_was_read_is_not_decided_upon() -> None:
    world = World()
    orders = world.add("orders")
    world.sync()

    def edit() -> None:
        stored = world.server.resources[orders]
        metadata = {**stored["metadata"], "resourceVersion": world.server.next_version()}
        world.server.resources[orders] = {**stored, "metadata": metadata}
        world.sync()

    world.server.meanwhile["get secret"] = edit
    assert await world.reconcile(orders) == Result()
    assert world.server.calls == ["get secret orders-db"]


async def test_a_claim_that_was_taken_while_something_was_read_counts() -> None:
    world = World()
    first, second = world.add("first"), world.add("second", created="2")
    world.sync()
    taken: list[asyncio.Task[Result]] = []
    world.server.meanwhile["get secret"] = lambda: taken.append(asyncio.ensure_future(world.reconcile(first)))
    await world.reconcile(second)
    await taken[0]
    assert len(world.server.jobs) == 1


async def test_nothing_is_decided_from_what_an_own_write_has_replaced() -> None:
    world = World()
    orders = world.add("orders")
    world.sync()
    await world.reconcile(orders)
    world.server.calls.clear()
    assert await world.reconcile(orders) == Result()  # the cache is behind
    assert world.server.calls == []


async def test_a_resource_that_has_gone_is_left_alone_and_forgotten() -> None:
    world = World()
    orders, users = world.add("orders"), world.add("users", created="2")
    for each in (orders, users):
        await world.settle(each)
    assert world.reason(users) == "DatabaseBusy"
    world.server.resources.pop(orders)
    world.woken.clear()
    world.sync()
    assert users in world.woken
    assert await world.reconcile(orders) == Result()


async def test_a_finished_resource_reads_and_writes_nothing() -> None:
    world = World()
    orders = world.add("orders")
    await world.settle(orders)
    world.end_job(orders)
    await world.settle(orders)
    world.server.calls.clear()
    assert await world.reconcile(orders) == Result()
    assert world.server.calls == []


async def test_a_missing_secret_comes_back_with_growing_delays() -> None:
    world = World()
    orders = world.add("orders")
    world.server.secrets.clear()
    world.sync()
    assert await world.reconcile(orders) == Result(backoff=True)
    assert world.reason(orders) == "SecretNotFound"


async def test_an_absence_in_the_caches_is_checked_with_the_api_server() -> None:
    world = World()
    orders = world.add("orders")
    await world.settle(orders)
    job = key(world.run(orders)["jobName"])
    world.stores.jobs.remove(job)
    world.server.calls.clear()
    await world.reconcile(orders)
    assert world.server.calls == [f"get job {job.name}", "list pods uid-of-orders"]
    del world.server.jobs[job]
    await world.settle(orders, rounds=1)
    assert world.run(orders)["failure"] == "Cancelled"


async def test_a_read_that_fails_decides_nothing() -> None:
    world = World()
    orders = world.add("orders")
    world.server.failures["get secret"].append(Unreachable("connection refused"))
    world.sync()
    with pytest.raises(Unreachable):
        await world.reconcile(orders)
    assert world.server.calls == ["get secret orders-db"]


async def test_a_decision_that_needs_more_each_time_is_put_off() -> None:
    """Each time that the end of a lost Job is asked for, another one gets lost."""
    world = World()
    orders = world.add("orders")
    await world.settle(orders)
    labels = world.server.jobs[key(world.run(orders)["jobName"])]["metadata"]["labels"]
    world.end_job(orders)
    await world.settle(orders)
    numbers = count()

    def lose_another() -> None:
        metadata = {"namespace": "shop", "name": f"lost-{next(numbers)}", "labels": labels}
        world.databases.job_changed({"kind": "Job", "metadata": metadata}, gone=False)
        world.server.meanwhile["list pods"] = lose_another

    lose_another()
    users = world.add("users", created="2")
    world.sync()
    with pytest.raises(UndecidedError, match="ReadEnds is needed again"):
        await world.reconcile(users)
    assert next(numbers) <= LOOKS
    assert "status" not in world.server.resources[users]
