"""The caches that reconciling reads, and which resource a changed object concerns."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbupgrade.api import names
from dbupgrade.objects import Key, Object
from dbupgrade.runtime.store import Packed, Store

BY_UID = "uid"
BY_DATABASE = "database"


def label(obj: Object, name: str) -> str:
    """The value of a label, or nothing."""
    return str((obj["metadata"].get("labels") or {}).get(name, ""))


def _by_uid(obj: Object) -> Iterable[str]:
    yield label(obj, names.LABEL_UID)


def _by_database(obj: Object) -> Iterable[str]:
    yield label(obj, names.LABEL_DATABASE)


@dataclass(frozen=True)
class Stores:
    """One store a kind: all DBUpgrades, and the Jobs and pods that carry our label."""

    resources: Store = field(default_factory=lambda: Store(objects=Packed()))
    jobs: Store = field(default_factory=lambda: Store({BY_UID: _by_uid, BY_DATABASE: _by_database}))
    pods: Store = field(default_factory=lambda: Store({BY_UID: _by_uid, BY_DATABASE: _by_database}))


def owner_key(obj: Object) -> Key | None:
    """The DBUpgrade that a Job or pod of ours concerns; None for an object that only looks like ours."""
    metadata = obj["metadata"]
    name = (metadata.get("annotations") or {}).get(names.ANNOTATION_RESOURCE)
    return Key(metadata["namespace"], name) if name else None


def is_over(obj: Object) -> bool:
    """Whether a pod has ended, or a Job has: nothing of it works any more."""
    status = obj.get("status") or {}
    if status.get("phase") in {"Succeeded", "Failed"}:
        return True
    conditions = status.get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)


def has_unfinished_run(obj: Object) -> bool:
    """Whether the status of a DBUpgrade tells of a run without a recorded end."""
    run = (obj.get("status") or {}).get("run") or {}
    return bool(run) and not run.get("finishedAt")
