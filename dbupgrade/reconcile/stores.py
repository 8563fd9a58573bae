"""The caches that reconciling reads, and which resource a changed object concerns."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dbupgrade.api import names
from dbupgrade.decide.observed import retry_value
from dbupgrade.objects import Key, Object
from dbupgrade.runtime.store import Packed, Store

BY_UID = "uid"
AT_WORK_ON = "database"
"""Of Jobs and pods that are not over, by :func:`claimed`."""


def label(obj: Object, name: str) -> str:
    """The value of a label, or nothing."""
    return str((obj["metadata"].get("labels") or {}).get(name, ""))


def _by_uid(obj: Object) -> Iterable[str]:
    yield label(obj, names.LABEL_UID)


def claimed(namespace: str, database: str) -> str:
    """What resources claim: a database (a label value), as far as one namespace is concerned."""
    return f"{namespace}/{database}"


def database_of(obj: Object) -> str:
    """The database that a Job or pod of ours uses, as :func:`claimed`."""
    return claimed(obj["metadata"]["namespace"], label(obj, names.LABEL_DATABASE))


def _at_work_on(obj: Object) -> Iterable[str]:
    if not is_over(obj):
        yield database_of(obj)


_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
)
_LABELS = (names.LABEL_UID, names.LABEL_DATABASE)
_ANNOTATIONS = (names.ANNOTATION_RUN_ID, names.ANNOTATION_SEQUENCE, names.ANNOTATION_RESOURCE)
_LONGEST = 4096  # characters of an annotation; an approval has fewer
_SPEC = ("ttlSecondsAfterFinished", "backoffLimit")


def essential(obj: Object) -> Object:
    """The parts of a Job or pod that a cache keeps: not what it runs, which may be large, because anybody may set our labels."""
    metadata = obj["metadata"]
    kept = {
        **_of(metadata, _METADATA),
        "labels": _of(metadata.get("labels") or {}, _LABELS),
        "annotations": _of(metadata.get("annotations") or {}, _ANNOTATIONS),
    }
    spec, status = _of(obj.get("spec") or {}, _SPEC), obj.get("status") or {}
    return {**_of(obj, ("kind",)), "metadata": kept, "spec": spec, "status": status}


def of_resource(obj: Object) -> Object:
    """The parts of a DBUpgrade that a cache keeps: the CRD limits spec and status, but not annotations."""
    metadata = obj["metadata"]
    given = _of(metadata.get("annotations") or {}, (names.ANNOTATION_RETRY, names.ANNOTATION_APPROVAL))
    annotations = {name: value for name, value in given.items() if len(value) <= _LONGEST}
    if names.ANNOTATION_RETRY in given:
        annotations[names.ANNOTATION_RETRY] = retry_value(metadata)
    kept = {**_of(metadata, (*_METADATA, "generation")), "annotations": annotations}
    return {**_of(obj, ("apiVersion", "kind", "spec", "status")), "metadata": kept}


def _of(fields: Object, known: tuple[str, ...]) -> Object:
    return {name: fields[name] for name in known if name in fields}


def _dependents() -> Store:
    return Store({BY_UID: _by_uid, AT_WORK_ON: _at_work_on}, keep=essential)


@dataclass(frozen=True)
class Stores:
    """One store a kind: all DBUpgrades, and the Jobs and pods that carry our label."""

    resources: Store = field(default_factory=lambda: Store(objects=Packed(), keep=of_resource))
    jobs: Store = field(default_factory=_dependents)
    pods: Store = field(default_factory=_dependents)


def owner_key(obj: Object) -> Key | None:
    """The DBUpgrade that a Job or pod of ours concerns; None for an object that only looks like ours."""
    metadata = obj["metadata"]
    name = (metadata.get("annotations") or {}).get(names.ANNOTATION_RESOURCE)
    return Key(metadata["namespace"], name) if name else None


def is_over(obj: Object) -> bool:
    """Whether a pod or a Job has ended: nothing of it is running any more."""
    status = obj.get("status") or {}
    if status.get("phase") in {"Succeeded", "Failed"}:
        return True
    conditions = status.get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)
