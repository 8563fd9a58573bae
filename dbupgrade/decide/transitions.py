"""What a change of status means to others: whether it is written, Events, and the run that has just ended."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import PROGRESSING, Condition, Reason, find_condition
from dbupgrade.api.run import Run, RunResult
from dbupgrade.api.status import Status
from dbupgrade.decide.failures import KINDS
from dbupgrade.decide.statuses import retried_automatically, same_failure
from dbupgrade.pod import lint


@dataclass(frozen=True)
class Event:
    """An Event to record on the resource."""

    type: str
    reason: str
    message: str


_HELD: dict[str, str] = {
    Reason.SECRET_NOT_FOUND: "SecretNotFound",
}
_CHECK_FAILED = {CheckPhase.PRE: "PreCheckFailed", CheckPhase.POST: "PostCheckFailed"}
_TELL_OF_CHECKS = {
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED,
    Reason.PRE_CHECK_METRIC_FAILED,
    Reason.POST_CHECK_FAILED,
}
_VALUES_EVERY = timedelta(minutes=1)


def worth_writing(old: Status, new: Status, now: datetime) -> bool:
    """Whether `new` goes over the stored `old` at once: new values of checks alone wait until a minute has passed."""
    if old == new:
        return False
    if _lasting(old) != _lasting(new):
        return True
    written = max((check.observed_at for check in old.checks if check.observed_at), default=None)
    return written is None or not timedelta() <= now - written < _VALUES_EVERY


def _lasting(status: Status) -> Status:
    """The status without the parts that change with each evaluation of a check."""
    checks = tuple(_without_values(check) for check in status.checks)
    conditions = tuple(_without_values_of_checks(condition) for condition in status.conditions)
    return replace(status, checks=checks, conditions=conditions)


def _without_values(check: CheckStatus) -> CheckStatus:
    # A window that is open survives a restart only if its last observation is known.
    window = (CheckPhase.PRE, CheckKind.METRIC, Verdict.WAITING)
    observed_at = check.observed_at if (check.phase, check.kind, check.verdict) == window else None
    return replace(check, last_value=None, message="", observed_at=observed_at)


def _without_values_of_checks(condition: Condition) -> Condition:
    return replace(condition, message="") if condition.reason in _TELL_OF_CHECKS else condition


def failed_checks(old: Status, new: Status) -> tuple[CheckStatus, ...]:
    """The checks that fail in `new` and did not in `old`."""
    failing = {
        (check.phase, check.kind, check.name) for check in old.checks if check.verdict is Verdict.FAILS
    }
    return tuple(
        check
        for check in new.checks
        if check.verdict is Verdict.FAILS and (check.phase, check.kind, check.name) not in failing
    )


def ended_run(old: Status, new: Status) -> Run | None:
    """The run that this change of status records as finished."""
    if new.run is None or new.run.active:
        return None
    same = old.run is not None and old.run.sequence == new.run.sequence and not old.run.active
    return None if same else new.run


def result_label(run: Run) -> str:
    """The finished `run` in a metric: waiting for another migration is not a failure."""
    return KINDS[run.failure].result if run.failure else str(run.result)


def events(old: Status, new: Status) -> tuple[Event, ...]:
    """One Event for each transition from `old` to `new`; none for a status that says the same again."""
    found: list[Event] = []
    ended = ended_run(old, new)
    if new.run and new.run.active and (old.run is None or old.run.sequence != new.run.sequence):
        found += [*_approved(old, new.run), *_started(old.run, new.run)]
    elif ended and _reported(ended) and not _same_again(old, ended):
        if ended.lint and ended.lint.findings:
            found.append(Event("Warning", "LintFindings", lint.event(ended.lint)))
        found.append(_asked(new) or _ended(ended))
    if new.run and _has_become_slow(old.run, new.run):
        found.append(_slow(new.run))
    reason = _reason(new)
    if reason in _HELD and reason != _reason(old) and not ended:
        found.append(Event("Warning", _HELD[reason], _message(new)))
    for check in failed_checks(old, new):
        found.append(Event("Warning", _CHECK_FAILED[check.phase], f"{check.name}: {check.message}"))
    return tuple(found)


def _started(last: Run | None, run: Run) -> list[Event]:
    if last and last.run_id == run.run_id and retried_automatically(last):
        return []  # an automatic retry: the status counts the attempts
    started = Event("Normal", "MigrationStarted", f"run {run.sequence} with {run.image}, Job {run.job_name}")
    if last is None or last.run_id == run.run_id:
        return [started]
    change = f"image {last.image} -> {run.image}" if last.image != run.image else "same image, other settings"
    return [Event("Normal", "SpecChanged", change), started]


def _approved(old: Status, run: Run) -> list[Event]:
    """Who has approved the plan that the run is about to carry out."""
    shown = old.plan.digest if old.plan else None
    return [
        Event("Normal", "PlanApproved", f"plan {each.plan} approved by {each.by}")
        for each in run.approvals
        if shown in (None, each.plan)
    ]


def _asked(new: Status) -> Event | None:
    """That the plan of a run which has just ended needs approval, and why."""
    plan, run = new.plan, new.run
    if plan is None or run is None or run.result is not RunResult.PLANNED:
        return None
    files = f"{plan.file_count} file{'' if plan.file_count == 1 else 's'}"
    reason = str(KINDS[run.failure].event) if run.failure else ""
    return Event("Normal", reason, f"plan {plan.digest} of {files} needs approval: {plan.asks}")


def _has_become_slow(last: Run | None, run: Run) -> bool:
    known = last is not None and last.sequence == run.sequence and last.slow
    return run.active and run.slow and not known


def _slow(run: Run) -> Event:
    where = f", at {run.progress.file}" if run.progress else ""
    text = (
        f"run {run.sequence} has used three quarters of spec.runner.activeDeadlineSeconds, after which it is ended{where}. "
        "`kubectl dbupgrade status` says what it does; if it waits for a lock, end the session that holds it. More time for this run: "
        f'kubectl patch job {run.job_name} --patch \'{{"spec":{{"activeDeadlineSeconds":SECONDS}}}}\''
    )
    return Event("Warning", "MigrationSlow", text)


def _reported(run: Run) -> bool:
    """Whether the end of `run` is worth an Event."""
    return run.failure is None or KINDS[run.failure].event is not None


def _same_again(old: Status, run: Run) -> bool:
    """Whether `run` is an automatic retry that failed in the same way as the attempt before it."""
    again = run.attempt > 1 and retried_automatically(run)
    return again and bool(old.history) and same_failure(old.history[0], run)


def _ended(run: Run) -> Event:
    """File, class and SQLSTATE only: error texts belong into the status."""
    if run.result is RunResult.SUCCEEDED:
        count = "unknown" if run.applied_count is None else run.applied_count
        version = run.to_version or "unknown"
        return Event("Normal", "MigrationSucceeded", f"files applied: {count}, database at {version}")
    where = f" in {run.failed_file}" if run.failed_file else ""
    state = f" (SQLSTATE {run.sqlstate})" if run.sqlstate else ""
    name = run.failure and KINDS[run.failure].event
    details = "; status.run.error has the details" if run.error else ""
    return Event("Warning", name or "MigrationFailed", f"{run.failure}{where}{state}{details}")


def _reason(status: Status) -> str:
    condition = find_condition(status.conditions, PROGRESSING)
    return condition.reason if condition else ""


def _message(status: Status) -> str:
    condition = find_condition(status.conditions, PROGRESSING)
    return condition.message if condition else ""
