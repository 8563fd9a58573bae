"""What follows from a retry, a suspension and its end: pure functions of what is seen before the change."""

from dataclasses import dataclass

from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, Reason
from dbupgrade.cli.view import Seen
from dbupgrade.decide.retries import delay_after


@dataclass(frozen=True)
class Answer:
    """What happens, or, if `refused`, why nothing is changed."""

    text: str
    refused: bool = False


def of_retry(seen: Seen) -> Answer:
    """A retry starts a failed run again, and has no effect on anything else."""
    run = seen.status.run
    if seen.suspended:
        return Answer(f"suspended: resume it first: kubectl dbupgrade resume {seen.name}", refused=True)
    if not seen.looked_at:
        return Answer(
            f"nothing to retry: the operator has not seen generation {seen.generation} yet, and starts it automatically",
            refused=True,
        )
    if run and run.active:
        return Answer(f"run {run.sequence} is in progress; if it fails, it is retried once without delay")
    if seen.failed and run:
        return Answer(f"attempt {run.attempt + 1} with {run.image} starts now")
    if seen.is_true(READY) or seen.is_true(PROGRESSING) or seen.reason == Reason.POST_CHECK_FAILED:
        return Answer("nothing to retry: the last run succeeded", refused=True)
    if seen.is_true(STALLED):
        return Answer(
            f"nothing to retry: correct the resource first ({seen.reason}: {seen.message})", refused=True
        )
    return Answer(
        f"nothing to retry: no run has failed; it waits and starts automatically ({seen.reason}: {seen.message})",
        refused=True,
    )


def of_suspend(seen: Seen) -> Answer:
    """A suspension holds back the next run."""
    if seen.suspended:
        return Answer("already suspended")
    if _running(seen):
        return Answer("suspended; the run in progress continues, and no other run starts until it is resumed")
    return Answer("suspended; no run starts until it is resumed")


def of_resume(seen: Seen) -> Answer:
    """The end of a suspension starts what it has held back."""
    if not seen.suspended:
        return Answer("not suspended: nothing to resume")
    run = seen.status.run
    if not seen.looked_at or seen.reason == Reason.SUSPENDED:
        return Answer("resumed; the run that was held back starts now, if nothing else prevents it")
    if _running(seen):
        return Answer("resumed; the run in progress continues")
    if seen.failed and run and run.failure and run.finished_at:
        delay = delay_after(run, seen.uid)
        if delay is None:
            return Answer(
                f"resumed; the last run failed and is not retried automatically: kubectl dbupgrade explain {seen.name}"
            )
        at = run.finished_at + delay
        return Answer(
            f"resumed; attempt {run.attempt + 1} starts at {at:%H:%M:%S} UTC, or now if that has passed"
        )
    if seen.is_true(READY):
        return Answer("resumed; the last run succeeded, and no other run is due")
    return Answer(f"resumed; it waits ({seen.reason}: {seen.message})")


def of_approval(seen: Seen, digest: str) -> Answer:
    """What an approval of the plan that waits starts; refused where none waits, or another than `digest` (empty: whichever)."""
    if refused := _no_plan(seen, digest):
        return refused
    if seen.said and seen.said.approves and seen.waiting_plan and seen.said.plan == seen.waiting_plan.digest:
        return Answer(f"already approved by {seen.said.by}", refused=True)
    if seen.suspended:
        return Answer(f"the run starts when it is resumed: kubectl dbupgrade resume {seen.name}")
    return Answer("the run that carries it out starts now, if nothing else prevents it")


def of_rejection(seen: Seen, digest: str) -> Answer:
    """What a rejection of the plan that waits means; refused as an approval is."""
    return _no_plan(seen, digest) or Answer(
        "nothing is applied until somebody approves the plan or the spec changes"
    )


def _no_plan(seen: Seen, digest: str) -> Answer | None:
    """Why there is nothing to approve or reject, if so."""
    if not seen.looked_at:
        text = f"the operator has not seen generation {seen.generation} yet; see kubectl dbupgrade status {seen.name}"
        return Answer(text, refused=True)
    if _running(seen):
        return Answer("no plan waits for approval: a run is in progress", refused=True)
    plan = seen.waiting_plan
    if plan is None:
        return Answer(f"no plan waits for approval ({seen.reason}: {seen.message})", refused=True)
    if digest not in {"", plan.digest}:
        text = f"the plan that waits is {plan.digest}, not {digest}; read it first: kubectl dbupgrade status {seen.name}"
        return Answer(text, refused=True)
    return None


def _running(seen: Seen) -> bool:
    return seen.status.run is not None and seen.status.run.active
