"""Reconciles one DBUpgrade: observe, plan, act. The same for every event; what it needs to know, it reads."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, Reason, find_condition
from dbupgrade.api.models import database_identity
from dbupgrade.decide.decision import CreateJob, Decision
from dbupgrade.decide.observed import Observed, Resource, pod_from, resource_from
from dbupgrade.decide.plan import plan, questions
from dbupgrade.pod.job import JobSettings
from dbupgrade.reconcile.act import Actor
from dbupgrade.reconcile.claims import Claimant, Claims
from dbupgrade.reconcile.memory import Memories, UnendedJobs
from dbupgrade.reconcile.observe import Observer
from dbupgrade.reconcile.stores import BY_DATABASE, Stores, has_unfinished_run, is_over, label, owner_key
from dbupgrade.runtime.controller import Result
from dbupgrade.runtime.objects import Key, Object, key_of, version_of
from dbupgrade.telemetry.metrics import PENDING_MIGRATIONS

Enqueue = Callable[[Key], None]


class Reconciler:
    """What the workers of the controller do, and what a change of an object sets going.

    `enqueue` puts a key into the work queue at once.
    """

    def __init__(self, observer: Observer, actor: Actor, settings: JobSettings, enqueue: Enqueue) -> None:
        self._stores = observer.stores
        self._lookout = observer.lookout
        self._observer = observer
        self._actor = actor
        self._settings = settings
        self._enqueue = enqueue
        self._claims = Claims()
        self._memories = Memories()
        self._unended = UnendedJobs()

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
        # No await from here to the end of `_settle`: another worker must not come between check and claim.
        observed = replace(observed, busy=self._busy(observed.resource))
        decision = plan(observed, self._settings)
        self._settle(observed, decision)
        self._lookout.look(key, questions(observed))
        memory.checks = decision.status.checks if decision.checks is None else decision.checks
        await self._actor.act(observed, version, decision, memory)
        return Result(requeue_after=decision.requeue_after, backoff=decision.backoff)

    def restore_claims(self) -> None:
        """Take the claims that the statuses tell of; before the first reconcile, with synced stores."""
        # Thousands may be finished: only the views of those with a run that is on are made.
        resources = [resource_from(obj) for obj in self._stores.resources if has_unfinished_run(obj)]
        for resource in sorted(
            resources, key=_claimant
        ):  # among two intents on one database the older comes first
            run = resource.status.run
            if run and run.active:
                self._claims.settle(run.database, _claimant(resource), holds=True, waits=False)

    # --- changes of objects --------------------------------------------------------------------------------------

    def resource_changed(self, old: Object | None, new: Object | None) -> None:
        """A DBUpgrade came, changed or went."""
        _count_pending(old, new)
        known = new or old
        if known is None:
            return
        key = key_of(known)
        if new is None:
            self._memories.forget(key)
            self._lookout.forget(key)
            self._wake(self._claims.forget(_claimant(resource_from(known))))
        else:
            self._enqueue(key)

    def dependent_changed(self, old: Object | None, new: Object | None) -> None:
        """A Job or a pod of ours came, changed or went; a database may be free now."""
        known = new or old
        if known is None:
            return
        if known["kind"] == "Job":
            self._note_job(known, gone=new is None)
        key = owner_key(known)
        if key:
            self._note_started(key, known)
            self._enqueue(key)
        if new is None or is_over(new):
            self._wake(self._claims.waiters(label(known, names.LABEL_DATABASE)))

    def _note_job(self, job: Object, *, gone: bool) -> None:
        """Remember a Job until it was seen to end."""
        if is_over(job):
            self._unended.ended(key_of(job))
        elif not gone:
            self._unended.shown(key_of(job), label(job, names.LABEL_DATABASE), label(job, names.LABEL_UID))

    def _note_started(self, key: Key, obj: Object) -> None:
        """Remember that `migrate` started: the pod may be gone before anybody reconciles."""
        if obj["kind"] == "Pod" and (pod := pod_from(obj)).migrate.started:
            self._memories.of(key).started_jobs.add(pod.job_uid)

    # --- claims --------------------------------------------------------------------------------------------------

    def _busy(self, resource: Resource) -> str:
        """Who else works on the resource's database; empty when it is free for this resource."""
        if resource.spec is None:
            return ""
        database = _database(resource)
        lost = next(iter(self._others(resource)), None)
        return (
            self._claims.busy(database, _claimant(resource))
            or _at_work(self._stores, _scope(resource), database)
            or (f"the end of Job {lost.namespace}/{lost.name} was not seen yet" if lost else "")
        )

    def _others(self, resource: Resource) -> dict[Key, str]:
        """The unended Jobs on the resource's database but that of its own run, which `plan` decides about."""
        run = resource.status.run
        own = Key(resource.namespace, run.job_name) if run and run.active else None
        unended = self._unended.on(_database(resource), _scope(resource))
        return {job: uid for job, uid in unended.items() if job != own}

    async def _look_for_lost(self, observed: Observed) -> None:
        """Before a Job is created, ask the API server for the end of those before it that no watch has shown."""
        resource = observed.resource
        others = self._others(resource) if resource.spec else {}
        if not others or not _creates_job(plan(observed, self._settings)):
            return
        for job, uid in others.items():
            if self._stores.jobs.get(job):
                continue  # a watch shows it, and will show its end
            # Of the resource's own Jobs none is being created now: a key is reconciled once at a time.
            settled = uid == resource.uid or self._unended.is_settled(job)
            if settled and await self._observer.has_ended(job, uid):
                self._unended.ended(job)

    def _settle(self, observed: Observed, decision: Decision) -> None:
        """Claim or release the database as `decision` says, and wake those that this lets go on."""
        resource, status = observed.resource, decision.status
        run = status.run
        holds = run is not None and run.active
        waits = not holds and _waits(observed, decision)
        database = run.database if run and holds else _database(resource) if resource.spec else ""
        self._wake(self._claims.settle(database, _claimant(resource), holds=holds, waits=waits))
        if run and _creates_job(decision):
            self._unended.launched(Key(resource.namespace, run.job_name), run.database, resource.uid)

    def _wake(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._enqueue(key)


def _waits(observed: Observed, decision: Decision) -> bool:
    """Whether the resource waits for its database: not when Atlas's own lock made it busy.

    One that waited keeps its place while its checks are looked at once more, now that the database is free.
    """
    condition = find_condition(decision.status.conditions, PROGRESSING)
    busy = condition is not None and condition.reason == Reason.DATABASE_BUSY
    return busy and (observed.busy != "" or decision.checks is not None)


def _creates_job(decision: Decision) -> bool:
    return any(isinstance(action, CreateJob) for action in decision.actions)


def _claimant(resource: Resource) -> Claimant:
    return Claimant(resource.created, resource.uid, Key(resource.namespace, resource.name))


def _database(resource: Resource) -> str:
    if resource.spec is None:
        raise ValueError("only a valid spec names a database")
    return names.database_label(database_identity(resource.namespace, resource.spec.database))


def _scope(resource: Resource) -> str:
    """The namespace whose Jobs and pods may be at work on the resource's database; empty: those of every one may.

    A database with a URL is known by a Secret of the namespace, so a label elsewhere is forged. One of AWS is the same
    for all: a label that somebody forged can block it, which harms less than two runs on it.
    """
    return "" if resource.spec and resource.spec.database.uses_aws else resource.namespace


def _at_work(stores: Stores, scope: str, database: str) -> str:
    """A Job or pod that is not over, whoever it belongs to: a claim may be gone before its pod is."""
    for kind, store in (("Job", stores.jobs), ("pod", stores.pods)):
        for obj in store.by_index(BY_DATABASE, database):
            namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
            if scope in {"", namespace} and not is_over(obj):
                return f"{kind} {name if scope else f'{namespace}/{name}'} is still working on it"
    return ""


def _count_pending(old: Object | None, new: Object | None) -> None:
    """Keep the gauge of pending migrations in step with the statuses."""
    for obj, sign in ((old, -1), (new, 1)):
        pending = (obj.get("status") or {}).get("pendingCount") if obj else None
        if obj and pending:
            PENDING_MIGRATIONS.labels(namespace=obj["metadata"]["namespace"]).inc(sign * pending)
