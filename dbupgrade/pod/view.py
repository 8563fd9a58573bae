"""How a container of a pod stands, read from the pod's status; what is absent there is tolerated."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class ContainerView:
    """A container: waiting (with a reason and a message), started, or ended (with an exit code)."""

    waiting_reason: str = ""
    waiting_message: str = ""
    started: bool = False
    running_since: datetime | None = None
    """When it started, as long as it runs."""
    exit_code: int | None = None
    end_reason: str = ""
    message: str = ""
    finished: datetime | None = None


def timestamp(text: str | None) -> datetime | None:
    """An RFC 3339 time of the API server."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def container_from(statuses: Iterable[dict[str, Any]] | None, name: str) -> ContainerView:
    """The view of container `name`, from the container statuses of a Pod object."""
    status = next((s for s in statuses or () if s.get("name") == name), {})
    state = status.get("state") or {}
    ended = state.get("terminated")
    if ended and not (ended.get("startedAt") or status.get("containerID")):
        return ContainerView()  # the kubelet writes an end for what never ran, when the pod is deleted
    if ended:
        return ContainerView(
            started=True,
            exit_code=ended.get("exitCode", 0),
            end_reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            finished=timestamp(ended.get("finishedAt")),
        )
    if "running" in state:
        return ContainerView(started=True, running_since=timestamp(state["running"].get("startedAt")))
    waiting = state.get("waiting") or {}
    return ContainerView(waiting_reason=waiting.get("reason", ""), waiting_message=waiting.get("message", ""))
