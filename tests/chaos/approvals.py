"""The part of the runner that knows of approvals: each image has one plan, and nothing is applied whose plan is not approved."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import PlanNote
from dbupgrade.pod.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.ledger import Object

USER = "chaos"
EXIT_CODE = 13
WAITS = {"ApprovalPending", "PlanChanged"}


def environment(pod: Object) -> dict[str, str]:
    """The variables of the container `migrate` in a pod, or in the template of a Job."""
    containers = pod["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in containers[0]["env"]}


def plan_of(resource: str, image: str) -> str:
    """The digest of the plan of an image for a resource, NAMESPACE/NAME."""
    return f"sha256:{hashlib.sha256(f'{resource} {image}'.encode()).hexdigest()}"


def missing(pod: Object) -> str:
    """The digest of the plan that keeps the runner of this pod from applying anything; empty when nothing does."""
    variables = environment(pod)
    if "MIGRATE_APPROVAL" not in variables:
        return ""
    fetch = {entry["name"]: entry.get("value", "") for entry in pod["spec"]["initContainers"][0]["env"]}
    digest = plan_of(variables["MIGRATE_PLAN_FOR"], fetch["IMAGE"])
    return "" if digest in variables.get("MIGRATE_APPROVED_PLANS", "").split() else digest


def planned(digest: str) -> Report:
    """The report of a runner that has applied nothing."""
    note = PlanNote(digest=digest, line="0" * 64, asks="Every plan needs approval", files=1, statements=1)
    return Report(failure=Failure.APPROVAL_PENDING, pending=1, plan=note)


def approval(digest: str) -> Object:
    """The patch by which a person approves a plan."""
    return {"metadata": {"annotations": {names.ANNOTATION_APPROVAL: f"approve {digest} {USER}"}}}


def given(versions: Iterable[Object]) -> set[str]:
    """The digests that people had approved in one of these versions of a resource."""
    found: set[str] = set()
    for obj in versions:
        annotations: dict[str, Any] = obj["metadata"].get("annotations") or {}
        words = str(annotations.get(names.ANNOTATION_APPROVAL, "")).split()
        found.update(words[1:2] if words[:1] == ["approve"] else [])
        found.add(str((obj["spec"].get("policy") or {}).get("approvedPlan", "")))
    return found
