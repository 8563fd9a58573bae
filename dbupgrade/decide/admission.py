"""Decides whether a change of a DBUpgrade is admitted: the lock of a running migration, and rules that a schema cannot express.

A pure function of the object before and after. Contract, section 7. It asks only the status that the API server has stored,
no cache: an intent that is written stands in the object that the next change is compared with.
"""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from dbupgrade.api import lock, names
from dbupgrade.api.conditions import PROGRESSING, ConditionStatus, Reason
from dbupgrade.api.spec import Spec, immutable
from dbupgrade.decide import platform
from dbupgrade.decide.platform import Platform
from dbupgrade.decide.validation import Problem, parse, problems
from dbupgrade.objects import Object


class Operation(StrEnum):
    """What a request wants to do, as admission.k8s.io/v1 names it."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True)
class AdmissionVerdict:
    """The answer; `code` is the HTTP status of a denial, `warnings` reach the person who applies the change."""

    allowed: bool
    message: str = ""
    code: HTTPStatus = HTTPStatus.OK
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


ALLOWED = AdmissionVerdict(allowed=True)
_NOTHING_MORE = Platform()


def created(new: Object, allowed: Platform = _NOTHING_MORE) -> AdmissionVerdict:
    """The verdict on a new resource."""
    return _validated(new, allowed)


def updated(old: Object, new: Object, allowed: Platform = _NOTHING_MORE) -> AdmissionVerdict:
    """The verdict on a change; one that leaves spec as it is passes whatever the spec."""
    if _locked_part(old) == _locked_part(new):
        return ALLOWED
    if active(old):
        return _denied(HTTPStatus.FORBIDDEN, Problem("spec", lock.SPEC_LOCKED.format(**_words(old))))
    before, after = (_spec(obj).get("database") or {} for obj in (old, new))
    if changed := tuple(immutable.changed(before, after)):
        return _denied(
            HTTPStatus.UNPROCESSABLE_ENTITY, *(Problem(path, immutable.message(path)) for path in changed)
        )
    return _validated(new, allowed)


def needs_namespace(old: Object) -> bool:
    """Whether the verdict on a deletion depends on the namespace."""
    metadata = old.get("metadata") or {}
    forced = (metadata.get("annotations") or {}).get(names.ANNOTATION_FORCE_DELETE) == "true"
    return active(old) and not forced and "deletionTimestamp" not in metadata


def deleted(old: Object, *, namespace_terminating: bool | None) -> AdmissionVerdict:
    """The verdict on a deletion: with the resource its Job and the running pod would go.

    `namespace_terminating` is None when it is not known.
    """
    if namespace_terminating or not needs_namespace(old):
        return ALLOWED
    message = lock.DELETION_LOCKED.format(**_words(old))
    if namespace_terminating is None:
        message += (
            " (the operator could not check whether the namespace is being deleted; if it is, try again)"
        )
    return _denied(HTTPStatus.FORBIDDEN, Problem("metadata", message))


def active(obj: Object) -> bool:
    """Whether a run is active: from its intent until its main container has ended. The bake time after it does not count."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(
        condition.get("type") == PROGRESSING
        and condition.get("status") == ConditionStatus.TRUE
        and condition.get("reason") != Reason.POST_CHECK_BAKE_TIME_WAITING
        for condition in conditions
    )


def _validated(new: Object, allowed: Platform) -> AdmissionVerdict:
    spec, found = parse(new.get("spec"))
    if spec is not None:
        found = (*problems(spec), *platform.problems(spec, allowed))
    if spec is None or found:
        return _denied(HTTPStatus.UNPROCESSABLE_ENTITY, *found)
    return AdmissionVerdict(allowed=True, warnings=_warnings(spec))


def _warnings(spec: Spec) -> tuple[str, ...]:
    """What is legal and probably not what was meant."""
    found = []
    image = spec.migrations.image
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@" not in image and tag in {"", "latest"}:
        found.append(
            f"spec.migrations.image has no fixed tag ({image}): tags are treated as immutable, so pushing new content under "
            "the same tag does not start a run"
        )
    if spec.database.uses_aws and spec.database.connection:
        found.append("spec.database.connection is not used, because spec.database.aws is set")
    return tuple(found)


def _denied(code: HTTPStatus, *problems: Problem) -> AdmissionVerdict:
    if code is HTTPStatus.FORBIDDEN:  # the lock: users' scripts know how its message begins
        return AdmissionVerdict(allowed=False, message=problems[0].message, code=code, problems=problems)
    return AdmissionVerdict(
        allowed=False, message="; ".join(map(str, problems)), code=code, problems=problems
    )


def _spec(obj: Object) -> Object:
    return obj.get("spec") or {}


def _locked_part(obj: Object) -> Object:
    return {name: value for name, value in _spec(obj).items() if name not in lock.UNLOCKED_FIELDS}


def _words(obj: Object) -> dict[str, str]:
    job = ((obj.get("status") or {}).get("run") or {}).get("jobName")
    return {"name": obj["metadata"]["name"], "job": f"Job {job}" if job else lock.UNKNOWN_JOB}
