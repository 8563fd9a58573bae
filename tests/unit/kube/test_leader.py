from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dbupgrade.kube.errors import Unreachable
from dbupgrade.kube.leader import LeaderElector, LeadershipLost, LeaseName
from dbupgrade.telemetry.metrics import LEADER
from tests.unit.kube.fakes import FakeApi, FakeClock, failure

PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases/dbupgrade"


class Replica:
    """An elector that runs as a task, and the work it leads."""

    def __init__(self, api: FakeApi, clock: FakeClock, identity: str = "a") -> None:
        self._leading = False
        self.stopping = False
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lease = LeaseName("system", "dbupgrade", identity)
        elector = LeaderElector(api.as_client(), lease, clock=clock)
        self.task = asyncio.create_task(elector.run(self._lead))

    def leads(self) -> bool:
        return self._leading

    async def _lead(self) -> None:
        self._leading = True
        try:
            await self.end
        finally:
            self.stopping = True
            await self.may_stop.wait()
            self._leading = False


class World:
    """One API server, one clock, some replicas."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = FakeClock()
        self.replicas: list[Replica] = []

    def replica(self, identity: str = "a") -> Replica:
        replica = Replica(self.api, self.clock, identity)
        self.replicas.append(replica)
        return replica

    async def leader(self, identity: str = "a") -> Replica:
        replica = self.replica(identity)
        await self.clock.advance(0)
        assert replica.leads()
        return replica

    @property
    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.objects[PATH]["spec"]
        return spec

    def other_holds(self, **spec: Any) -> None:
        """Let another program write the lease."""
        stored = self.api.objects.get(PATH, {"metadata": {"name": "dbupgrade"}, "spec": {}})
        held = {"holderIdentity": "z", "leaseDurationSeconds": 15, "leaseTransitions": 6}
        self.api._store(PATH, {**stored, "spec": {**stored["spec"], **held, **spec}})

    def hang(self) -> None:
        async def forever(_: str) -> None:
            await asyncio.Event().wait()

        self.api.before = forever

    def fail(self) -> None:
        async def refuse(method: str) -> None:
            raise failure(method, PATH, 500, "InternalError")

        self.api.before = refuse

    def recover(self) -> None:
        self.api.before = self.api.after = None


@pytest.fixture
async def world() -> Any:
    world = World()
    yield world
    world.recover()
    for replica in world.replicas:
        replica.may_stop.set()
        replica.task.cancel()
    await asyncio.gather(*(replica.task for replica in world.replicas), return_exceptions=True)


async def cancel(replica: Replica, world: World) -> None:
    replica.task.cancel()
    await world.clock.advance(0)


async def test_a_missing_lease_is_created(world: World) -> None:
    await world.leader()
    assert world.lease == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000678Z",
        "renewTime": "2026-01-02T03:04:05.000678Z",
        "leaseTransitions": 0,
    }


async def test_the_leader_renews_with_one_request_each_retry_period(world: World) -> None:
    await world.leader()
    world.api.calls.clear()
    await world.clock.advance(10)
    assert [method for method, *_ in world.api.calls] == ["PUT"] * 5
    assert world.lease["renewTime"] == "2026-01-02T03:04:15.000678Z"
    assert world.lease["acquireTime"] == "2026-01-02T03:04:05.000678Z"
    assert world.lease["leaseTransitions"] == 0


async def test_the_metric_says_who_leads(world: World) -> None:
    leader = await world.leader()
    gauge = LEADER.labels(name="dbupgrade")
    assert gauge._value.get() == 1
    await cancel(leader, world)
    assert gauge._value.get() == 0


async def test_a_renewed_lease_is_left_alone_whatever_its_timestamps_say(world: World) -> None:
    world.other_holds()
    standby = world.replica()
    for _ in range(30):
        world.other_holds(renewTime="1999-01-01T00:00:00.000000Z")
        await world.clock.advance(10)
    assert not standby.leads()
    assert world.lease["holderIdentity"] == "z"


async def test_a_lease_is_taken_when_it_has_not_changed_for_its_duration(world: World) -> None:
    world.other_holds(renewTime="2999-01-01T00:00:00.000000Z")
    standby = world.replica()
    await world.clock.advance(14.9)
    assert not standby.leads()
    await world.clock.advance(2.1)
    assert standby.leads()
    assert (world.lease["holderIdentity"], world.lease["leaseTransitions"]) == ("a", 7)


async def test_the_holders_own_duration_counts(world: World) -> None:
    world.other_holds(leaseDurationSeconds=60)
    standby = world.replica()
    await world.clock.advance(59)
    assert not standby.leads()
    await world.clock.advance(3)
    assert standby.leads()


async def test_fields_of_others_in_the_lease_are_kept(world: World) -> None:
    world.other_holds(holderIdentity="", strategy="OldestEmulationVersion")
    await world.leader()
    assert world.lease["strategy"] == "OldestEmulationVersion"


async def test_of_two_replicas_one_leads(world: World) -> None:
    both = [world.replica("a"), world.replica("b")]
    await world.clock.advance(100)
    assert sorted(replica.leads() for replica in both) == [False, True]


async def test_when_the_api_server_hangs_the_work_stops_before_others_may_lead(world: World) -> None:
    leader = await world.leader()
    await world.clock.advance(1)
    world.hang()
    await world.clock.advance(8.9)
    assert leader.leads()
    await world.clock.advance(0.2)
    assert not leader.leads()
    assert isinstance(leader.task.exception(), LeadershipLost)


async def test_time_counts_from_when_the_last_renewal_was_sent(world: World) -> None:
    leader = await world.leader()

    async def slow(_: str) -> None:
        await world.clock.sleep(4)

    world.api.after = slow
    await world.clock.advance(6)  # sent at 2, answered at 6
    world.hang()
    await world.clock.advance(5.9)
    assert leader.leads()
    await world.clock.advance(0.2)
    assert not leader.leads()


async def test_errors_for_less_than_the_deadline_do_no_harm(world: World) -> None:
    leader = await world.leader()
    for _ in range(3):
        world.fail()
        await world.clock.advance(7)
        world.recover()
        await world.clock.advance(3)
    assert leader.leads()


async def test_a_renewal_whose_answer_was_lost_does_not_lose_the_lease(world: World) -> None:
    leader = await world.leader()

    async def lose_answer(method: str) -> None:
        world.recover()
        raise Unreachable(f"{method} {PATH}: the connection was lost")

    for _ in range(3):
        world.api.after = lose_answer
        await world.clock.advance(10)
    assert leader.leads()


async def test_the_work_stops_with_the_second_renewal_when_another_holds_the_lease(world: World) -> None:
    leader = await world.leader()
    world.other_holds()
    await world.clock.advance(4.1)
    assert not leader.leads()
    assert isinstance(leader.task.exception(), LeadershipLost)
    assert world.lease["holderIdentity"] == "z"


async def test_a_deleted_lease_is_made_again(world: World) -> None:
    leader = await world.leader()
    world.api.objects.clear()
    await world.clock.advance(4.1)
    assert leader.leads()
    assert world.lease["holderIdentity"] == "a"


async def test_work_that_does_not_stop_after_the_loss_is_not_waited_for_longer_than_others_wait(
    world: World,
) -> None:
    leader = await world.leader()
    leader.may_stop.clear()
    world.hang()
    await world.clock.advance(14.9)
    assert not leader.task.done()
    await world.clock.advance(0.2)
    assert isinstance(leader.task.exception(), LeadershipLost)
    world.recover()
    await world.clock.advance(10)
    assert world.lease["holderIdentity"] == "a"


async def test_a_standby_follows_a_released_lease_within_two_seconds(world: World) -> None:
    leader = await world.leader("a")
    standby = world.replica("b")
    await world.clock.advance(20)
    await cancel(leader, world)
    assert leader.task.cancelled()
    assert (world.lease["holderIdentity"], world.lease["leaseDurationSeconds"]) == ("", 1)
    await world.clock.advance(2)
    assert standby.leads()
    assert world.lease["holderIdentity"] == "b"
    assert world.lease["leaseTransitions"] == 1


async def test_the_lease_is_kept_until_slow_work_has_stopped(world: World) -> None:
    leader = await world.leader()
    leader.may_stop.clear()
    await cancel(leader, world)
    assert leader.stopping
    await world.clock.advance(60)
    assert world.lease["holderIdentity"] == "a"
    assert world.lease["renewTime"] == "2026-01-02T03:05:05.000678Z"
    leader.may_stop.set()
    await world.clock.advance(0)
    assert world.lease["holderIdentity"] == ""


async def test_a_second_cancellation_does_not_release_what_is_still_in_use(world: World) -> None:
    leader = await world.leader()
    leader.may_stop.clear()
    await cancel(leader, world)
    await cancel(leader, world)
    assert leader.task.cancelled()
    assert leader.leads()
    assert world.lease["holderIdentity"] == "a"


async def test_a_lease_lost_while_stopping_is_not_released(world: World) -> None:
    leader = await world.leader()
    leader.may_stop.clear()
    await cancel(leader, world)
    world.hang()
    await world.clock.advance(10.1)
    world.recover()
    leader.may_stop.set()
    await world.clock.advance(0)
    assert leader.task.cancelled()
    assert world.lease["holderIdentity"] == "a"


async def test_work_that_ends_gives_the_lease_back(world: World) -> None:
    leader = await world.leader()
    leader.end.set_result(None)
    await world.clock.advance(0)
    assert leader.task.result() is None
    assert world.lease["holderIdentity"] == ""


async def test_work_that_fails_gives_the_lease_back_and_its_error_on(world: World) -> None:
    leader = await world.leader()
    leader.end.set_exception(ZeroDivisionError())
    await world.clock.advance(0)
    assert isinstance(leader.task.exception(), ZeroDivisionError)
    assert world.lease["holderIdentity"] == ""


async def test_a_standby_that_stops_leaves_the_lease_alone(world: World) -> None:
    world.other_holds()
    standby = world.replica()
    await world.clock.advance(5)
    world.api.calls.clear()
    await cancel(standby, world)
    assert world.api.calls == []
    assert world.lease["holderIdentity"] == "z"


async def test_a_replica_stopped_while_it_takes_the_lease_gives_it_back(world: World) -> None:
    async def hang_after_write(method: str) -> None:
        if method == "POST":
            await asyncio.Event().wait()

    world.api.after = hang_after_write
    replica = world.replica()
    await world.clock.advance(0)
    assert world.lease["holderIdentity"] == "a"
    assert not replica.leads()
    await cancel(replica, world)
    assert world.lease["holderIdentity"] == ""


async def test_a_restarted_process_of_the_same_identity_goes_on_at_once(world: World) -> None:
    world.other_holds(holderIdentity="a")
    await world.leader("a")
    assert world.lease["leaseTransitions"] == 6
