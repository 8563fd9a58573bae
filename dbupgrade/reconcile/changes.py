"""What a change of an object sets going: which resource it concerns, and whose turn on a database may have come."""

from collections.abc import Callable

from dbupgrade.api.conditions import PROGRESSING, READY
from dbupgrade.decide.observed import pod_from, resource_from
from dbupgrade.objects import Key, Object, key_of
from dbupgrade.reconcile.check_inputs import InputsOfChecks
from dbupgrade.reconcile.databases import Databases
from dbupgrade.reconcile.memory import Memories
from dbupgrade.reconcile.stores import database_of, is_over, owner_key
from dbupgrade.telemetry.held import HELD
from dbupgrade.telemetry.metrics import PENDING_MIGRATIONS, RUN_SLOW

Enqueue = Callable[[Key], None]


class Changes:
    """The handlers of the watches. `enqueue` puts a key into the work queue at once."""

    def __init__(
        self, databases: Databases, memories: Memories, inputs: InputsOfChecks, enqueue: Enqueue
    ) -> None:
        self._databases = databases
        self._memories = memories
        self._inputs = inputs
        self._enqueue = enqueue

    def resource_changed(self, old: Object | None, new: Object | None) -> None:
        """A DBUpgrade came, changed or went."""
        _count_pending(old, new)
        _note_slow(old, new)
        _note_held(old, new)
        known = new or old
        if known is None:
            return
        key = key_of(known)
        if new is None:
            self._memories.forget(key)
            self._inputs.forget(key)
            self._databases.forget(resource_from(known))
        else:
            self._enqueue(key)

    def dependent_changed(self, old: Object | None, new: Object | None) -> None:
        """A Job or a pod of ours came, changed or went."""
        known = new or old
        if known is None:
            return
        if known["kind"] == "Job":
            self._databases.job_changed(known, gone=new is None)
        key = owner_key(known)
        if key:
            self._note_started(key, known)
            self._enqueue(key)
        if new is None or is_over(new):
            self._databases.freed(database_of(known))

    def _note_started(self, key: Key, obj: Object) -> None:
        """Remember that `migrate` started: the pod may be gone before anybody reconciles."""
        if obj["kind"] == "Pod" and (pod := pod_from(obj)).migrate.started:
            self._memories.of(key).started_jobs.add(pod.job_uid)


def _count_pending(old: Object | None, new: Object | None) -> None:
    """Keep the gauge of pending migrations in step with the statuses."""
    for obj, sign in ((old, -1), (new, 1)):
        pending = (obj.get("status") or {}).get("pendingCount") if obj else None
        if obj and pending:
            PENDING_MIGRATIONS.labels(namespace=obj["metadata"]["namespace"]).inc(sign * pending)


def _note_slow(old: Object | None, new: Object | None) -> None:
    """Keep the gauge of slow runs in step with the statuses; a resource without one has no series."""
    if old and _is_slow(old):
        RUN_SLOW.remove(old["metadata"]["namespace"], old["metadata"]["name"])
    if new and _is_slow(new):
        RUN_SLOW.labels(new["metadata"]["namespace"], new["metadata"]["name"]).set(1)


def _note_held(old: Object | None, new: Object | None) -> None:
    """Keep the gauge of resources that are held in step with the statuses."""
    if known := new or old:
        metadata = known["metadata"]
        HELD.note(metadata["namespace"], metadata["name"], _why_held(new) if new else None)


def _why_held(obj: Object) -> str | None:
    """The reason of a resource that is neither ready nor in progress."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    known = {each.get("type"): each for each in conditions}
    ready, progressing = known.get(READY, {}), known.get(PROGRESSING, {})
    held = (ready.get("status"), progressing.get("status")) == ("False", "False")
    return str(progressing.get("reason", "")) if held else None


def _is_slow(obj: Object) -> bool:
    run = (obj.get("status") or {}).get("run") or {}
    return bool(run.get("slow")) and not run.get("finishedAt")
