"""The three shapes that a status can have, and the words for a finished run."""

from dataclasses import replace

from dbupgrade.api.conditions import (
    PROGRESSING,
    READY,
    STALLED,
    Condition,
    ConditionStatus,
    Reason,
    set_condition,
)
from dbupgrade.api.run import Run
from dbupgrade.api.status import HISTORY_LENGTH, Status
from dbupgrade.decide.failures import KINDS, RETRY_BY_HAND, Retry
from dbupgrade.decide.observed import Observed
from dbupgrade.decide.retries import delay_after
from dbupgrade.pod import engines, lint

_MESSAGE_LENGTH = 8192  # the API server refuses more than 32768


def running(observed: Observed, status: Status, reason: Reason, message: str) -> Status:
    """A run is active: Ready=False, Progressing=True with the step as its reason."""
    return _with(
        observed,
        status,
        (ConditionStatus.FALSE, Reason.INITIALIZING),
        (ConditionStatus.TRUE, reason),
        message,
    )


def held(
    observed: Observed, status: Status, reason: Reason, message: str, *, stalled: bool = False
) -> Status:
    """Blocked or failed: both False with the same reason. `stalled`: nothing happens until somebody changes the resource."""
    both = (ConditionStatus.FALSE, reason)
    return _with(observed, status, both, both, message, stalled=stalled)


def complete(observed: Observed, status: Status, message: str) -> Status:
    """The migration is done."""
    reason = Reason.MIGRATION_COMPLETE
    return _with(observed, status, (ConditionStatus.TRUE, reason), (ConditionStatus.FALSE, reason), message)


def _with(
    observed: Observed,
    status: Status,
    ready: tuple[ConditionStatus, Reason],
    progressing: tuple[ConditionStatus, Reason],
    message: str,
    *,
    stalled: bool = False,
) -> Status:
    generation = observed.resource.generation
    message = message[:_MESSAGE_LENGTH]
    stall = (ConditionStatus.TRUE if stalled else ConditionStatus.FALSE, progressing[1])
    conditions = status.conditions
    for kind, (value, reason) in ((READY, ready), (PROGRESSING, progressing), (STALLED, stall)):
        new = Condition(
            type=kind,
            status=value,
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=observed.now,
        )
        conditions = set_condition(conditions, new)
    return replace(status, conditions=conditions, observed_generation=generation)


def with_history(status: Status, run: Run) -> Status:
    """`status` with the finished `run`, also at the head of the history.

    A retry that fails as the try before it did takes that one's place: the history shows ten runs, not ten tries
    to reach a database that is down.
    """
    history = status.history
    if history and retried_automatically(run) and same_failure(history[0], run):
        history = history[1:]
    return replace(status, run=run, history=(run, *history)[:HISTORY_LENGTH])


def retried_automatically(run: Run) -> bool:
    """Whether the failed `run` is retried after a delay, without anybody doing anything."""
    return delay_after(run, "") is not None


def same_failure(earlier: Run, later: Run) -> bool:
    """Whether `later` failed as `earlier` did, on the same run id."""
    return earlier.run_id == later.run_id and earlier.failure == later.failure


def success_message(run: Run) -> str:
    """What a successful run did, and how much the lint found before it."""
    found = lint.summary(run.lint) if run.lint else ""
    done = engines.named(run.engine).done(run)
    return f"{done}; lint found {found}: see status.run.lint" if found else done


def what_failed(run: Run) -> str:
    """What failed and where, without what to do; the same text each time that it is asked for."""
    if run.failure is None:
        raise ValueError("the run has not failed")
    if run.error and run.failed_file and run.error.startswith(f"{run.failed_file}:"):
        return f"{run.failure}: {run.error}"  # a fault of a file, in words that say all
    where = f" in {run.failed_file}" if run.failed_file else ""
    text = f"{run.failure}{where}: {KINDS[run.failure].what}"
    if run.error:
        text += f": {run.error}"
    if run.failed_statement:
        text += f" (statement: {run.failed_statement.rstrip('; ')})"
    if run.applied_count and run.failed_file:
        files = "1 file was" if run.applied_count == 1 else f"{run.applied_count} files were"
        text += f"; {files} applied before it, and the database is at {run.to_version}"
    return text


def failure_message(run: Run, uid: str, secret: str | None = None) -> str:
    """What failed, what to do, and when the run is retried; `secret` is the Secret with the credentials."""
    if run.failure is None or run.finished_at is None:
        raise ValueError("the run has not failed")
    message = f"{what_failed(run)}. {KINDS[run.failure].advise(secret)}"
    delay = delay_after(run, uid)
    if delay is not None and KINDS[run.failure].retry is Retry.SECRET_CHANGE:
        message += f" The operator does not read Secrets, so it does not see that; to start the run at once, {RETRY_BY_HAND}."
    if delay is not None:
        message += f" Attempt {run.attempt + 1} starts at {run.finished_at + delay:%H:%M:%S} UTC."
    return message
