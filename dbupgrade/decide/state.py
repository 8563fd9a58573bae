"""One word for how a resource stands: what `kubectl dbupgrade status` and the metric dbupgrade_state say."""

from collections.abc import Collection
from enum import StrEnum

from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, Reason


class State(StrEnum):
    """How a resource stands."""

    UNSEEN = "Unseen"
    """The operator has not seen the present spec yet."""
    READY = "Ready"
    RUNNING = "Running"
    FAILED = "Failed"
    """Nothing happens until somebody changes something."""
    SUSPENDED = "Suspended"
    WAITING = "Waiting"
    """Neither ready nor in progress; it continues automatically, or when its plan is approved."""


_BY_CONDITION = {READY: State.READY, PROGRESSING: State.RUNNING, STALLED: State.FAILED}


def state_of(true: Collection[str], reason: str) -> State:
    """The state of a resource whose conditions of the types in `true` hold; `reason` is that of Progressing."""
    for condition, state in _BY_CONDITION.items():
        if condition in true:
            return state
    return State.SUSPENDED if reason == Reason.SUSPENDED else State.WAITING
