"""What `plan` answers: a status, the actions that follow it, and when to look again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbupgrade.api.status import CheckStatus, Status
from dbupgrade.decide.metrics import Query


@dataclass(frozen=True)
class CreateJob:
    """Create the run's Job, or adopt the one that an earlier try has made; its token before it, if it uses one."""

    body: dict[str, Any]


@dataclass(frozen=True)
class RenewToken:
    """Put a fresh token into the Secret of the run, which has not begun to migrate."""


@dataclass(frozen=True)
class RemoveToken:
    """Remove the Secret with the token of a run that has ended."""

    name: str


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


Action = CreateJob | RenewToken | DeleteJob | SetTtl


@dataclass(frozen=True)
class Decision:
    """The status to write first (under a resourceVersion precondition), then the actions, in order.

    `before` precedes the status: once that says that the run has ended, nobody would know of its token any more.

    `requeue_after` is in seconds. `backoff` asks for a retry with growing delays, for what cannot be watched.
    `checks` is what is now known of the checks, where the status does not tell it yet.
    """

    status: Status
    actions: tuple[Action, ...] = ()
    before: RemoveToken | None = None
    requeue_after: float | None = None
    backoff: bool = False
    checks: tuple[CheckStatus, ...] | None = None


@dataclass(frozen=True)
class Questions:
    """What to look at for a resource's checks; nothing else is looked at, or kept, for it.

    `selectors` of pods to watch, of which `refresh` are to be listed anew; `metrics` by the check's definition, of which
    `ask` are due.
    """

    selectors: frozenset[str] = frozenset()
    refresh: frozenset[str] = frozenset()
    metrics: Mapping[str, Query] = field(default_factory=dict)
    ask: frozenset[str] = frozenset()
