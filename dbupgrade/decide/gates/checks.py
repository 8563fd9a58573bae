"""Do the checks before a run hold? Contract, section 3.2.

Looking takes time and is done elsewhere: the results say what to look at, and what was seen by then is in Observed. A run
starts only when all checks hold by observations of the last few seconds, or by a watch that was alive in them.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import Reason
from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.decide import pod_checks, windows
from dbupgrade.decide.decision import CheckInputs
from dbupgrade.decide.gates.gate import CheckResults, GateAnswer, Hold, Pause
from dbupgrade.decide.metric_values import query
from dbupgrade.decide.observed import Observed

FRESH = timedelta(seconds=5)


def look(observed: Observed) -> GateAnswer:
    """Open when all checks hold by what was just seen, or the database is busy anyway."""
    spec = observed.resource.spec
    if spec is None or not (spec.checks.pre.min_pod_versions or spec.checks.pre.metrics):
        return GateAnswer(checks=CheckResults())
    metrics = {windows.definition(CheckPhase.PRE, check): check for check in spec.checks.pre.metrics}
    pods = pod_checks.look(observed, spec)
    found = [look.status for look in pods]
    found += [windows.before_run(observed, check) for check in spec.checks.pre.metrics]
    now = tuple(check for check in found if check)
    unseen = len(now) < len(found)
    hold = not unseen and all(check.verdict is Verdict.HOLDS for check in now)
    selectors = pod_checks.selectors(spec)
    stale = _stale(observed, selectors, metrics) if hold and not observed.blocked else frozenset()
    results = CheckResults(
        now=now,
        passed=tuple(_passed(check, pods) for check in now),
        inputs=_inputs(observed, selectors, metrics, stale),
        next_look=windows.next_look(observed, metrics),
    )
    if unseen or stale:
        # What was not seen yet keeps what was known of it before, perhaps from before a restart.
        others = (check for check in observed.resource.status.checks if check.phase is CheckPhase.POST)
        return GateAnswer(Pause(observed.checks if unseen else (*now, *others)), results)
    return GateAnswer(None if hold else _hold(now, results.next_look), results)


def _hold(found: tuple[CheckStatus, ...], next_look: float) -> Hold:
    failing = [check for check in found if check.verdict is not Verdict.HOLDS]
    by_pods = failing[0].kind is CheckKind.POD_VERSION
    reason = Reason.PRE_CHECK_IMAGE_VERSION_FAILED if by_pods else Reason.PRE_CHECK_METRIC_FAILED
    return Hold(reason, windows.words(failing), requeue_after=next_look)


def _inputs(
    observed: Observed,
    selectors: frozenset[str],
    metrics: Mapping[str, MetricCheck],
    stale: frozenset[str],
) -> CheckInputs:
    """What to observe while a run wants to start. Once all checks seem to hold, this is everything that is not fresh any more."""
    return CheckInputs(
        selectors=selectors,
        refresh=selectors & stale,
        metrics={key: query(check) for key, check in metrics.items()},
        ask=frozenset(metrics) & stale | windows.due(observed, metrics),
    )


def _stale(
    observed: Observed, selectors: frozenset[str], metrics: Mapping[str, MetricCheck]
) -> frozenset[str]:
    """The selectors and definitions whose last observation is no longer fresh; all of them were seen once."""
    seen = {
        **{text: observed.pods_seen[text].heard for text in selectors},
        **{key: observed.samples[key].at for key in metrics},
    }
    return frozenset(key for key, at in seen.items() if not timedelta() <= observed.now - at <= FRESH)


def _passed(check: CheckStatus, pods: list[pod_checks.PodLook]) -> CheckStatus:
    """The check as a run is let start with it: `disallowDowngrade` compares with its versions from now on."""
    if check.kind is not CheckKind.POD_VERSION:
        return check
    highest = next((look.highest for look in pods if look.name == check.name), {})
    return replace(check, highest=dict(highest))
