"""What a gate returns. A gate is one reason why a run may have to wait; it knows no other gate, and nothing about Jobs."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dbupgrade.api.check_status import CheckStatus
from dbupgrade.api.conditions import Reason
from dbupgrade.decide.decision import CheckInputs
from dbupgrade.decide.needs import Need
from dbupgrade.decide.observed import Observed

RECHECK_SECONDS = 30.0  # for what no watch brings
WAITING = "waiting for the database: "
"""How the message of a resource begins that waits for its turn."""


@dataclass(frozen=True)
class Hold:
    """Why no run may start now.

    `stalled`: nothing changes until somebody intervenes. `backoff` and `requeue_after`: when to look again, see Decision.
    """

    reason: Reason
    message: str
    stalled: bool = False
    backoff: bool = False
    requeue_after: float | None = None


@dataclass(frozen=True)
class CheckResults:
    """What the checks before a run found.

    `now` are the current verdicts; `passed` are those with which a run may start. `inputs` is what to observe, and
    `next_look` in how many seconds, whatever changes.
    """

    now: tuple[CheckStatus, ...] = ()
    passed: tuple[CheckStatus, ...] = ()
    inputs: CheckInputs = field(default_factory=CheckInputs)
    next_look: float = RECHECK_SECONDS


@dataclass(frozen=True)
class Pause:
    """No run may start before more was seen, and there is nothing to report yet. `known` is what is known of the checks.

    `look_again` is in seconds; without it, the checks say when.
    """

    known: tuple[CheckStatus, ...]
    look_again: float | None = None


@dataclass(frozen=True)
class GateAnswer:
    """What a gate found; it is open unless something holds the run back."""

    held: Hold | Pause | None = None
    checks: CheckResults | None = None


OPEN = GateAnswer()


@dataclass(frozen=True)
class Gate:
    """A gate, by its name."""

    name: str
    look: Callable[[Observed], GateAnswer | Need]
