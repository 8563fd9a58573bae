from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.cli.actions.waiting import timed_out
from tests.unit.cli.builders import FAILED, RUN, seen, waiting

if TYPE_CHECKING:
    from dbupgrade.cli.view import Seen


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (None, "Timed out after 5 s; the resource was never seen"),
        (
            seen("Progressing", "JobPending", "the pod starts", run=RUN),
            "Timed out after 5 s; last state: Running: JobPending: the pod starts; the run continues",
        ),
        (
            seen("", "DatabaseBusy", "waiting for first"),
            "Timed out after 5 s; last state: Waiting: DatabaseBusy: waiting for first; it continues automatically",
        ),
        (
            seen("", "Suspended", "spec.suspend is true", suspend=True),
            "Timed out after 5 s; last state: Suspended: spec.suspend is true; resume it: kubectl dbupgrade resume app",
        ),
        (
            seen("Ready", generation=2),
            "Timed out after 5 s; last state: Unseen: the operator has not seen generation 2 of the spec yet; "
            "check that the operator is running",
        ),
        (
            seen("Stalled", "JobFailed", "SQLError: …", run=FAILED),
            "Timed out after 5 s; last state: Failed: JobFailed: SQLError: …; it is not retried automatically",
        ),
        (
            waiting(),
            "Timed out after 5 s; last state: Waiting: ApprovalPending: the plan needs approval; "
            "approve its plan: kubectl dbupgrade approve app",
        ),
    ],
)
def test_the_end_of_the_time_says_what_was_seen_last(last: Seen | None, text: str) -> None:
    assert timed_out(5, last) == text
