"""Reconciles one DBUpgrade: observe, plan, act. The same for every event; what it needs to know, it reads."""

from dataclasses import replace

from dbupgrade.decide.observed import Observed
from dbupgrade.decide.plan import plan, questions
from dbupgrade.pod.context import JobSettings
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.databases import Databases, creates_job
from dbupgrade.reconcile.memory import Memories
from dbupgrade.reconcile.observe import Observer
from dbupgrade.runtime.controller import Result
from dbupgrade.runtime.objects import Key, version_of


class Reconciler:
    """What the workers of the controller do."""

    def __init__(
        self,
        observer: Observer,
        actor: Actor,
        databases: Databases,
        memories: Memories,
        settings: JobSettings,
    ) -> None:
        self._stores = observer.stores
        self._lookout = observer.lookout
        self._observer = observer
        self._actor = actor
        self._databases = databases
        self._memories = memories
        self._settings = settings

    async def reconcile(self, key: Key) -> Result:
        """Bring the resource one step on. Raises a KubeError; Conflict when the cache was behind."""
        obj = self._stores.resources.get(key)
        if obj is None:
            return Result()
        memory = self._memories.of(key)
        version = version_of(obj)
        if version == memory.overwritten:
            return Result()  # our own write is on its way to the cache, and brings the key back
        observed = await self._observer.observe(obj, memory)
        await self._look_for_lost(observed)
        current = self._stores.resources.get(key)
        if current is None or version_of(current) != version:
            return Result()  # it changed or went meanwhile, and that has brought the key back
        # No await from here to the end of `settle`: another worker must not come between check and claim.
        observed = replace(observed, busy=self._databases.blocker(observed.resource))
        decision = plan(observed, self._settings)
        self._databases.settle(observed, decision)
        self._lookout.look(key, questions(observed))
        memory.checks = decision.status.checks if decision.checks is None else decision.checks
        await self._actor.act(observed, version, decision, memory)
        return Result(requeue_after=decision.requeue_after, backoff=decision.backoff)

    async def _look_for_lost(self, observed: Observed) -> None:
        """Before a Job is created, ask the API server for the end of those before it that no watch has shown."""
        lost = self._databases.lost_jobs(observed.resource)
        if not lost or not creates_job(plan(observed, self._settings)):
            return
        for job, uid in lost.items():
            if await self._observer.has_ended(job, uid):
                self._databases.job_ended(job)
