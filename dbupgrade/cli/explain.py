"""Why a resource is where it is, and what to do: a pure function of its spec and status."""

from dbupgrade.api.conditions import READY, STALLED, Reason
from dbupgrade.api.status import CheckKind, CheckPhase, CheckStatus, Run, Verdict
from dbupgrade.cli.view import Seen
from dbupgrade.decide.failures import KINDS, Retry, retry_delay
from dbupgrade.decide.statuses import what_failed

_ADVICE = {
    Reason.SUSPENDED: "spec.suspend is true, so no run starts. Resume it: kubectl dbupgrade resume {name}",
    Reason.SECRET_NOT_FOUND: "Create the Secret, or correct its name and key in spec.database. The operator looks again every 30 s.",
    Reason.INVALID_SPEC: "Correct the field that the message names, or the URL in the Secret.",
    Reason.DATABASE_BUSY: "Another migration uses the database. This one starts automatically when the other has finished.",
    Reason.AWS_NOT_SUPPORTED: "Enable AWS in the operator's settings (aws.enabled), or set spec.database.aws or spec.database.connection.",
    Reason.AWS_AUTH_FAILED: "Check spec.database.aws.roleArn, and that the role's trust policy has the ExternalId {namespace}/{name}.",
    Reason.POST_CHECK_BAKE_TIME_WAITING: "The migration is done. The checks after it start when the bake time is over.",
    Reason.JOB_PENDING: "The Job exists and its pod is starting. Watch it: kubectl dbupgrade wait {name}",
    Reason.MIGRATION_IN_PROGRESS: "The migration is running. Watch it: kubectl dbupgrade logs {name} --follow",
}
_CHECK_ADVICE = {
    CheckKind.POD_VERSION: "Roll out a newer version of these pods; the operator watches them.",
    CheckKind.METRIC: "The metric is read again at each interval. If the threshold cannot be reached, correct it in spec.checks.",
}
_AFTER_THE_RUN = "The migration itself is done and does not run again; the check is evaluated until it holds."


def explain(seen: Seen) -> list[str]:
    """Findings, the most important first; each says what was seen or what to do."""
    if not seen.looked_at:
        return _unseen(seen)
    if seen.is_true(READY):
        return [
            f"Ready: {seen.message}.",
            "The next run starts when the image, the folder, the baseline or the database changes.",
        ]
    found = _failed(seen, seen.status.run) if seen.failed else _held(seen)
    if seen.suspended and seen.reason != Reason.SUSPENDED:
        found.append(f"Suspended: no run starts until it is resumed: kubectl dbupgrade resume {seen.name}")
    return found


def _unseen(seen: Seen) -> list[str]:
    """The status says nothing about the spec as it is."""
    last = seen.status.observed_generation
    known = f"the last one that it saw is {last}" if last > 0 else "it has not seen this resource yet"
    return [
        f"The operator has not seen generation {seen.generation} of the spec yet ({known}).",
        "This takes less than a second. If it lasts, the operator is not running, or does not watch this namespace or these "
        "labels: kubectl --namespace dbupgrade-system get pods",
    ]


def _failed(seen: Seen, run: Run | None) -> list[str]:
    if run is None or run.failure is None:
        return []
    kind = KINDS[run.failure]
    found = [f"{what_failed(run)}.", f"What to do: {kind.advise(seen.secret)}"]
    delay = retry_delay(run.failure, run.attempt, seen.uid)
    if seen.suspended:
        return found
    if delay is not None and run.finished_at:
        at = run.finished_at + delay
        found.append(f"Retried automatically: attempt {run.attempt + 1} starts at {at:%H:%M:%S} UTC.")
    elif seen.retry_pending:
        found.append("A retry was requested and starts now.")
    elif kind.retry is Retry.NEVER:
        found.append(
            f"Not retried automatically: change the spec, or run it again: kubectl dbupgrade retry {seen.name}"
        )
    return found


def _held(seen: Seen) -> list[str]:
    """A run that does not start yet, or one that is not done."""
    failing = [check for check in seen.status.checks if check.verdict is Verdict.FAILS]
    if failing and seen.reason in _OF_CHECKS:
        return [line for check in failing for line in _failing(check)]
    found = [f"{seen.reason}: {seen.message}"]
    advice = _ADVICE.get(Reason(seen.reason)) if seen.reason in set(Reason) else None
    if advice:
        found.append(advice.format(name=seen.name, namespace=seen.namespace))
    if seen.is_true(STALLED):
        found.append("Stalled: nothing happens until somebody changes the resource.")
    return found


_OF_CHECKS = {
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED,
    Reason.PRE_CHECK_METRIC_FAILED,
    Reason.POST_CHECK_FAILED,
}


def _failing(check: CheckStatus) -> list[str]:
    """A check that does not hold, and what changes that."""
    found = [
        f"{check.phase}-check {check.name} fails: {check.message or check.last_value or 'no value was read'}"
    ]
    return [*found, _AFTER_THE_RUN if check.phase is CheckPhase.POST else _CHECK_ADVICE[check.kind]]
