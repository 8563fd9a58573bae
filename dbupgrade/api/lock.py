"""The lock in words and in CEL: while a run is active its spec is frozen. Contract, section 7.

The webhook (`decide.admission`), the CRD's transition rules and the ValidatingAdmissionPolicy for deletions say the same,
so the texts and the condition stand here once.
"""

import json

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, ConditionStatus, Reason

UNLOCKED_FIELDS = frozenset({"suspend"})
"""Fields of spec that may change at any time."""

SPEC_LOCKED = (
    "cannot update spec while migration is in progress (Progressing=True): {job} is at work. "
    "To do: apply the change again when it has ended (kubectl wait --for=condition=Progressing=False dbupgrade/{name})"
)
DELETION_LOCKED = (
    "cannot delete while migration is in progress (Progressing=True): it would take the running pod of {job} with it. "
    "To do: delete it when the run has ended (kubectl wait --for=condition=Progressing=False dbupgrade/{name}), or break "
    "the run off: kubectl annotate dbupgrade/{name} " + names.ANNOTATION_FORCE_DELETE + "=true, then delete"
)
UNKNOWN_JOB = "its Job"
_LOCKED = SPEC_LOCKED.partition(":")[0]


def is_locked(denial: str) -> bool:
    """Whether the API server refused a change because of the lock; `denial` is what it said, perhaps cut."""
    return _LOCKED in denial


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
