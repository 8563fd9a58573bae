"""What the metrics say of a resource, as its stored status has it; read from JSON, because thousands come at once at the start."""

from dbupgrade.api.conditions import PROGRESSING
from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.decide.state import State, state_of
from dbupgrade.objects import Object, key_of
from dbupgrade.telemetry.resources import Resources, Standing


def follow(resources: Resources, old: Object | None, new: Object | None) -> None:
    """Keep the gauges in step with a DBUpgrade that came, changed or went."""
    if new:
        status = new.get("status") or {}
        slow = _is_slow(status.get("run") or {})
        resources.stands(key_of(new), standing(new), pending=status.get("pendingCount") or 0, slow=slow)
    elif old:
        resources.forget(key_of(old))


def standing(obj: Object) -> Standing:
    """How a DBUpgrade stands."""
    status = obj.get("status") or {}
    suspended = "true" if (obj.get("spec") or {}).get("suspend") else "false"
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        return Standing(State.UNSEEN, suspended=suspended)
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    reason = str(conditions.get(PROGRESSING, {}).get("reason", ""))
    true = {kind for kind, each in conditions.items() if each.get("status") == "True"}
    return Standing(state_of(true, reason), reason, _failure(status.get("run") or {}, reason), suspended)


def _failure(run: Object, reason: str) -> str:
    """The class of the failure that the conditions report; nothing when they report something else."""
    if not run.get("failure") or not run.get("finishedAt"):
        return ""
    failure = Failure(run["failure"])
    return str(failure) if KINDS[failure].reason == reason else ""


def _is_slow(run: Object) -> bool:
    return bool(run.get("slow")) and not run.get("finishedAt")
