"""Reconciles one DBUpgrade: observe, decide, act. The same for every event; what it needs to know, it reads."""

from dataclasses import replace

from dbupgrade.decide.decision import Decision
from dbupgrade.decide.needs import LOOKS, Need, ReadEnds
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Observed, UnendedJob
from dbupgrade.objects import Key, Object, version_of
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.databases import Databases
from dbupgrade.reconcile.memory import Memories, Memory
from dbupgrade.reconcile.observe import Observer
from dbupgrade.runtime.controller import Result


class UndecidedError(Exception):
    """A decision kept asking for more: the key comes back after its back-off."""

    def __init__(self, need: object) -> None:
        self.safe_message = f"nothing was decided, and {type(need).__name__} is needed again"
        super().__init__(self.safe_message)


class Reconciler:
    """What the workers of the controller do."""

    def __init__(self, observer: Observer, actor: Actor, databases: Databases, memories: Memories) -> None:
        self._stores = observer.stores
        self._inputs = observer.inputs
        self._observer = observer
        self._actor = actor
        self._databases = databases
        self._memories = memories

    async def reconcile(self, key: Key) -> Result:
        """Bring the resource one step forward. Raises a KubeError; Conflict if the cache was behind."""
        obj = self._stores.resources.get(key)
        if obj is None:
            self._memories.forget(key)  # its pods may have changed after it had gone
            return Result()
        memory = self._memories.of(key)
        version = version_of(obj)
        if version == memory.overwritten:
            return Result()  # our own write is on its way to the cache, and brings the key back
        decided = await self._decide(key, obj, memory)
        if decided is None:
            return Result()  # it changed or went meanwhile, and that has brought the key back
        observed, decision = decided
        await self._actor.act(observed, version, decision, memory)
        return Result(requeue_after=decision.requeue_after, backoff=decision.backoff)

    async def _decide(self, key: Key, obj: Object, memory: Memory) -> tuple[Observed, Decision] | None:
        """Observe, and fetch what the decision needs, until it is made; None if the resource changed meanwhile."""
        observed = self._observer.observe(obj, memory)
        asked: set[UnendedJob] = set()
        step: Decision | Need | None = None
        for _ in range(LOOKS):
            current = self._stores.resources.get(key)
            if current is None or version_of(current) != version_of(obj):
                return None
            # No await from here to the end of `settle`: another worker must not come between check and claim.
            observed = self._with_others(observed, asked)
            step = next_step(observed)
            if isinstance(step, Decision):
                self._databases.settle(observed, step)
                self._inputs.look_at(key, step.inputs)
                memory.checks = step.status.checks if step.checks is None else step.checks
                return observed, step
            observed = await self._fetch(step, observed, memory, asked)
        raise UndecidedError(step)

    def _with_others(self, observed: Observed, asked: set[UnendedJob]) -> Observed:
        """`observed`, with who else works on the database at this moment."""
        resource = observed.resource
        return replace(
            observed,
            busy=self._databases.busy(resource),
            unended=self._databases.unended(resource, asked),
        )

    async def _fetch(
        self, need: Need, observed: Observed, memory: Memory, asked: set[UnendedJob]
    ) -> Observed:
        """Get what is needed. Raises a KubeError."""
        if not isinstance(need, ReadEnds):
            return await self._observer.fetch(need, observed, memory)
        for job in need.jobs:
            asked.add(job)
            if await self._observer.has_ended(job):
                self._databases.ended(job)
        return observed
