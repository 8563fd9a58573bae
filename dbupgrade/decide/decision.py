"""What `plan` answers: a status, the actions that follow it, and when to look again."""

from dataclasses import dataclass
from typing import Any

from dbupgrade.api.status import Status


@dataclass(frozen=True)
class CreateJob:
    """Create the run's Job, or adopt the one that an earlier try has made."""

    body: dict[str, Any]


@dataclass(frozen=True)
class DeleteJob:
    """Remove a Job in the foreground, so that it goes after its pods."""

    name: str
    uid: str


@dataclass(frozen=True)
class SetTtl:
    """Let the Job's own controller remove it some seconds after its end."""

    name: str
    seconds: int


Action = CreateJob | DeleteJob | SetTtl


@dataclass(frozen=True)
class Decision:
    """The status to write first (under a resourceVersion precondition), then the actions, in order.

    `requeue_after` is in seconds. `backoff` asks for a retry with growing delays, for what cannot be watched.
    """

    status: Status
    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    backoff: bool = False
