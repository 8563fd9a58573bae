from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.cli import consequences
from tests.unit.cli.builders import DONE, FAILED, PLAN, PLANNED, RUN, seen, waiting

if TYPE_CHECKING:
    from dbupgrade.cli.view import Seen

UNREACHABLE = {**FAILED, "failure": "DatabaseUnreachable", "attempt": 2}


@pytest.mark.parametrize(
    ("resource", "text", "refused"),
    [
        (seen("Stalled", "JobFailed", run=FAILED), "attempt 2 with shop:2.0.0 starts now", False),
        (seen("", "JobFailed", run=UNREACHABLE), "attempt 3 with shop:2.0.0 starts now", False),
        (seen("Progressing", "JobPending", run=RUN), "run 2 is in progress; if it fails, it is retried once", False),
        (seen("", "JobFailed", suspend=True, run=FAILED), "suspended: resume it first: kubectl dbupgrade resume app", True),
        (seen("Ready", run=DONE), "nothing to retry: the last run succeeded", True),
        (seen("", "PostCheckFailed", run=DONE), "nothing to retry: the last run succeeded", True),
        (seen("Progressing", "PostCheckBakeTimeWaiting", run=DONE), "nothing to retry: the last run succeeded", True),
        (seen("", "SecretNotFound", "no login"), "no run has failed; it waits and starts automatically (SecretNotFound: no login)", True),
        (seen("Stalled", "InvalidSpec", "wrong"), "correct the resource first (InvalidSpec: wrong)", True),
        (seen("Stalled", "JobFailed", run=FAILED, generation=2), "the operator has not seen generation 2 yet", True),
    ],
)  # fmt: skip
def test_a_retry_says_what_happens(resource: Seen, text: str, refused: bool) -> None:
    answer = consequences.of_retry(resource)
    assert text in answer.text
    assert answer.refused is refused


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (seen("Ready", run=DONE), "suspended; no run starts until it is resumed"),
        (seen("Progressing", "MigrationInProgress", run=RUN), "suspended; the run in progress continues, and no other"),
        (seen("Ready", suspend=True, run=DONE), "already suspended"),
    ],
)  # fmt: skip
def test_a_suspension_says_what_goes_on(resource: Seen, text: str) -> None:
    assert consequences.of_suspend(resource).text.startswith(text)


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (seen("Ready", run=DONE), "not suspended: nothing to resume"),
        (seen("", "Suspended", suspend=True), "resumed; the run that was held back starts now"),
        (seen("Ready", suspend=True, run=DONE, generation=2), "resumed; the run that was held back starts now"),
        (seen("Progressing", "MigrationInProgress", suspend=True, run=RUN), "resumed; the run in progress continues"),
        (seen("Stalled", "JobFailed", suspend=True, run=FAILED), "resumed; the last run failed and is not retried automatically"),
        (seen("", "JobFailed", suspend=True, run=UNREACHABLE), "resumed; attempt 3 starts at 12:01:"),
        (seen("Ready", suspend=True, run=DONE), "resumed; the last run succeeded, and no other run is due"),
        (seen("", "SecretNotFound", "no login", suspend=True), "resumed; it waits (SecretNotFound: no login)"),
    ],
)  # fmt: skip
def test_the_end_of_a_suspension_says_what_starts(resource: Seen, text: str) -> None:
    assert consequences.of_resume(resource).text.startswith(text)


OTHER = "sha256:" + "2" * 64
CHANGED = {**PLANNED, "failure": "PlanChanged"}


@pytest.mark.parametrize(
    ("resource", "digest", "text", "refused"),
    [
        (waiting(), "", "the run that carries it out starts now", False),
        (waiting(), PLAN, "the run that carries it out starts now", False),
        (waiting(f"reject {PLAN} bob"), PLAN, "the run that carries it out starts now", False),
        (waiting(f"approve {OTHER} bob"), PLAN, "the run that carries it out starts now", False),
        (waiting(run=CHANGED, reason="PlanChanged"), PLAN, "the run that carries it out starts now", False),
        (waiting(suspend=True), PLAN, "starts when it is resumed: kubectl dbupgrade resume app", False),
        (waiting(f"approve {PLAN} bob"), PLAN, "already approved by bob", True),
        (waiting(), OTHER, f"the plan that waits is {PLAN}, not {OTHER}", True),
        (waiting(generation=2), PLAN, "has not seen generation 2 yet", True),
        (waiting(run=RUN), PLAN, "no plan waits for approval: a run is in progress", True),
        (waiting(plan=None), PLAN, "no plan waits for approval (ApprovalPending: ", True),
        (seen("Ready", run=DONE), "", "no plan waits for approval (MigrationComplete: applied 2 files)", True),
        (seen("Stalled", "JobFailed", run=FAILED), "", "no plan waits for approval (JobFailed: ", True),
    ],
)  # fmt: skip
def test_an_approval_says_what_happens(resource: Seen, digest: str, text: str, *, refused: bool) -> None:
    answer = consequences.of_approval(resource, digest)
    assert text in answer.text
    assert answer.refused is refused


def test_a_rejection_says_what_happens() -> None:
    assert not consequences.of_rejection(waiting(f"approve {PLAN} bob"), PLAN).refused
    assert consequences.of_rejection(waiting(), OTHER).refused
    assert consequences.of_rejection(seen("Ready", run=DONE), "").refused
