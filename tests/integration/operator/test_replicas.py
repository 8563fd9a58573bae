"""Two operators and one lease; and how one ends when it is asked to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dbupgrade.kube.resources import LEASES, ResourceClient
from tests.integration.harness.faultproxy import Delay
from tests.integration.harness.scene import JOB_CREATION, run_of
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.operator import Operator
    from tests.integration.harness.scene import Scene

LEASE = "dbupgrade-controller-manager.subbug.learning"


def elected(scene: Scene) -> dict[str, str]:
    """The settings of a replica."""
    return {"DBUPGRADE_LEADER_ELECTION_ENABLED": "true", "DBUPGRADE_NAMESPACE": scene.namespace}


async def start_two(scene: Scene) -> tuple[Operator, Operator]:
    """Start two replicas; returns the leader first."""
    one, two = await scene.start(**elected(scene)), await scene.start(**elected(scene))
    await eventually(lambda: holder(scene), what="somebody leads")
    return (one, two) if await leads(scene, one) else (two, one)


async def holder(scene: Scene) -> str:
    lease = await ResourceClient(scene.admin, LEASES).get(scene.namespace, LEASE)
    return str(lease["spec"]["holderIdentity"])


async def leads(scene: Scene, operator: Operator) -> bool:
    """Whether the lease is the operator's: identities are host, pid and a random number."""
    return f"_{operator.pid}_" in await holder(scene)


async def test_the_replica_that_does_not_lead_is_ready_and_writes_nothing(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    leader, standby = await start_two(scene)
    await scene.create()
    await scene.until_ready()
    assert standby.ready()
    assert "controller_runtime_reconcile_total{" not in standby.metrics()
    assert f'leader_election_master_status{{name="{LEASE}"}} 1.0' in leader.metrics()
    assert f'leader_election_master_status{{name="{LEASE}"}} 0.0' in standby.metrics()
    assert len(scene.standin.created) == 1


async def test_after_sigterm_of_the_leader_the_other_ends_the_run(scene: Scene) -> None:
    leader, standby = await start_two(scene)
    await scene.create()
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    assert await scene.stop(leader) == 0
    assert not await leads(scene, leader)  # the lease was given back: nobody waits until it runs out
    await eventually(lambda: leads(scene, standby))
    await scene.standin.end(job, SUCCESS)
    resource = await scene.until_ready()
    assert run_of(resource)["toVersion"] == "20250102"
    assert len(scene.standin.created) == 1


async def test_after_sigkill_of_the_leader_the_other_ends_the_run_when_the_lease_has_run_out(
    scene: Scene,
) -> None:
    leader, standby = await start_two(scene)
    await scene.create()
    job = await scene.standin.job()
    await scene.standin.start(job)
    await scene.until_reason("MigrationInProgress")
    leader.kill()
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    assert await leads(scene, standby)
    assert len(scene.standin.created) == 1
    assert await scene.stop(standby) == 0
    assert await holder(scene) == ""


async def test_a_leader_cut_off_from_the_api_server_has_ended_when_the_other_leads(scene: Scene) -> None:
    cut_off = await scene.start(**elected(scene))
    await eventually(lambda: leads(scene, cut_off))
    await scene.create()
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    await scene.until_told("MigrationStarted")  # its end waits for no Event then
    standby = await scene.start(True, **elected(scene))
    scene.proxy.freeze()
    try:
        while not await leads(scene, standby):
            ended = cut_off.ended()
            await asyncio.sleep(0.05)
        # Asked before the lease was read for the last time: it had stopped before the other could begin.
        assert ended
    finally:
        scene.proxy.thaw()
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    assert len(scene.standin.created) == 1


async def test_sigterm_lets_a_write_that_has_begun_end(scene: Scene) -> None:
    delayed = scene.inject(JOB_CREATION, Delay(0.5))
    operator = await scene.start()
    await scene.create()
    await eventually(lambda: delayed.used == 1)
    assert await scene.stop(operator) == 0
    assert len((await scene.standin.job())["metadata"]["name"]) > 0
    creations = [seen for seen in scene.proxy.requests if JOB_CREATION.fits(seen)]
    assert [seen.status for seen in creations] == [201]
    run = run_of(await scene.get())
    assert run["jobName"] == scene.standin.created[0]["metadata"]["name"]
    await scene.start()
    await scene.standin.end(scene.standin.created[0], SUCCESS)
    await scene.until_ready()
    assert len(scene.standin.created) == 1


async def test_sigterm_ends_an_operator_that_rests(scene: Scene) -> None:
    operator = await scene.start()
    assert await scene.stop(operator) == 0
    assert '"event":"stopped"' in scene.log.read_text()
    assert '"level":"error"' not in scene.log.read_text()
