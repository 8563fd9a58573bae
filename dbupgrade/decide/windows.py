"""How a metric check's verdict follows from its last one and a new sample: the time that a condition must hold.

What a check needs to go on is in its status, so that it survives a restart of the operator. Contract, section 5.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.names import digest
from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.decide.metric_values import Reading, Sample, query, read
from dbupgrade.decide.observed import Observed

_MESSAGE_LENGTH = 1024
_RECHECK_SECONDS = 30.0  # for what no watch brings, and for a status that waits to be written


def definition(phase: CheckPhase, check: MetricCheck) -> str:
    """Identity of a check as it is written; fields at their defaults do not enter, so a newer operator changes none."""
    return digest(phase, check.model_dump_json(exclude_defaults=True), length=16)


def due(observed: Observed, metrics: Mapping[str, MetricCheck]) -> frozenset[str]:
    """The definitions of the checks whose interval is over (or that were never evaluated, or a clock was set back)."""
    return frozenset(key for key, check in metrics.items() if _remaining(observed, key, check) <= 0)


def next_look(observed: Observed, metrics: Mapping[str, MetricCheck]) -> float:
    """Seconds until one of the checks is due; those that are due now are being asked for."""
    waits = (_remaining(observed, key, check) or check.interval_seconds for key, check in metrics.items())
    return min([_RECHECK_SECONDS, *waits])


def words(checks: Iterable[CheckStatus]) -> str:
    """The checks with what was seen, for a condition."""
    return "; ".join(f"{check.name}: {check.message}" for check in checks)


def before_run(observed: Observed, check: MetricCheck) -> CheckStatus | None:
    """The verdict of a check before a run; None when nothing was seen yet.

    Its condition must hold for `bakeSeconds` without a break. An observation that fails is a break, and so is a gap of more
    than twice the interval between two observations.
    """
    sample = observed.samples.get(definition(CheckPhase.PRE, check))
    if sample is None:
        return None
    last = _last(observed, CheckPhase.PRE, check)
    reading = read(check, sample)
    if not reading.holds:
        return _judged(CheckPhase.PRE, check, last, sample, (Verdict.FAILS, reading))
    if not check.bake_seconds:
        return _judged(CheckPhase.PRE, check, last, sample, (Verdict.HOLDS, reading))
    if last and not _unbroken(check, last, sample.at):
        last = None
    held = int((sample.at - last.since).total_seconds()) if last else 0
    if last and (last.verdict is Verdict.HOLDS or held >= check.bake_seconds):
        return _judged(CheckPhase.PRE, check, last, sample, (Verdict.HOLDS, reading))
    message = f"{reading.message}: has held for {held} s of {check.bake_seconds} s"
    return _judged(CheckPhase.PRE, check, last, sample, (Verdict.WAITING, replace(reading, message=message)))


def after_run(observed: Observed, check: MetricCheck, completed: datetime) -> CheckStatus:
    """The verdict of a check after the run whose Job `completed`: it waits `bakeSeconds` from then, then must hold once."""
    last = _last(observed, CheckPhase.POST, check)
    if last and last.verdict is Verdict.HOLDS:
        return last
    end = bake_end(check, completed)
    sample = observed.samples.get(definition(CheckPhase.POST, check))
    if observed.now < end or sample is None or sample.at < end:
        return last if last and last.verdict is Verdict.FAILS else _waiting(check, completed, end)
    reading = read(check, sample)
    verdict = Verdict.HOLDS if reading.holds else Verdict.FAILS
    return _judged(CheckPhase.POST, check, last, sample, (verdict, reading))


def bake_end(check: MetricCheck, completed: datetime) -> datetime:
    """When a check after a run is evaluated for the first time."""
    return completed + timedelta(seconds=check.bake_seconds)


def _remaining(observed: Observed, key: str, check: MetricCheck) -> float:
    """Seconds until the check is due; 0 when it is."""
    sample = observed.samples.get(key)
    age = (observed.now - sample.at).total_seconds() if sample else -1.0
    return max(check.interval_seconds - age, 0.0) if age >= 0 else 0.0


def _last(observed: Observed, phase: CheckPhase, check: MetricCheck) -> CheckStatus | None:
    """What was last known of the check, if it is about the check as it is written now."""
    last = observed.last_check(phase, CheckKind.METRIC, check.name)
    return last if last and last.definition == definition(phase, check) else None


def _unbroken(check: MetricCheck, last: CheckStatus, at: datetime) -> bool:
    """Whether the condition held at the observation before, and that is not too long ago (or in a clock's future)."""
    if last.verdict is Verdict.FAILS or last.observed_at is None:
        return False
    return timedelta() <= at - last.observed_at <= timedelta(seconds=2 * check.interval_seconds)


def _judged(
    phase: CheckPhase,
    check: MetricCheck,
    last: CheckStatus | None,
    sample: Sample,
    found: tuple[Verdict, Reading],
) -> CheckStatus:
    verdict, reading = found
    return CheckStatus(
        phase=phase,
        kind=CheckKind.METRIC,
        name=check.name,
        verdict=verdict,
        last_value=reading.value or None,
        message=reading.message[:_MESSAGE_LENGTH],
        since=last.since if last and last.verdict is verdict else sample.at,
        observed_at=sample.at,
        definition=definition(phase, check),
    )


def _waiting(check: MetricCheck, completed: datetime, end: datetime) -> CheckStatus:
    message = f"{query(check).words} is evaluated from {end:%H:%M:%S} UTC"
    return CheckStatus(
        phase=CheckPhase.POST,
        kind=CheckKind.METRIC,
        name=check.name,
        verdict=Verdict.WAITING,
        message=message[:_MESSAGE_LENGTH],
        since=completed,
        definition=definition(CheckPhase.POST, check),
    )
