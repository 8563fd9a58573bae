"""The wiring of the controller of DBUpgrades."""

import random

import structlog

from dbupgrade.api import names
from dbupgrade.app import certificates
from dbupgrade.app.allowed import platform
from dbupgrade.clock import SystemClock, utc_now
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import AlreadyExists, Conflict, Expired, NotFound
from dbupgrade.kube.events import EventRecorder
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.metrics_api import MetricsClient
from dbupgrade.kube.resources import JOBS, PODS
from dbupgrade.objects import Key
from dbupgrade.pod.context import JobSettings
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.changes import Changes
from dbupgrade.reconcile.check_inputs import InputsOfChecks
from dbupgrade.reconcile.cluster import DBUPGRADES, Cluster
from dbupgrade.reconcile.databases import Databases
from dbupgrade.reconcile.memory import Memories
from dbupgrade.reconcile.observe import Allowed, Observer
from dbupgrade.reconcile.podwatches import PodWatches
from dbupgrade.reconcile.reconciler import Reconciler
from dbupgrade.reconcile.samples import Samples
from dbupgrade.reconcile.stores import Stores
from dbupgrade.reconcile.tokens import Signer, TokenSecrets
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.controller import Controller
from dbupgrade.runtime.reflector import Reflector
from dbupgrade.runtime.workqueue import WorkQueue
from dbupgrade.settings import Settings
from dbupgrade.telemetry.resources import RESOURCES, Resources

CONTROLLER = "dbupgrade"
_POD_CHANGES_SECONDS = 0.2
# Conflicts and missing Secrets: quick at first, and never slower than what the contract promises for a Secret.
_RETRY_BASE_SECONDS, _RETRY_CAP_SECONDS = 0.05, 30.0

_log = structlog.get_logger()


class DBUpgrades:
    """Watches DBUpgrades with the Jobs and pods of their runs, and reconciles them."""

    def __init__(
        self, client: Client, settings: Settings, recorder: EventRecorder, series: Resources = RESOURCES
    ) -> None:
        self._client = client
        self._settings = settings
        self._series = series
        self._stores = Stores()
        self._queue: WorkQueue[Key] = WorkQueue(CONTROLLER, _backoff(), SystemClock())
        self._memories = Memories()
        self._databases = Databases(self._stores, self._queue.add)
        self._inputs = self._build_inputs()
        self._controller = Controller(
            CONTROLLER,
            self._queue,
            self._build_reconciler(recorder).reconcile,
            settings.workers,
            # NotFound: it went while it was reconciled, and the cache is about to learn that.
            requeue_quietly=(Conflict, AlreadyExists, NotFound),
        )
        self.reflectors = self._build_reflectors()

    def prepare(self) -> None:
        """The caches are full: the Jobs and pods in them hold their databases."""
        _log.info("working", resources=len(self._stores.resources), workers=self._settings.workers)

    async def run(self) -> None:
        """Reconcile until stopped."""
        await self._controller.run()

    async def stop(self, drain_seconds: float) -> None:
        """Begin no reconcile, and let the running ones end within the limit."""
        await self._controller.stop(drain_seconds)

    async def close(self) -> None:
        """Stop the observation of the pods and metrics of checks."""
        await self._inputs.close()

    def _build_reconciler(self, recorder: EventRecorder) -> Reconciler:
        settings, cluster = self._settings, Cluster(self._client)
        job_settings = JobSettings(
            crane_image=settings.crane_image,
            runner_image=settings.runner_image,
            atlas_image=settings.atlas_image,
            image_loosens_lint=settings.image_loosens_lint,
            insecure_registries=settings.insecure_registries,
            reads_secrets=settings.secrets_read,
            verifies_cloud_databases=bool(settings.aws_ca_bundle),
        )
        tokens = TokenSecrets(cluster, _signer(settings))
        allowed = Allowed(platform(settings), settings.secrets_read)
        observer = Observer(self._stores, cluster, self._inputs, tokens, allowed=allowed)
        actor = Actor(cluster, recorder, tokens, job_settings, self._series)
        return Reconciler(observer, actor, self._databases, self._memories)

    def _build_inputs(self) -> InputsOfChecks:
        """Pods that roll out change many at a time: a resource is woken for them a few times a second at most."""

        def pods(namespace: str, selector: str) -> ListWatcher:
            return ListWatcher(self._client, PODS, namespace, selector)

        def wake_soon(key: Key) -> None:
            self._queue.add_after(key, _POD_CHANGES_SECONDS)

        ask = MetricsClient(self._client).values
        return InputsOfChecks(PodWatches(pods, wake_soon, utc_now), Samples(ask, self._queue.add, utc_now))

    def _build_reflectors(self) -> list[Reflector]:
        """One reflector for each kind and watched namespace; only Jobs and pods of ours are ever listed."""
        stores = self._stores
        changes = Changes(self._databases, self._memories, self._inputs, self._queue.add, self._series)
        kinds = (
            (DBUPGRADES, stores.resources, changes.resource_changed, self._settings.watch_label_selector),
            (JOBS, stores.jobs, changes.dependent_changed, names.LABEL_UID),
            (PODS, stores.pods, changes.dependent_changed, names.LABEL_UID),
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


def _backoff() -> Backoff[Key]:
    return Backoff(_RETRY_BASE_SECONDS, _RETRY_CAP_SECONDS, jitter=0.2, rng=random.Random())  # noqa: S311


def _signer(settings: Settings) -> Signer | None:
    """Creates AWS tokens. AWS packages are loaded, and use memory, only if AWS is enabled."""
    if not settings.aws_enabled:
        return None
    from dbupgrade.aws.sessions import Sessions  # noqa: PLC0415
    from dbupgrade.aws.tokens import Tokens  # noqa: PLC0415

    return Tokens(Sessions(settings.aws_region), certificates.read(settings.aws_ca_bundle, "AWS_CA_BUNDLE"))
