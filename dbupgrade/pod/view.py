"""How a container of a pod stands, read from the pod's status; what is absent there is tolerated."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class ContainerView:
    """A container: waiting (with a reason and a message), started, or ended (with an exit code)."""

    name: str = ""
    image: str = ""
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


def container_from(
    statuses: Iterable[dict[str, Any]] | None, name: str, *, restarts: bool = False
) -> ContainerView:
    """The view of container `name`, from the container statuses of a Pod object.

    Of one that `restarts`, the end before the last restart counts.
    """
    status = next((s for s in statuses or () if s.get("name") == name), {})
    state = status.get("state") or {}
    before = status.get("lastState") or {}
    if restarts and before.get("terminated"):
        state = before
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
    if not waiting.get("reason"):
        return ContainerView()
    return ContainerView(
        name=name,
        image=status.get("image", ""),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
    )


def ended_before(one: ContainerView, other: ContainerView) -> bool:
    """Whether `one` ended while `other` was at work.

    Within the same second, as the times have no parts of it, an end with success is one that followed.
    """
    if one.exit_code is None or not other.started:
        return False
    if other.exit_code is None:
        return True
    if one.finished is None or other.finished is None:
        return False
    return one.finished < other.finished or (one.finished == other.finished and one.exit_code != 0)
