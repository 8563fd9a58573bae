"""The checks after a run: what to observe, and what the resource reports until all of them have held once. Contract, section 3.7."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dbupgrade.api.check_status import CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import Reason
from dbupgrade.api.run import Run
from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.api.status import Status
from dbupgrade.decide import windows
from dbupgrade.decide.decision import CheckInputs, Decision
from dbupgrade.decide.metric_values import query
from dbupgrade.decide.observed import Observed
from dbupgrade.decide.statuses import complete, held, running, success_message


def settle(observed: Observed, status: Status, run: Run) -> Decision:
    """What `status` says after the successful `run`: done, once all checks have held."""
    spec, done = observed.resource.spec, success_message(run)
    if spec is None:
        return Decision.write(complete(observed, status, done))
    completed = _completed(status, run)
    checks = spec.checks.post.metrics
    found = [windows.after_run(observed, check, completed) for check in checks]
    before = (check for check in status.checks if check.phase is CheckPhase.PRE)
    status = replace(status, checks=(*before, *found))
    failing = [check for check in found if check.verdict is Verdict.FAILS]
    waiting = [check for check in found if check.verdict is Verdict.WAITING]
    if failing:
        status = held(observed, status, Reason.POST_CHECK_FAILED, f"{done}, but {windows.words(failing)}")
    elif waiting:
        message = f"{done}; {windows.words(waiting)}"
        status = running(observed, status, Reason.POST_CHECK_BAKE_TIME_WAITING, message)
    else:
        return Decision.write(complete(observed, status, done))
    return _until_next_look(observed, Decision.write(status), checks, found, completed)


def _until_next_look(
    observed: Observed,
    decision: Decision,
    checks: Sequence[MetricCheck],
    found: Sequence[CheckStatus],
    completed: datetime,
) -> Decision:
    """`decision`, with what to observe: the checks that have not held yet, each after its bake time."""
    ends = [windows.bake_end(check, completed) for check in checks]
    due = {
        windows.definition(CheckPhase.POST, check): check
        for check, status, end in zip(checks, found, ends, strict=True)
        if status.verdict is not Verdict.HOLDS and observed.now >= end
    }
    waits = [(end - observed.now).total_seconds() for end in ends if end > observed.now]
    if due:
        waits.append(windows.next_look(observed, due))
    inputs = CheckInputs(
        metrics={key: query(check) for key, check in due.items()}, ask=windows.due(observed, due)
    )
    return replace(decision, requeue_after=min(waits), inputs=inputs)


def _completed(status: Status, run: Run) -> datetime:
    """When the Job succeeded, from which the bake times count."""
    return status.job_completed_at or run.finished_at or run.started_at
