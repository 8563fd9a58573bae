"""Why a resource is where it is, and what to do: a pure function of its spec and status."""

from dataclasses import dataclass, replace
from enum import Enum

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import READY, STALLED, Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import PreflightFinding
from dbupgrade.api.run import Run
from dbupgrade.cli import style
from dbupgrade.cli.pods import problem
from dbupgrade.cli.view import Seen
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.retries import delay_after
from dbupgrade.decide.statuses import what_failed
from dbupgrade.objects import Object

_ADVICE = {
    Reason.SUSPENDED: "Resume it: kubectl dbupgrade resume {name}",
    Reason.SECRET_NOT_FOUND: "Create the Secret with that key; the operator checks again automatically. To use another Secret, delete the DBUpgrade and create it again.",
    Reason.INVALID_SPEC: "Correct the field that the message names, or the URL in the Secret.",
    Reason.DATABASE_BUSY: "Another migration uses the database. This one starts automatically when the other has finished.",
    Reason.AWS_NOT_SUPPORTED: "Enable AWS in the operator's settings (aws.enabled); to connect in another way, delete the DBUpgrade and create it again.",
    Reason.AWS_AUTH_FAILED: "Check spec.database.aws.roleArn, and that the role's trust policy has the ExternalId {namespace}/{name}.",
    Reason.POST_CHECK_BAKE_TIME_WAITING: "The migration is done. The checks after it start when the bake time is over.",
    Reason.JOB_PENDING: "The Job exists and its pod is starting. Watch it: kubectl dbupgrade wait {name}",
    Reason.WAITING_FOR_LOCK: "A statement waits for a lock that another session holds. Wait for that session to end, or end it: "
    "SELECT pg_terminate_backend(PID)",
    Reason.MIGRATION_IN_PROGRESS: "The migration is running. Watch it: kubectl dbupgrade logs {name} --follow",
}
_CHECK_ADVICE = {
    CheckKind.POD_VERSION: "Roll out a newer version of these pods; the operator watches them.",
    CheckKind.METRIC: "The metric is read again at each interval. If the threshold cannot be reached, correct it in spec.checks.",
}
_OF_CHECKS = {
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED,
    Reason.PRE_CHECK_METRIC_FAILED,
    Reason.POST_CHECK_FAILED,
}
_OF_PODS = (
    ("cannot be scheduled", Failure.UNSCHEDULABLE),
    ("cannot be pulled", Failure.IMAGE_PULL),
    ("", Failure.POD_SETTINGS),
)
"""Words of `pods.problem`, and the failure that the run ends with if that lasts."""
_AFTER_THE_RUN = "The migration itself is done and does not run again; the check is evaluated until it holds."


class Kind(Enum):
    """What a finding is about."""

    SEEN = "seen"
    ADVICE = "advice"
    NEXT = "next"


@dataclass(frozen=True)
class Finding:
    """What was seen, what to do about it, or what happens next."""

    kind: Kind
    text: str


def explain(seen: Seen, pods: list[Object] | None = None) -> list[Finding]:
    """Findings, the most important first; `pods` are those of the last run."""
    if not seen.looked_at:
        return _unseen(seen)
    if seen.is_true(READY):
        return [
            Finding(Kind.SEEN, f"Ready: {seen.message}."),
            Finding(
                Kind.NEXT,
                "The next run starts when the image, the folder, the baseline or the database changes.",
            ),
        ]
    found = _failed(seen, seen.status.run) if seen.failed else _held(seen, pods or [])
    if seen.suspended and seen.reason != Reason.SUSPENDED:
        resume = f"Suspended: no run starts until it is resumed: kubectl dbupgrade resume {seen.name}"
        found.append(Finding(Kind.NEXT, resume))
    return found


def lines(found: list[Finding]) -> list[str]:
    """The findings as they are printed."""
    shown = {
        Kind.SEEN: "{}",
        Kind.ADVICE: f"{style.paint('What to do:', style.Meaning.HEADING)} {{}}",
        Kind.NEXT: "{}",
    }
    return [shown[finding.kind].format(finding.text) for finding in found]


def _unseen(seen: Seen) -> list[Finding]:
    """The status says nothing about the spec as it is."""
    last = seen.status.observed_generation
    known = f"the last one that it saw is {last}" if last > 0 else "it has not seen this resource yet"
    what = f"The operator has not seen generation {seen.generation} of the spec yet ({known})."
    advice = (
        "This takes less than a second. If it lasts, check that the operator is running, and that it watches this namespace "
        "and these labels: kubectl --namespace dbupgrade-system get pods"
    )
    return [Finding(Kind.SEEN, what), Finding(Kind.ADVICE, advice)]


