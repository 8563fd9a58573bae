"""What `next_step` decides: an ordered list of actions, what to observe for the checks, and when to decide again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from dbupgrade.api.check_status import CheckStatus
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.decide.metric_values import Query


@dataclass(frozen=True)
class WriteStatus:
    """Write the status under a resourceVersion precondition, if it says more than the one that is stored."""

    status: Status


@dataclass(frozen=True)
class CreateJob:
    """Create the run's Job, or adopt the one that an earlier try has made; its token before it, if it uses one."""

    run: Run


@dataclass(frozen=True)
class CompareJob:
    """Find out whether the existing Job runs what the run's own Job would run. A Job that has been deleted meanwhile is not created again."""

    run: Run


@dataclass(frozen=True)
class RenewToken:
    """Put a fresh token into the Secret of the run, which has not begun to migrate."""


@dataclass(frozen=True)
class RemoveToken:
    """Delete the Secret with the token of a run that ends. This happens before the status records the end, after which the Secret would be forgotten."""

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


Action = WriteStatus | CreateJob | CompareJob | RenewToken | RemoveToken | DeleteJob | SetTtl


@dataclass(frozen=True)
class CheckInputs:
    """What to observe for a resource's checks; nothing else is observed, or kept, for the resource.

    `selectors` of pods to watch, of which `refresh` are to be listed again; `metrics` by the check's definition, of which
    `ask` are due.
    """

    selectors: frozenset[str] = frozenset()
    refresh: frozenset[str] = frozenset()
    metrics: Mapping[str, Query] = field(default_factory=dict)
    ask: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """The actions, to be carried out in order. One of them writes the status.

    `requeue_after` is in seconds. `backoff` requests a retry with growing delays, for changes that cannot be watched.
    `checks` are the current results of the checks, if the status does not contain them yet.
    """

    actions: tuple[Action, ...]
    requeue_after: float | None = None
    backoff: bool = False
    checks: tuple[CheckStatus, ...] | None = None
    inputs: CheckInputs = field(default_factory=CheckInputs)

    @classmethod
    def write(cls, status: Status, *then: Action, requeue_after: float | None = None) -> Self:
        """Write the status, then act."""
        return cls((WriteStatus(status), *then), requeue_after)

    @property
    def status(self) -> Status:
        """The status of the resource after this decision."""
        return next(action.status for action in self.actions if isinstance(action, WriteStatus))
