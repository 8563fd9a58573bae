"""Why a resource does not start, and what to do: a pure function of what its status says."""

from dbupgrade.api.conditions import READY, STALLED, Reason
from dbupgrade.api.status import Verdict
from dbupgrade.cli.view import Seen
from dbupgrade.decide.failures import RULES, Retry

_UNSEEN = (
    "The operator has not looked at this change yet. It does so at once; if this stays, it is not running, or it does not "
    "watch this namespace or these labels: kubectl --namespace dbupgrade-system get pods"
)
_NOTHING = "Nothing will happen without a person"
_REASONS = {
    Reason.SUSPENDED: "spec.suspend is true: nothing new starts. `kubectl dbupgrade resume` takes it back.",
    Reason.SECRET_NOT_FOUND: "Create the Secret, or correct spec.database.connection.urlSecretRef. It is looked for every 30 s.",
    Reason.INVALID_SPEC: "Correct the field that the message names, or the URL in the Secret.",
    Reason.DATABASE_BUSY: "It waits for its turn on the database, and starts by itself when the other has ended.",
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED: "Roll the pods out to at least that version. They are watched: it starts at once then.",
    Reason.PRE_CHECK_METRIC_FAILED: "The metric is read again each interval. Correct the threshold if it cannot be reached.",
    Reason.POST_CHECK_FAILED: "The migration itself is done and is not run again. The check is read again until it passes.",
    Reason.POST_CHECK_BAKE_TIME_WAITING: "The migration is done; the checks after it begin when the bake time is over.",
    Reason.AWS_NOT_SUPPORTED: "AWS is off in the operator's settings (aws.enabled), or spec.database.aws is missing.",
    Reason.AWS_AUTH_FAILED: "AWS refused the role. Check roleArn, its trust policy and the ExternalId, which is namespace/name.",
    Reason.LINT_FAILED: "Nothing was applied. Change the migrations to the safer way, suppress a finding with its reason, or set "
    "spec.policy.lint to warn.",
    Reason.JOB_PENDING: "The Job is created; its pod is on the way.",
    Reason.MIGRATION_IN_PROGRESS: "The migration is at work. `kubectl dbupgrade wait` follows it, `kubectl dbupgrade logs -f` shows its log.",
}
_RETRIES = {
    Retry.BACKOFF: "It is tried again by itself, with growing delays.",
    Retry.SECRET_CHANGE: "It is tried again by itself when the Secret changes.",
    Retry.NEVER: f"{_NOTHING}: change the spec, or `kubectl dbupgrade retry`.",
}


def explain(seen: Seen) -> list[str]:
    """Findings, the most important first; each says what is seen or what to do."""
    if not seen.looked_at:
        return [_UNSEEN]
    if seen.is_true(READY):
        return [
            f"It is done: {seen.message}.",
            "A new image, folder, baseline or database starts the next run; nothing else does.",
        ]
    message, _, advice = seen.message.partition(" To do: ")
    found = [f"{seen.reason}: {message.rstrip('.')}."]
    if advice:
        found.append(f"What to do: {advice}.")
    run = seen.status.run
    if seen.reason == Reason.JOB_FAILED and run and run.failure:
        rule = RULES[run.failure]
        if not advice:
            found += [f"{run.failure}: {rule.what}.", f"What to do: {rule.advice}."]
        found.append(_RETRIES[rule.retry])
    elif seen.reason in _REASONS and not advice:
        found.append(_REASONS[Reason(seen.reason)])
    found += [
        f"{check.phase.lower()}-check {check.name} does not hold: {check.message}."
        for check in seen.status.checks
        if check.verdict is Verdict.FAILS and (check.message or "") not in seen.message
    ]
    if seen.is_true(STALLED) and not found[-1].startswith(_NOTHING):
        found.append(f"{_NOTHING} (Stalled).")
    return found
