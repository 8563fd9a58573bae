"""The composition root: builds every part, starts them in order and stops them in the opposite one."""

import asyncio
import os
import random
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from dbupgrade.api import names
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import AlreadyExists, Conflict, Expired, NotFound
from dbupgrade.kube.events import EventRecorder
from dbupgrade.kube.leader import LeaderElector, LeadershipLost, LeaseName
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.metrics import MetricsClient
from dbupgrade.kube.resources import JOBS, PODS, is_terminating
from dbupgrade.pod.job import JobSettings
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.cluster import DBUPGRADES, Cluster
from dbupgrade.reconcile.lookout import Lookout
from dbupgrade.reconcile.observe import Observer, utc_now
from dbupgrade.reconcile.podwatches import PodWatches
from dbupgrade.reconcile.reconciler import Reconciler
from dbupgrade.reconcile.samples import Samples
from dbupgrade.reconcile.stores import Stores
from dbupgrade.reconcile.tokens import Signer, TokenSecrets
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.clock import LoopClock
from dbupgrade.runtime.controller import Controller
from dbupgrade.runtime.objects import Key
from dbupgrade.runtime.reflector import Reflector
from dbupgrade.runtime.workqueue import WorkQueue
from dbupgrade.settings import BadSettingsError, Settings
from dbupgrade.telemetry import metrics
from dbupgrade.telemetry.endpoints import serve_health, serve_metrics
from webhook.certificates import Mounted, SelfManaged, Source, keep_fresh
from webhook.server import Webhook
from webhook.tls import SwappableContext

CONTROLLER = "dbupgrade"
LEASE = "dbupgrade-controller-manager.subbug.learning"
_DRAIN_SECONDS = 4.0  # less than what a leader that lost its lease has left
_FLUSH_SECONDS = 2.0
_LINGER_SECONDS = 5.0  # until nobody calls the webhook of a pod that is no longer ready
_POD_CHANGES_SECONDS = 0.2
# Conflicts and missing Secrets: quick at first, and never slower than what the contract promises for a Secret.
_RETRY_BASE_SECONDS, _RETRY_CAP_SECONDS = 0.05, 30.0

_log = structlog.get_logger()


class Operator:
    """The operator's parts on one client."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._stores = Stores()
        self._queue: WorkQueue[Key] = WorkQueue(CONTROLLER, _backoff(), LoopClock())
        self._recorder = EventRecorder(client)
        self._lookout = self._build_lookout()
        self._reconciler = self._build_reconciler()
        self._controller = Controller(
            CONTROLLER,
            self._queue,
            self._reconciler.reconcile,
            settings.workers,
            # NotFound: it went while it was reconciled, and the cache is about to learn that.
            requeue_quietly=(Conflict, AlreadyExists, NotFound),
        )
        self._reflectors = self._build_reflectors()
        self._webhook = Webhook(partial(is_terminating, client))
        self._tls = SwappableContext()
        self._leading = False
        self._stopping = False

    def _build_reconciler(self) -> Reconciler:
        cluster = Cluster(self._client)
        job_settings = JobSettings(
            crane_image=self._settings.crane_image,
            atlas_image=self._settings.atlas_image,
            psql_image=self._settings.psql_image,
            toolkit_image=self._settings.toolkit_image,
            insecure_registries=self._settings.insecure_registries,
            aws_authority=bool(self._settings.aws_ca_bundle),
        )
        tokens = TokenSecrets(cluster, _signer(self._settings))
        observer = Observer(self._stores, cluster, self._lookout, tokens)
        actor = Actor(cluster, self._recorder, tokens)
        return Reconciler(observer, actor, job_settings, self._queue.add)

    def _build_lookout(self) -> Lookout:
        """Pods that roll out change many at a time: a resource is woken for them a few times a second at most."""

        def pods(namespace: str, selector: str) -> ListWatcher:
            return ListWatcher(self._client, PODS, namespace, selector)

        def wake_soon(key: Key) -> None:
            self._queue.add_after(key, _POD_CHANGES_SECONDS)

        ask = MetricsClient(self._client).values
        return Lookout(PodWatches(pods, wake_soon, utc_now), Samples(ask, self._queue.add, utc_now))

    def _build_reflectors(self) -> list[Reflector]:
        """One reflector for each kind and watched namespace; only Jobs and pods of ours are ever listed."""
        reconciler, stores = self._reconciler, self._stores
        kinds = (
            (DBUPGRADES, stores.resources, reconciler.resource_changed, self._settings.watch_label_selector),
            (JOBS, stores.jobs, reconciler.dependent_changed, names.LABEL_UID),
            (PODS, stores.pods, reconciler.dependent_changed, names.LABEL_UID),
        )
        return [
            Reflector(
                resource.plural,
                ListWatcher(self._client, resource, namespace, selector),
                store,
                on_change,
                lambda error: isinstance(error, Expired),
            )
            for resource, store, on_change, selector in kinds
            for namespace in self._settings.watch_namespaces or ("",)
        ]

    def _is_ready(self) -> bool:
        """Whether the caches are filled; a replica that stands by has none, and is ready to take over."""
        stands_by = self._settings.leader_election_enabled and not self._leading
        return stands_by or all(reflector.synced.is_set() for reflector in self._reflectors)

    async def run(self) -> None:
        """Run until cancelled or until leadership is lost (then raises LeadershipLost)."""
        ready = {"stopping": lambda: not self._stopping, "synced": self._is_ready}
        if self._settings.webhook_enabled:
            ready["webhook"] = lambda: self._tls.has_certificate
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serve_health(self._settings.health_port, ready))
            await stack.enter_async_context(serve_metrics(self._settings.metrics_port))
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
            stack.push_async_callback(self._lookout.close)
            for reflector in self._reflectors:
                stack.push_async_callback(_end, asyncio.create_task(reflector.run()))
            for reflector in self._reflectors:
                await reflector.synced.wait()
            self._reconciler.restore_claims()
            _log.info("working", resources=len(self._stores.resources), workers=self._settings.workers)
            await self._work()

    async def _work(self) -> None:
        work = asyncio.create_task(self._controller.run())
        try:
            await asyncio.shield(work)
        finally:
            self._stopping = True
            await self._controller.stop(_DRAIN_SECONDS)
            await work


def _backoff() -> Backoff[Key]:
    return Backoff(_RETRY_BASE_SECONDS, _RETRY_CAP_SECONDS, jitter=0.2, rng=random.Random())  # noqa: S311


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; returns the exit code."""
    async with await Client.connect() as client:
        work = asyncio.create_task(Operator(client, settings).run())
        _on_signals(work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            _log.info("stopped")
            return 0
        except LeadershipLost:
            _log.error("leadership_lost")
            return 1
    return 0


def _signer(settings: Settings) -> Signer | None:
    """What makes AWS tokens. Nothing of AWS is loaded, or takes memory, unless it is enabled."""
    if not settings.aws_enabled:
        return None
    from dbupgrade.aws.sessions import Sessions  # noqa: PLC0415
    from dbupgrade.aws.tokens import Tokens  # noqa: PLC0415

    return Tokens(Sessions(settings.aws_region), _authority(settings.aws_ca_bundle))


def _authority(path: str) -> str:
    """The certificates in a file, which must be some. Raises BadSettingsError."""
    if not path:
        return ""
    try:
        text = Path(path).read_text()
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        message = f"DBUPGRADE_AWS_CA_BUNDLE: no certificates in PEM can be read from {path} ({reason})"
        raise BadSettingsError(message) from error
    return text


def _on_signals(stop: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
