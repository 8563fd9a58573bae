"""Who has approved which plan: the annotation, which a person sets, and spec.policy.approvedPlan, which comes from Git.

The API server admits both only from those who may approve (`api.approval`). The runner makes the plan again and carries it out only
if it is one of those that are approved here: what the status says of a plan decides nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import Approved, Plan
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.policy import Approval
from dbupgrade.api.status import Status
from dbupgrade.pod.redact import clean
from dbupgrade.pod.report import Report

IN_SPEC = "spec.policy.approvedPlan"
_USER_BYTES = 256
_REASON_BYTES = 1024
_SAID = re.compile(r"(approve|reject) (sha256:[0-9a-f]{64}) ([^\n]+)(?:\n([^\n]+))?")


@dataclass(frozen=True)
class Verdict:
    """What a person says of a plan."""

    plan: str
    by: str
    approves: bool
    reason: str = ""


def verdict(annotations: Mapping[str, str]) -> Verdict | None:
    """What the annotation says; None when it is absent, or cannot be read."""
    match = _SAID.fullmatch(str(annotations.get(names.ANNOTATION_APPROVAL, "")))
    if match is None:
        return None
    plan, user, reason = match[2], clean(match[3], _USER_BYTES), clean(match[4] or "", _REASON_BYTES)
    return Verdict(plan, user, match[1] == "approve", reason)


def text(said: Verdict) -> str:
    """The annotation that says it."""
    words = f"{'approve' if said.approves else 'reject'} {said.plan} {said.by}"
    return f"{words}\n{said.reason}" if said.reason else words


def given(spec: Spec | None, said: Verdict | None) -> tuple[Approved, ...]:
    """The current approvals, for a spec that requires one."""
    if spec is None or spec.policy.approval is Approval.NEVER:
        return ()
    by_person = (Approved(plan=said.plan, by=said.by),) if said and said.approves else ()
    in_git = spec.policy.approved_plan
    return (*by_person, Approved(plan=in_git, by=IN_SPEC)) if in_git else by_person


def is_new(approvals: tuple[Approved, ...], status: Status, run: Run) -> bool:
    """Whether there is an approval of the plan that `run` has made, which it did not have yet."""
    had = {each.plan for each in run.approvals}
    wanted = status.plan.digest if status.plan else None
    return any(each.plan not in had and wanted in (None, each.plan) for each in approvals)


def judged(report: Report, status: Status, run: Run) -> Report:
    """`report`: a plan that needs approval is a changed one if the one before it had been approved."""
    approved = {each.plan for each in run.approvals}
    if report.failure is Failure.APPROVAL_PENDING and status.plan and status.plan.digest in approved:
        return replace(report, failure=Failure.PLAN_CHANGED)
    return report


def rejection(plan: Plan | None, said: Verdict | None) -> str:
    """Who has rejected the plan of the status; begins the message of a run that waits for approval."""
    if said is None or plan is None or said.approves or said.plan != plan.digest:
        return ""
    return f"Rejected by {said.by}{f': {said.reason}' if said.reason else ''}. "
