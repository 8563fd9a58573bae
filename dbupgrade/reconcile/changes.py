"""What a change of an object sets going: which resource it concerns, and whose turn on a database may have come."""

from collections.abc import Callable

from dbupgrade.decide.observed import pod_from, resource_from
from dbupgrade.objects import Key, Object, key_of
from dbupgrade.reconcile.check_inputs import InputsOfChecks
from dbupgrade.reconcile.databases import Databases
from dbupgrade.reconcile.memory import Memories
from dbupgrade.reconcile.series import follow
from dbupgrade.reconcile.stores import database_of, is_over, owner_key
from dbupgrade.telemetry.resources import Resources

Enqueue = Callable[[Key], None]


class Changes:
    """The handlers of the watches. `enqueue` puts a key into the work queue at once; `series` are those of the metrics."""

    def __init__(
        self,
        databases: Databases,
        memories: Memories,
        inputs: InputsOfChecks,
        enqueue: Enqueue,
        series: Resources,
    ) -> None:
        self._databases = databases
        self._memories = memories
        self._inputs = inputs
        self._enqueue = enqueue
        self._series = series

    def resource_changed(self, old: Object | None, new: Object | None) -> None:
        """A DBUpgrade came, changed or went."""
        follow(self._series, old, new)
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
        """A Job or a pod of ours was created, changed or deleted."""
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
