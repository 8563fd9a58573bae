"""What a change of status means to others: Events, and the run that has just ended."""

from dataclasses import dataclass

from dbupgrade.api.conditions import PROGRESSING, Reason, find_condition
from dbupgrade.api.status import Failure, Run, RunResult, Status
from dbupgrade.decide.statuses import same_failure, tried_again_by_itself


@dataclass(frozen=True)
class Event:
    """An Event to record on the resource."""

    type: str
    reason: str
    message: str


_HELD: dict[str, str] = {
    Reason.SECRET_NOT_FOUND: "SecretNotFound",
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED: "PreCheckFailed",
    Reason.PRE_CHECK_METRIC_FAILED: "PreCheckFailed",
    Reason.POST_CHECK_FAILED: "PostCheckFailed",
}


_NO_FAILURES = {Failure.DATABASE_LOCKED, Failure.SUPERSEDED}


def ended_run(old: Status, new: Status) -> Run | None:
    """The run that this change of status records as finished."""
    if new.run is None or new.run.active:
        return None
    same = old.run is not None and old.run.sequence == new.run.sequence and not old.run.active
    return None if same else new.run


def result_label(run: Run) -> str:
    """The finished `run` in a metric: waiting for somebody else's lock is no failure."""
    return "Busy" if run.failure in _NO_FAILURES else str(run.result)


def events(old: Status, new: Status) -> tuple[Event, ...]:
    """One Event for each transition from `old` to `new`; none for a status that says the same again."""
    found: list[Event] = []
    ended = ended_run(old, new)
    if new.run and new.run.active and (old.run is None or old.run.sequence != new.run.sequence):
        found += _started(old.run, new.run)
    elif ended and ended.failure not in _NO_FAILURES and not _same_again(old, ended):
        found.append(_ended(ended))
    reason = _reason(new)
    if reason in _HELD and reason != _reason(old):
        found.append(Event("Warning", _HELD[reason], _message(new)))
    return tuple(found)


def _started(last: Run | None, run: Run) -> list[Event]:
    if last and last.run_id == run.run_id and tried_again_by_itself(last):
        return []  # tried again by itself: the status counts the tries
    started = Event("Normal", "MigrationStarted", f"run {run.sequence} with {run.image}, Job {run.job_name}")
    if last is None or last.run_id == run.run_id:
        return [started]
    change = f"image {last.image} -> {run.image}" if last.image != run.image else "same image, other settings"
    return [Event("Normal", "SpecChanged", change), started]


def _same_again(old: Status, run: Run) -> bool:
    """Whether `run` is a retry, and no person's, that failed as the try before it did."""
    again = run.attempt > 1 and tried_again_by_itself(run)
    return again and bool(old.history) and same_failure(old.history[0], run)


def _ended(run: Run) -> Event:
    """File and class only: error texts belong into the status."""
    if run.result is RunResult.SUCCEEDED:
        count = "unknown" if run.applied_count is None else run.applied_count
        version = run.to_version or "unknown"
        return Event("Normal", "MigrationSucceeded", f"files applied: {count}, database at {version}")
    where = f" in {run.failed_file}" if run.failed_file else ""
    return Event("Warning", "MigrationFailed", f"{run.failure}{where}")


def _reason(status: Status) -> str:
    condition = find_condition(status.conditions, PROGRESSING)
    return condition.reason if condition else ""


def _message(status: Status) -> str:
    condition = find_condition(status.conditions, PROGRESSING)
    return condition.message if condition else ""
