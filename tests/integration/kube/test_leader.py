from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.kube.leader import LeaderElector, LeadershipLost, LeaseName, Timing
from dbupgrade.kube.resources import LEASES, ResourceClient
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sized

    from dbupgrade.kube.client import Client
    from tests.integration.harness.faultproxy import FaultProxy

QUICK = Timing(duration=3, renew_deadline=1.0, retry=0.2)
LASTING = Timing(duration=3600, renew_deadline=1800, retry=0.2)
"""Nothing runs out, however busy the machine is."""


class Replica:
    def __init__(self, client: Client, namespace: str, identity: str, timing: Timing | None = None) -> None:
        self.leads = False
        lease = LeaseName(namespace, "dbupgrade", identity)
        self.task = asyncio.create_task(LeaderElector(client, lease, timing).run(self._lead))

    async def _lead(self) -> None:
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False


@contextlib.asynccontextmanager
async def stopping(*replicas: Replica) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for replica in replicas:
            replica.task.cancel()
        await asyncio.gather(*(replica.task for replica in replicas), return_exceptions=True)


async def lease_in(client: Client, namespace: str) -> dict[str, Any]:
    spec: dict[str, Any] = (await ResourceClient(client, LEASES).get(namespace, "dbupgrade"))["spec"]
    return spec


async def test_a_released_lease_is_taken_over_before_it_runs_out(admin: Client, namespace: str) -> None:
    first = Replica(admin, namespace, "first", LASTING)
    await eventually(lambda: first.leads)
    second = Replica(admin, namespace, "second", LASTING)
    async with stopping(first, second):
        assert (await lease_in(admin, namespace))["holderIdentity"] == "first"
        first.task.cancel()
        await asyncio.wait([first.task])
        await eventually(lambda: second.leads)
        lease = await lease_in(admin, namespace)
        assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("second", 1)
    assert (await lease_in(admin, namespace))["holderIdentity"] == ""


async def test_of_many_replicas_one_leads_at_a_time(admin: Client, namespace: str) -> None:
    replicas = [Replica(admin, namespace, f"r{number}", LASTING) for number in range(5)]
    async with stopping(*replicas):
        for _ in range(4):
            await eventually(lambda: any(replica.leads for replica in replicas))
            (leader,) = [replica for replica in replicas if replica.leads]
            leader.task.cancel()
            await asyncio.wait([leader.task])
            assert not leader.leads


async def test_a_leader_cut_off_stops_before_another_leads(
    admin: Client, proxied: Client, proxy: FaultProxy, namespace: str
) -> None:
    cut_off = Replica(proxied, namespace, "cut-off", QUICK)
    await eventually(lambda: cut_off.leads)
    standby = Replica(admin, namespace, "standby", QUICK)
    async with stopping(cut_off, standby):
        proxy.freeze()
        while not standby.leads:
            assert not (cut_off.leads and standby.leads)
            await asyncio.sleep(0.005)
        assert isinstance(cut_off.task.exception(), LeadershipLost)
        assert (await lease_in(admin, namespace))["holderIdentity"] == "standby"


async def test_a_short_freeze_does_not_cost_the_lease(
    proxied: Client, proxy: FaultProxy, namespace: str
) -> None:
    leader = Replica(proxied, namespace, "a", LASTING)
    async with stopping(leader):
        await eventually(lambda: leader.leads)
        for _ in range(3):
            proxy.freeze()
            await eventually(partial(has_more, proxy.requests, len(proxy.requests)))
            proxy.thaw()
            await eventually(partial(renewed, proxied, namespace, await lease_in(proxied, namespace)))
        assert leader.leads


def has_more(found: Sized, number: int) -> bool:
    return len(found) > number


async def renewed(client: Client, namespace: str, before: dict[str, Any]) -> bool:
    return bool((await lease_in(client, namespace))["renewTime"] > before["renewTime"])


async def test_a_lease_that_another_took_ends_the_work(admin: Client, namespace: str) -> None:
    leader = Replica(admin, namespace, "a", LASTING)
    async with stopping(leader):
        await eventually(lambda: leader.leads)
        thief = {"spec": {"holderIdentity": "thief"}}
        await ResourceClient(admin, LEASES).patch(namespace, "dbupgrade", thief)
        with pytest.raises(LeadershipLost):
            await leader.task
    assert (await lease_in(admin, namespace))["holderIdentity"] == "thief"
