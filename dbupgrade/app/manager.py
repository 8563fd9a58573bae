"""What every controller shares (health, metrics, webhook, Events, the lease), started in order and stopped in the opposite one."""

import asyncio
import os
import random
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dbupgrade.app import certificates
from dbupgrade.app.allowed import platform
from dbupgrade.clock import utc_now
from dbupgrade.kube.access import Access
from dbupgrade.kube.client import Client
from dbupgrade.kube.events import EventRecorder
from dbupgrade.kube.leader import LeaderElector, LeaseName
from dbupgrade.kube.resources import is_terminating
from dbupgrade.runtime.reflector import Reflector
from dbupgrade.settings import Settings
from dbupgrade.telemetry import metrics
from dbupgrade.telemetry.endpoints import Guard, serve_health, serve_metrics
from webhook.certificates import Mounted, SelfManaged, Source, keep_fresh
from webhook.issue import issue
from webhook.server import Webhook
from webhook.tls import Pair, SwappableContext

LEASE = "dbupgrade-controller-manager.subbug.learning"
_DRAIN_SECONDS = 4.0  # less than what a leader that lost its lease has left
_FLUSH_SECONDS = 2.0
_NEW_CERTIFICATE_SECONDS = 24 * 3600.0
_LINGER_SECONDS = 5.0  # until nobody calls the webhook of a pod that is no longer ready


class ManagedController(Protocol):
    """A controller as the manager runs it: its caches are filled, then it prepares and runs, then it is stopped."""

    @property
    def reflectors(self) -> Sequence[Reflector]:
        """What fills its caches."""

    def prepare(self) -> None:
        """Learn from the caches what must be known before the first reconcile."""

    async def run(self) -> None:
        """Reconcile until stopped."""

    async def stop(self, drain_seconds: float) -> None:
        """Begin no reconcile, and let the running ones end within the limit."""

    async def close(self) -> None:
        """Give back what it holds; after its caches have stopped."""


class Manager:
    """Runs the controllers of a replica, when it leads, and serves what every replica serves."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        recorder: EventRecorder,
        controllers: Sequence[ManagedController],
    ) -> None:
        self._client = client
        self._settings = settings
        self._recorder = recorder
        self._controllers = controllers
        self._reflectors = [reflector for each in controllers for reflector in each.reflectors]
        self._webhook = Webhook(partial(is_terminating, client), platform(settings))
        authority = certificates.read(settings.webhook_client_ca, "WEBHOOK_CLIENT_CA")
        self._tls = SwappableContext(authority)
        self._leading = False
        self._stopping = False

    async def run(self) -> None:
        """Run until cancelled or until leadership is lost (then raises LeadershipLost)."""
        ready = {"stopping": lambda: not self._stopping, "synced": self._is_ready}
        if self._settings.webhook_enabled:
            ready["webhook"] = lambda: self._tls.has_certificate
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serve_health(self._settings.health_port, ready))
            await self._serve_metrics(stack)
            metrics.UP.set(1)
            if self._settings.webhook_enabled:
                await self._serve_webhook(stack)
            stack.push_async_callback(_end, asyncio.create_task(self._recorder.run()))
            try:
                await self._lead_when_elected()
            finally:
                self._stopping = True
                await self._recorder.flush(_FLUSH_SECONDS)
                if self._settings.webhook_enabled:
                    self._webhook.draining = True
                    await asyncio.sleep(_LINGER_SECONDS)

    def _is_ready(self) -> bool:
        """Whether the caches are filled; a standby replica has none, and is ready to take over."""
        stands_by = self._settings.leader_election_enabled and not self._leading
        return stands_by or all(reflector.synced.is_set() for reflector in self._reflectors)

    async def _serve_metrics(self, stack: AsyncExitStack) -> None:
        """Serve the metrics until `stack` closes: to everybody, or over TLS to those whom the API server lets read them."""
        guard = None
        if self._settings.metrics_secure:
            context = SwappableContext()
            guard = Guard(context.listening, Access(self._client, "/metrics").decide)
            stack.push_async_callback(_end, asyncio.create_task(_own_certificates(context)))
        await stack.enter_async_context(serve_metrics(self._settings.metrics_port, guard))

    async def _serve_webhook(self, stack: AsyncExitStack) -> None:
        """Serve the webhook until `stack` closes, whoever leads; the API server's requests wait for a certificate."""
        keeper = asyncio.create_task(keep_fresh(self._tls, self._certificate_source()))
        stack.push_async_callback(_end, keeper)
        await stack.enter_async_context(self._webhook.serve(self._settings.webhook_port, self._tls.listening))

    def _certificate_source(self) -> Source:
        settings = self._settings
        if settings.webhook_certificate_dir:
            return Mounted(Path(settings.webhook_certificate_dir))
        return SelfManaged(
            self._client, settings.namespace, settings.webhook_secret, settings.webhook_configuration
        )

    async def _lead_when_elected(self) -> None:
        if not self._settings.leader_election_enabled:
            await self._lead()
            return
        identity = f"{socket.gethostname()}_{os.getpid()}_{random.getrandbits(32):08x}"
        lease = LeaseName(self._settings.namespace, LEASE, identity)
        await LeaderElector(self._client, lease).run(self._lead)

    async def _lead(self) -> None:
        """Fill the caches, then work until cancelled, then let the running reconciles end.

        The caches are filled only now: what the leader before this one did last must be in them.
        """
        self._leading = True
        async with AsyncExitStack() as stack:
            for controller in self._controllers:
                stack.push_async_callback(controller.close)
            for reflector in self._reflectors:
                stack.push_async_callback(_end, asyncio.create_task(reflector.run()))
            for reflector in self._reflectors:
                await reflector.synced.wait()
            for controller in self._controllers:
                controller.prepare()
            await self._work()

    async def _work(self) -> None:
        """Let the controllers work until cancelled, or until one of them fails."""
        work = asyncio.gather(*(controller.run() for controller in self._controllers))
        try:
            await asyncio.shield(work)
        finally:
            self._stopping = True
            await asyncio.gather(*(controller.stop(_DRAIN_SECONDS) for controller in self._controllers))
            await work


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _own_certificates(context: SwappableContext) -> None:
    """Serve with a certificate that nobody can verify, as controller-runtime does, and with a new one each day."""
    while True:
        issued = issue("dbupgrade-metrics", utc_now())
        context.swap(Pair(issued.cert_pem, issued.key_pem))
        await asyncio.sleep(_NEW_CERTIFICATE_SECONDS)
