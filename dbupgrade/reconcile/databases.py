"""Who may use a database: one resource of a namespace at a time, and none as long as an earlier Job may still be using it.

Nothing here crosses namespaces: whoever names a database of others without access to it must not make them wait. Between namespaces the
lock in the database decides. Nor does a status decide about other resources: what counts are specs, Jobs and pods.

`busy`, `unended` and `settle` are called without an await between them, so that no other worker can come between check and claim.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, Reason, find_condition
from dbupgrade.api.identity import database_identity
from dbupgrade.decide.decision import CreateJob, Decision
from dbupgrade.decide.observed import Observed, Resource, UnendedJob
from dbupgrade.objects import Key, Object, key_of
from dbupgrade.reconcile.claims import Claimant, Claims
from dbupgrade.reconcile.memory import UnendedJobs
from dbupgrade.reconcile.stores import AT_WORK_ON, Stores, claimed, database_of, is_over, label

Wake = Callable[[Key], None]


class Databases:
    """The claims of resources, and the Jobs that were not seen to end. `wake` is called with each key that may go on."""

    def __init__(self, stores: Stores, wake: Wake) -> None:
        self._stores = stores
        self._wake = wake
        self._claims = Claims()
        self._unended = UnendedJobs()

    def busy(self, resource: Resource) -> str:
        """What else is using the resource's database; empty if nothing is known to."""
        if resource.spec is None:
            return ""
        database = _database(resource)
        return self._claims.busy(database, _claimant(resource)) or self._at_work(database)

    def unended(self, resource: Resource, asked: set[UnendedJob]) -> tuple[UnendedJob, ...]:
        """The Jobs that may still be using the resource's database; `asked` are those that were looked up in the API server.

        Its own run's Job is not among them, as the decision is about that. Of its other Jobs none is being created now: a
        key is reconciled once at a time.
        """
        if resource.spec is None:
            return ()
        run = resource.status.run
        own = Key(resource.namespace, run.job_name) if run and run.active else None
        found = []
        for job, uid in self._unended.on(_database(resource)).items():
            if job == own:
                continue
            settled = uid == resource.uid or self._unended.is_settled(job)
            unended = UnendedJob(job.namespace, job.name, uid, may_be_asked=settled)
            if self._stores.jobs.get(job) or unended in asked:
                unended = replace(unended, may_be_asked=False)
            found.append(unended)
        return tuple(found)

    def settle(self, observed: Observed, decision: Decision) -> None:
        """Claim or release the database as `decision` says, and wake those that may go on now."""
        resource, run = observed.resource, decision.status.run
        creates = any(isinstance(action, CreateJob) for action in decision.actions)
        holds = resource.spec is not None and (creates or observed.at_work)
        waits = resource.spec is not None and not holds and _waits(observed, decision)
        database = _database(resource) if holds or waits else ""
        self._wake_all(self._claims.settle(database, _claimant(resource), holds=holds, waits=waits))
        if run and creates:
            self._unended.launched(Key(resource.namespace, run.job_name), database, resource.uid)

    def ended(self, job: UnendedJob) -> None:
        """The Job has ended, its pods with it."""
        self._unended.ended(Key(job.namespace, job.name))

    def job_changed(self, job: Object, *, gone: bool) -> None:
        """Remember a Job until it was seen to end."""
        if is_over(job):
            self._unended.ended(key_of(job))
        elif not gone:
            self._unended.shown(key_of(job), database_of(job), label(job, names.LABEL_UID))

    def freed(self, database: str) -> None:
        """Something on the database has ended or gone: it may be free now."""
        self._wake_all(self._claims.next(database))

    def forget(self, resource: Resource) -> None:
        """The resource was deleted."""
        self._wake_all(self._claims.forget(_claimant(resource)))

    def _at_work(self, database: str) -> str:
        """A Job or pod that has not ended, whoever owns it: after a restart, there are no claims."""
        for kind, store in (("Job", self._stores.jobs), ("pod", self._stores.pods)):
            for obj in store.by_index(AT_WORK_ON, database):
                return f"{kind} {obj['metadata']['name']} is still working on it"
        return ""

    def _wake_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._wake(key)


def _waits(observed: Observed, decision: Decision) -> bool:
    """Whether the resource waits for its database: not when Atlas's own lock made it busy.

    One that waited keeps its place while its checks are looked at once more, now that the database is free. An intent for
    which nothing could be created before a restart waits too.
    """
    run = decision.status.run
    if run and run.active:
        return observed.blocked
    condition = find_condition(decision.status.conditions, PROGRESSING)
    busy = condition is not None and condition.reason == Reason.DATABASE_BUSY
    return busy and (observed.blocked or decision.checks is not None)


def _claimant(resource: Resource) -> Claimant:
    return Claimant(resource.created, resource.uid, Key(resource.namespace, resource.name))


def _database(resource: Resource) -> str:
    if resource.spec is None:
        raise ValueError("only a valid spec names a database")
    label_of_database = names.database_label(database_identity(resource.namespace, resource.spec.database))
    return claimed(resource.namespace, label_of_database)
