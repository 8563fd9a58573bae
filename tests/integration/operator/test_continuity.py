"""Reviews go on, without one that fails, through a renewal of the certificate and the end of one of two replicas."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dbupgrade.kube.errors import KubeError
from e2e.ports import free_port
from tests.integration.harness.balancer import Balancer
from tests.integration.harness.certificates import store_pairs
from tests.integration.harness.guard import WebhookConfiguration, dry_run, resource
from tests.integration.harness.scene import spec
from tests.integration.harness.waiting import eventually
from tests.integration.operator.test_clock import Clock
from webhook.issue import CLOCK_SKEW, LIFETIME, issue
from webhook.rotation import PROPAGATION, RENEW_BEFORE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.scene import Scene

SECRET = "dbupgrade-webhook-cert"
CALLERS = 4
ENDPOINTS_SECONDS = 1.0
"""How long a Service goes on sending connections to a pod that is ending."""


@dataclass
class Callers:
    """Several clients that create a resource again and again, without storing it."""

    scene: Scene
    calls: int = 0
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        await asyncio.gather(*(self._call_for_ever(f"r{number}") for number in range(CALLERS)))

    async def _call_for_ever(self, name: str) -> None:
        while True:
            try:
                await dry_run(self.scene.admin, self.scene.namespace, resource(name, spec()))
            except KubeError as error:
                self.failures.append(str(error))
            self.calls += 1
            await asyncio.sleep(0.01)  # the pace, not a wait

    async def more(self, count: int) -> None:
        """Wait for as many further calls."""
        goal = self.calls + count
        await eventually(lambda: self.calls >= goal, what=f"{count} more calls")


@pytest.mark.usefixtures("without_rules")
async def test_no_review_fails_through_a_renewal_and_the_end_of_a_replica(
    scene: Scene, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    old = issue("127.0.0.1", now - LIFETIME + RENEW_BEFORE)
    # Due long after the start, also that of a slow machine, unless the operators' clock jumps. The API server's stays as it is,
    # and takes a certificate that was made so much later.
    made = now + CLOCK_SKEW / 2
    new = issue("127.0.0.1", made)
    clock = Clock(tmp_path)
    await store_pairs(scene.admin, scene.namespace, SECRET, current=old, next=new)
    ports = (free_port(), free_port())
    async with Balancer(*ports) as balancer:
        selector = {"kubernetes.io/metadata.name": scene.namespace}
        configuration = WebhookConfiguration(
            scene.admin, f"continuity-{scene.namespace}", balancer.port, selector
        )
        await configuration.install()
        settings = {
            "DBUPGRADE_NAMESPACE": scene.namespace,
            "DBUPGRADE_LEADER_ELECTION_ENABLED": "true",
            "DBUPGRADE_WEBHOOK_ENABLED": "true",
            "DBUPGRADE_WEBHOOK_CONFIGURATION": configuration.name,
            **clock.environment,
        }
        first, _ = [await scene.start(**settings, DBUPGRADE_WEBHOOK_PORT=str(port)) for port in ports]
        await configuration.until_asked(scene.namespace)
        callers = Callers(scene)
        calling = asyncio.create_task(callers.run())
        await callers.more(50)
        assert [await served(port) for port in ports] == [old.cert_pem.decode()] * 2

        clock.jump(int((made + PROPAGATION - now).total_seconds()))

        async def renewed() -> bool:
            return [await served(port) for port in ports] == [new.cert_pem.decode()] * 2

        await eventually(renewed, what="both replicas serve the new certificate")
        await callers.more(50)
        ending = asyncio.create_task(scene.stop(first))
        await asyncio.sleep(ENDPOINTS_SECONDS)
        balancer.remove(ports[0])
        assert await ending == 0
        await callers.more(100)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await configuration.remove()
    assert callers.failures == []


async def served(port: int) -> str:
    """The certificate that a new connection gets."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
