"""What an object of the cluster says about itself, in one line; and whether a DBUpgrade has come to its end. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2e.demo.kubectl import Json

UNSEEN = "the operator has not looked at it yet"


class Outcome(Enum):
    """How an upgrade ended."""

    DONE = auto()
    FAILED = auto()


def outcome(resource: Json, generation: int) -> Outcome | None:
    """Tell how the upgrade to this generation ended, or None as long as it goes on.

    What the conditions say about an older generation does not count: after a change of the image the resource is still
    Ready, for the image before, until the operator has seen the change.
    """
    if resource.get("status", {}).get("observedGeneration") != generation:
        return None
    current = {
        kind: found
        for kind, found in conditions(resource).items()
        if found["observedGeneration"] == generation
    }
    if _is_true(current, "Ready"):
        return Outcome.DONE
    failed = current.get("Progressing", {}).get("reason") == "JobFailed"
    return Outcome.FAILED if _is_true(current, "Stalled") or failed else None


def conditions(resource: Json) -> dict[str, Json]:
    """Sort the conditions of a resource by their type."""
    return {condition["type"]: condition for condition in resource.get("status", {}).get("conditions", [])}


def describe(item: Json) -> str:
    """Put the state of a DBUpgrade, a Job or a pod into one line."""
    by_kind = {"DBUpgrade": _describe_resource, "Job": _describe_job, "Pod": _describe_pod}
    return by_kind[item["kind"]](item)


def _describe_resource(resource: Json) -> str:
    found = conditions(resource)
    if not found:
        return UNSEEN
    states = "  ".join(
        f"{kind}={found[kind]['status']:<7}" for kind in ("Ready", "Progressing") if kind in found
    )
    stalled = "Stalled=True  " if _is_true(found, "Stalled") else ""
    telling = found.get("Progressing") or found["Ready"]
    return f"{states}  {stalled}{telling['reason']}: {telling.get('message', '')}"


def _describe_job(job: Json) -> str:
    found = conditions(job)
    state = next((kind.lower() for kind in ("Complete", "Failed") if _is_true(found, kind)), "started")
    return f"    job {job['metadata']['name']}: {state}"


def _describe_pod(pod: Json) -> str:
    status = pod.get("status", {})
    text = f"    pod {pod['metadata']['name']}: {status.get('phase', 'Pending').lower()}"
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    current = next((item for item in containers if "terminated" not in item.get("state", {})), None)
    if current is None:
        return text.replace(": running", ": its containers have ended")
    return f"{text}, {current['name']} {_container_state(current)}"


def _container_state(container: Json) -> str:
    state = container.get("state", {})
    if "running" in state:
        return "is running"
    return f"waits ({state.get('waiting', {}).get('reason', 'starting')})"


def _is_true(found: dict[str, Json], kind: str) -> bool:
    return bool(found.get(kind, {}).get("status") == "True")
