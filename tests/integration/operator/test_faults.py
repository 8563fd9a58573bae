"""An API server that misbehaves during a run costs time, and nothing else: one Job, Ready at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.harness.faultproxy import (
    Answer,
    Cut,
    Duplicate,
    ErrorEvent,
    Match,
    Reset,
    Slow,
    Stall,
)
from tests.integration.harness.scene import (
    IMAGE,
    JOB_CREATION,
    JOB_PATCH,
    LOG_READ,
    SECRET_READ,
    STATUS_WRITE,
    condition,
    is_ready,
    run_of,
    watch_of,
)
from tests.integration.harness.standin import SUCCESS, Ending
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.harness.faultproxy import Action
    from tests.integration.harness.scene import Scene

LIST = Match("GET", watch=False)
CONFLICT = Answer(409, "Conflict")
FAULTS = {
    "429-with-a-time": Answer(429, "TooManyRequests", retry_after=1),
    "429-without": Answer(429, "TooManyRequests"),
    "500": Answer(500, "InternalError"),
    "503": Answer(503, "ServiceUnavailable"),
    "503-with-a-time": Answer(503, "ServiceUnavailable", retry_after=1),
    "504": Answer(504, "Timeout"),
    "reset-before-it-arrives": Reset(),
    "reset-after-it-is-done": Reset(applied=True),
}
KINDS = ("dbupgrades", "jobs", "pods")


async def assert_ran_once(scene: Scene) -> dict[str, Any]:
    resource = await scene.until_ready()
    await scene.quiet()
    assert len(scene.standin.created) == 1
    assert [run["result"] for run in resource["status"]["history"]] == ["Succeeded"]
    assert run_of(resource)["attempt"] == 1
    return resource


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_run_survives_it_on_the_first_requests_of_each_kind(scene: Scene, fault: Action) -> None:
    """Secret, status, Job and TTL twice, and the caches' lists once."""
    scene.standin.ending = SUCCESS
    times = 1 if isinstance(fault, Answer) and fault.retry_after else 2
    faults = [
        scene.inject(match, fault, times=times)
        for match in (SECRET_READ, STATUS_WRITE, JOB_CREATION, JOB_PATCH)
    ]
    faults += [scene.inject(Match("GET", rf"/{kind}$", watch=False), fault) for kind in KINDS]
    scene.spawn()
    await scene.create()
    resource = await assert_ran_once(scene)
    assert run_of(resource)["toVersion"] == "20250102"
    # An answer that was lost is no reason to ask again when the watch tells that it was done.
    assert all(fault.used for fault in faults)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_run_survives_it_on_the_log_of_a_command(scene: Scene, fault: Action) -> None:
    scene.standin.ending = Ending(0)
    times = 1 if isinstance(fault, Answer) and fault.retry_after else 2
    injected = scene.inject(LOG_READ, fault, times=times)
    scene.spawn()
    await scene.create(migrations={"image": IMAGE, "engine": "Command", "args": ["migrate"]})
    await assert_ran_once(scene)
    assert injected.used


async def test_a_conflict_on_the_status_is_looked_at_anew(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    fault = scene.inject(STATUS_WRITE, CONFLICT, times=3)
    await scene.start()
    await scene.create()
    await assert_ran_once(scene)
    assert fault.used == 3


async def test_a_change_between_reading_and_writing_is_never_overwritten(scene: Scene) -> None:
    """The operator's caches stand still while somebody else writes: its stale write must not win."""
    await scene.start()
    await scene.create()
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    scene.proxy.freeze()
    await scene.standin.start(job)
    changed = await scene.patch({"metadata": {"annotations": {"somebody": "was here"}}})
    conditions = changed["status"]["conditions"]
    for condition_ in conditions:
        condition_["message"] = "somebody wrote this"
    await scene.patch({"status": {"conditions": conditions}}, subresource="status")
    scene.proxy.thaw()
    await scene.standin.end(job, SUCCESS)
    resource = await assert_ran_once(scene)
    assert resource["metadata"]["annotations"]["somebody"] == "was here"
    assert "somebody wrote" not in condition(resource, "Ready")["message"]


async def test_watches_that_break_and_have_expired_are_begun_anew(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    faults = [scene.inject(watch_of(kind), Cut(events=0)) for kind in KINDS]
    for expired in (ErrorEvent(410, "Expired"), Answer(410, "Expired")):
        faults += [scene.inject(watch_of(kind), expired) for kind in KINDS]
    await scene.start()
    await scene.create()
    await assert_ran_once(scene)
    assert faults[0].used == 1


async def test_events_that_come_twice_start_nothing_twice(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    scene.inject(Match(watch=True), Duplicate(), times=None)
    await scene.start()
    await scene.create()
    await assert_ran_once(scene)


@pytest.mark.parametrize("slow", KINDS)
async def test_a_kind_that_is_heard_of_late_makes_a_run_slower_and_nothing_else(
    scene: Scene, slow: str
) -> None:
    """The three kinds come by watches of their own, so any of them may lag behind the others."""
    scene.standin.ending = SUCCESS
    scene.inject(watch_of(slow), Slow(0.7), times=None)
    await scene.start()
    await scene.create()
    resource = await assert_ran_once(scene)
    assert run_of(resource)["toVersion"] == "20250102"


async def test_a_watch_of_pods_that_hangs_does_not_make_a_success_a_guess(scene: Scene) -> None:
    """The Job's end arrives, the pod's does not: the report is read all the same."""
    scene.inject(watch_of("pods"), Stall(events=0), times=None)
    await scene.start()
    await scene.create()
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    await scene.standin.end(job, SUCCESS)
    resource = await assert_ran_once(scene)
    assert run_of(resource)["toVersion"] == "20250102"


async def test_a_run_that_nobody_hears_of_goes_on_when_the_network_is_back(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.standin.job()
    scene.proxy.freeze()
    await asyncio.sleep(2)  # the length of the outage, not a wait for something
    scene.proxy.thaw()
    await assert_ran_once(scene)


class TestOutages:
    """The servers themselves end and come back; other tests' operators are not running then."""

    async def test_the_api_server_is_away_for_half_a_minute_during_a_run(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        await scene.until(lambda resource: "jobUid" in run_of(resource))
        await scene.standin.start(job)
        scene.api.kill()
        await asyncio.sleep(30)  # the length of the outage, not a wait for something
        await scene.api.restart()
        await scene.standin.end(job, SUCCESS)
        resource = await assert_ran_once(scene)
        assert run_of(resource)["toVersion"] == "20250102"

    async def test_the_api_server_dies_right_after_the_job_was_created(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        await scene.standin.job()
        scene.api.kill()
        await scene.api.restart()
        await scene.standin.end(await scene.standin.job(), SUCCESS)
        await assert_ran_once(scene)

    async def test_etcd_is_restarted_during_a_run(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        await scene.api.restart_etcd()
        await scene.standin.end(job, SUCCESS)
        await assert_ran_once(scene)

    async def test_etcd_is_away_when_the_resource_is_changed(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        await scene.until_ready()
        scene.api.kill_etcd()
        await scene.api.restart_etcd()
        await eventually(lambda: scene.set_image("registry.example/shop:2.0.0"))
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        assert is_ready(resource)
        assert len(scene.standin.created) == 2