def _failed(seen: Seen, run: Run | None) -> list[Finding]:
    if run is None or run.failure is None:
        return []
    kind = KINDS[run.failure]
    # Each finding is shown with what mends it.
    told = replace(run, error=None) if run.failure is Failure.PREFLIGHT and seen.status.preflight else run
    found = [Finding(Kind.SEEN, f"{what_failed(told)}.")]
    found += _plan(seen)
    found += [each for one in seen.status.preflight for each in _preflight(one)]
    found.append(Finding(Kind.ADVICE, kind.advise(seen.secret)))
    then = None if seen.suspended else _then(seen, run, kind.retry)
    return [*found, Finding(Kind.NEXT, then)] if then else found


def _plan(seen: Seen) -> list[Finding]:
    """Which plan waits for approval and why, and who has rejected it."""
    plan = seen.waiting_plan
    if plan is None:
        return []
    files = f"{plan.file_count} {'file' if plan.file_count == 1 else 'files'}"
    told = [f"Plan {plan.digest} of {files} needs approval: {plan.asks}."]
    return [Finding(Kind.SEEN, text) for text in (*told, seen.rejection) if text]


def _preflight(one: PreflightFinding) -> list[Finding]:
    """What was found before anything was applied, and the command that mends it."""
    seen = Finding(Kind.SEEN, f"Preflight {one.severity} ({one.check}): {one.message}")
    return [seen, Finding(Kind.ADVICE, one.fix)] if one.fix else [seen]


def _then(seen: Seen, run: Run, retry: Retry) -> str | None:
    """When the failed run is retried; nothing when the advice has said so."""
    if seen.retry_pending:
        return "A retry was requested and starts now."
    delay = delay_after(run, seen.uid)
    if delay and run.finished_at and retry is Retry.SECRET_CHANGE:
        return (
            f"The operator does not read Secrets: attempt {run.attempt + 1} starts at {run.finished_at + delay:%H:%M:%S} UTC. "
            f"To start it at once: kubectl dbupgrade retry {seen.name}"
        )
    if delay and run.finished_at:
        return f"Retried automatically: attempt {run.attempt + 1} starts at {run.finished_at + delay:%H:%M:%S} UTC."
    if retry is Retry.APPROVAL:
        return f"To approve the plan: kubectl dbupgrade approve {seen.name}"
    if retry is Retry.NEVER:
        return f"Not retried automatically: change the spec, or run it again: kubectl dbupgrade retry {seen.name}"
    return None


def _held(seen: Seen, pods: list[Object]) -> list[Finding]:
    """A run that does not start yet, or one that is not done."""
    failing = [check for check in seen.status.checks if check.verdict is Verdict.FAILS]
    if failing and seen.reason in _OF_CHECKS:
        return [finding for check in failing for finding in _failing(check)]
    found = [Finding(Kind.SEEN, f"{seen.reason}: {seen.message}")]
    if seen.reason == Reason.JOB_PENDING and pods and (why := problem(pods[-1])):
        found += _not_starting(seen, why)
    elif seen.reason in _ADVICE:
        advice = _ADVICE[Reason(seen.reason)].format(name=seen.name, namespace=seen.namespace)
        found.append(Finding(Kind.ADVICE, advice))
    if seen.is_true(STALLED):
        found.append(Finding(Kind.NEXT, "Stalled: nothing happens until somebody changes the resource."))
    return found


def _not_starting(seen: Seen, why: str) -> list[Finding]:
    """Why the pod does not start, unless the operator has said it by now, and what to do."""
    told = why.rpartition("cannot be scheduled: ")[2] in seen.message
    failure = next(failure for words, failure in _OF_PODS if words in why)
    advice = Finding(Kind.ADVICE, KINDS[failure].advise(seen.secret))
    return [advice] if told else [Finding(Kind.SEEN, why), advice]


def _failing(check: CheckStatus) -> list[Finding]:
    """A check that does not hold, and what changes that."""
    value = check.message or check.last_value or "no value was read"
    found = Finding(Kind.SEEN, f"{check.phase}-check {check.name} fails: {value}")
    if check.phase is CheckPhase.POST:
        return [found, Finding(Kind.NEXT, _AFTER_THE_RUN)]
    return [found, Finding(Kind.ADVICE, _CHECK_ADVICE[check.kind])]
