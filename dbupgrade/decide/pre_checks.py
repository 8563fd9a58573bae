"""The checks before a run: what to look at, and whether the run may start. Contract, section 3.2.

Looking takes time and is done elsewhere: `questions` says what to look at, and what was seen by then is in Observed. A run
starts only when all checks hold by observations of the last few seconds, or by a watch that was alive in them.
"""

from datetime import timedelta

from dbupgrade.api.conditions import Reason
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.api.status import CheckKind, CheckPhase, CheckStatus, Status, Verdict
from dbupgrade.decide import pod_checks, windows
from dbupgrade.decide.decision import Decision, Questions
from dbupgrade.decide.metrics import query
from dbupgrade.decide.observed import Observed
from dbupgrade.decide.statuses import held

FRESH = timedelta(seconds=5)


def questions(observed: Observed, spec: Spec) -> Questions:
    """What to look at while a run wants to start; once all seems well, all that is not fresh again."""
    if not _has_checks(spec):
        return Questions()
    metrics = _metrics(spec)
    found = _verdicts(observed, spec)
    stale = _stale(observed, spec) if _all_hold(found) and not observed.busy else frozenset()
    selectors = pod_checks.selectors(spec)
    return Questions(
        selectors=selectors,
        refresh=selectors & stale,
        metrics={key: query(check) for key, check in metrics.items()},
        ask=frozenset(metrics) & stale | windows.due(observed, metrics),
    )


def gate(observed: Observed, spec: Spec) -> Decision | None:
    """What the checks hold a run back with; None when all hold by what was just seen, or the database is busy anyway."""
    if not _has_checks(spec):
        return None
    found = _verdicts(observed, spec)
    look_again = next_look(observed, spec)
    failing = [check for check in found if check and check.verdict is not Verdict.HOLDS]
    if None not in found and failing:
        by_pods = failing[0].kind is CheckKind.POD_VERSION
        reason = Reason.PRE_CHECK_IMAGE_VERSION_FAILED if by_pods else Reason.PRE_CHECK_METRIC_FAILED
        status = held(observed, told(observed, spec), reason, windows.words(failing))
        return Decision(status, requeue_after=look_again)
    if _all_hold(found) and (observed.busy or not _stale(observed, spec)):
        return None
    # What was not seen yet keeps what was known of it before, perhaps from before a restart.
    known = observed.checks if None in found else told(observed, spec).checks
    return Decision(observed.resource.status, requeue_after=look_again, checks=known)


def next_look(observed: Observed, spec: Spec) -> float:
    """Seconds until something of the checks is to be looked at again, whatever changes."""
    return windows.next_look(observed, _metrics(spec))


def told(observed: Observed, spec: Spec) -> Status:
    """The status with the verdicts of now, beside those that followed the last run."""
    status = observed.resource.status
    others = (check for check in status.checks if check.phase is CheckPhase.POST)
    seen = (check for check in _verdicts(observed, spec) if check)
    return status.model_copy(update={"checks": (*seen, *others)})


def passed(observed: Observed, spec: Spec) -> tuple[CheckStatus, ...]:
    """The checks as a run is let start with them: `disallowDowngrade` compares with their versions from now on."""
    highest = pod_checks.passed(observed, spec)
    return tuple(
        check.model_copy(update={"highest": highest.get(check.name, {})})
        if check.kind is CheckKind.POD_VERSION
        else check
        for check in _verdicts(observed, spec)
        if check
    )


def _has_checks(spec: Spec) -> bool:
    """Most resources have none, and need not pay for them with each reconcile."""
    return bool(spec.checks.pre.min_pod_versions or spec.checks.pre.metrics)


def _metrics(spec: Spec) -> dict[str, MetricCheck]:
    return {windows.definition(CheckPhase.PRE, check): check for check in spec.checks.pre.metrics}


def _verdicts(observed: Observed, spec: Spec) -> list[CheckStatus | None]:
    """The verdict on each check, pod versions first; None where nothing was seen yet."""
    metrics = [windows.before_run(observed, check) for check in spec.checks.pre.metrics]
    return [*pod_checks.verdicts(observed, spec), *metrics]


def _all_hold(found: list[CheckStatus | None]) -> bool:
    return all(check and check.verdict is Verdict.HOLDS for check in found)


def _stale(observed: Observed, spec: Spec) -> frozenset[str]:
    """The selectors and definitions whose last observation is no longer fresh; all of them were seen once."""
    seen = {
        **{text: observed.pods_seen[text].heard for text in pod_checks.selectors(spec)},
        **{key: observed.samples[key].at for key in _metrics(spec)},
    }
    return frozenset(key for key, at in seen.items() if not timedelta() <= observed.now - at <= FRESH)
