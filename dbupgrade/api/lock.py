"""The lock in words and in CEL: while a run is active its spec is frozen. Contract, section 7.

The webhook (`decide.admission`), the CRD's transition rules and the ValidatingAdmissionPolicy for deletions say the same,
so the texts and the condition stand here once.
"""

import json
from collections.abc import Iterable

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, ConditionStatus, Reason

UNLOCKED_FIELDS = frozenset({"suspend"})
"""Fields of spec that may change at any time."""

SPEC_LOCKED = (
    "cannot update spec while migration is in progress (Progressing=True): {job} is running. "
    "Apply the change again when it has finished: kubectl wait --for=condition=Progressing=False dbupgrade/{name}"
)
DELETION_LOCKED = (
    "cannot delete while migration is in progress (Progressing=True): the running pod of {job} would be deleted too. "
    "Delete it when the run has finished (kubectl wait --for=condition=Progressing=False dbupgrade/{name}), or abort the "
    "run: kubectl annotate dbupgrade/{name} " + names.ANNOTATION_FORCE_DELETE + "=true, then delete"
)
UNKNOWN_JOB = "its Job"
CAUSE = "FieldValueForbidden"
"""The reason of the cause that a denial has, beside the field: the API server allows only its own for rules of a CRD."""


def is_locked(causes: Iterable[tuple[str, str]]) -> bool:
    """Whether a change was denied because of the lock; `causes` are the reasons and fields in the denial's details."""
    return (CAUSE, "spec") in causes


def active(resource: str) -> str:
    """CEL that says whether a run of `resource` (a CEL variable) is active: in progress, the bake after it excepted.

    It asks with has(), since the API server overestimates the cost of optional values by far and refuses the rule.
    """
    return (
        f"(has({resource}.status) && has({resource}.status.conditions)"
        f" && {resource}.status.conditions.exists(c, c.type == {_quoted(PROGRESSING)}"
        f" && c.status == {_quoted(ConditionStatus.TRUE)}"
        f" && c.reason != {_quoted(Reason.POST_CHECK_BAKE_TIME_WAITING)}))"
    )


def unchanged(field: str) -> str:
    """CEL that says whether a change leaves a field of spec as it is, present or absent."""
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


def message(template: str, resource: str) -> str:
    """`template` as a CEL expression that fills in name and Job of `resource` (a CEL variable)."""
    run = f"{resource}.status.run"
    values = {
        "job": f'(has({resource}.status) && has({run}) ? "Job " + {run}.jobName : {_quoted(UNKNOWN_JOB)})',
        "name": f"{resource}.metadata.name",
    }
    text = template.replace("{", "\0{").replace("}", "}\0")
    parts = (part for part in text.split("\0") if part)
    return " + ".join(values[part[1:-1]] if part.startswith("{") else _quoted(part) for part in parts)


def _quoted(text: str) -> str:
    return json.dumps(str(text))
