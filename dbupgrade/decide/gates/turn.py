"""Is it the resource's turn? While it waits for its database, and already reports that, no later gate is evaluated."""

from dbupgrade.api.conditions import Reason
from dbupgrade.decide.gates.gate import OPEN, RECHECK_SECONDS, WAITING, GateAnswer, Hold
from dbupgrade.decide.observed import Observed


def look(observed: Observed) -> GateAnswer:
    """Open unless the resource still waits."""
    if not still_waits(observed):
        return OPEN
    message = observed.resource.told(Reason.DATABASE_BUSY)
    return GateAnswer(Hold(Reason.DATABASE_BUSY, message, requeue_after=RECHECK_SECONDS))


def still_waits(observed: Observed) -> bool:
    """Whether the status says that the resource waits for its database, and it still does.

    Its Secret is read when its turn comes: reading it for each of those before it would cost most of the work. Checks go
    on being looked at.
    """
    spec = observed.resource.spec
    checks = spec.checks.pre if spec else None
    if checks is None or checks.min_pod_versions or checks.metrics or not observed.busy:
        return False
    return observed.resource.told(Reason.DATABASE_BUSY).startswith(WAITING)
