"""Can anything be started with the spec? What admission denies is held here, where admission did not stop it."""

from collections.abc import Callable

from dbupgrade.api.conditions import Reason
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import DatabaseType
from dbupgrade.decide import platform, validation
from dbupgrade.decide.gates.gate import OPEN, GateAnswer, Hold
from dbupgrade.decide.observed import Observed


def look(observed: Observed) -> GateAnswer:
    """Open for a spec that is valid, supported and not suspended."""
    resource = observed.resource
    if resource.spec is None:
        return GateAnswer(Hold(Reason.INVALID_SPEC, resource.spec_error, stalled=True))
    for obstacle in _OBSTACLES:
        hold = obstacle(observed, resource.spec)
        if hold:
            return GateAnswer(hold)
    return OPEN


def _suspended(_: Observed, spec: Spec) -> Hold | None:
    return Hold(Reason.SUSPENDED, "spec.suspend is true: no run starts") if spec.suspend else None


def _not_supported(observed: Observed, spec: Spec) -> Hold | None:
    """AWS authentication is off unless it is enabled."""
    if observed.aws_enabled or not spec.database.uses_aws:
        return None
    message = (
        "AWS authentication is disabled in this operator, so spec.database.aws cannot be used and no run starts. "
        "Enable it in the operator's settings (aws.enabled), or use spec.database.connection."
    )
    return Hold(Reason.AWS_NOT_SUPPORTED, message, stalled=True)


def _invalid(_: Observed, spec: Spec) -> Hold | None:
    """A spec that makes no sense; an AWS database of which nothing is known has a reason of its own."""
    message = "; ".join(map(str, validation.problems(spec)))
    database = spec.database
    on_aws = database.type is not DatabaseType.SELF_HOSTED
    unknown = on_aws and database.aws is None and database.connection is None
    reason = Reason.AWS_NOT_SUPPORTED if unknown else Reason.INVALID_SPEC
    return Hold(reason, message, stalled=True) if message else None


def _not_allowed(observed: Observed, spec: Spec) -> Hold | None:
    """What the platform does not let a pod claim."""
    message = "; ".join(map(str, platform.problems(spec, observed.platform)))
    return Hold(Reason.INVALID_SPEC, message, stalled=True) if message else None


_OBSTACLES: tuple[Callable[[Observed, Spec], Hold | None], ...] = (
    _suspended,
    _not_supported,
    _invalid,
    _not_allowed,
)
