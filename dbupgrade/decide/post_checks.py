"""The checks after a run: what to look at, and what the resource says until all have held once. Contract, section 3.7."""

from datetime import datetime

from dbupgrade.api.conditions import Reason
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.api.status import CheckPhase, Run, Status, Verdict
from dbupgrade.decide import windows
from dbupgrade.decide.decision import Decision, Questions
from dbupgrade.decide.metrics import query
from dbupgrade.decide.observed import Observed
from dbupgrade.decide.statuses import complete, held, running, success_message


def questions(observed: Observed, spec: Spec, run: Run) -> Questions:
    """What to look at after the successful `run`: the checks that have not held yet, each when its bake time is over."""
    metrics = _open(observed, spec, _completed(observed.resource.status, run))
    return Questions(
        metrics={key: query(check) for key, check in metrics.items()}, ask=windows.due(observed, metrics)
    )


def settle(observed: Observed, status: Status, run: Run) -> Decision:
    """What `status` says after the successful `run`: done, once all checks have held."""
    spec = observed.resource.spec
    if spec is None:
        return Decision(complete(observed, status, success_message(run)))
    completed = _completed(status, run)
    found = [windows.after_run(observed, check, completed) for check in spec.checks.post.metrics]
    before = (check for check in status.checks if check.phase is CheckPhase.PRE)
    status = status.model_copy(update={"checks": (*before, *found)})
    failing = [check for check in found if check.verdict is Verdict.FAILS]
    waiting = [check for check in found if check.verdict is Verdict.WAITING]
    done = success_message(run)
    if failing:
        status = held(observed, status, Reason.POST_CHECK_FAILED, f"{done}, but {windows.words(failing)}")
    elif waiting:
        message = f"{done}; {windows.words(waiting)}"
        status = running(observed, status, Reason.POST_CHECK_BAKE_TIME_WAITING, message)
    else:
        return Decision(complete(observed, status, done))
    return Decision(status, requeue_after=_next_look(observed, spec, completed))


def _completed(status: Status, run: Run) -> datetime:
    """When the Job succeeded, from which the bake times count."""
    return status.job_completed_at or run.finished_at or run.started_at


def _open(observed: Observed, spec: Spec, completed: datetime) -> dict[str, MetricCheck]:
    """The checks to be evaluated now, by definition."""
    return {
        windows.definition(CheckPhase.POST, check): check
        for check in spec.checks.post.metrics
        if windows.after_run(observed, check, completed).verdict is not Verdict.HOLDS
        and observed.now >= windows.bake_end(check, completed)
    }


def _next_look(observed: Observed, spec: Spec, completed: datetime) -> float:
    """Seconds until a bake time is over or a check is due."""
    ends = (windows.bake_end(check, completed) for check in spec.checks.post.metrics)
    waits = [(end - observed.now).total_seconds() for end in ends if end > observed.now]
    metrics = _open(observed, spec, completed)
    return min([*waits, windows.next_look(observed, metrics)] if metrics else waits)
