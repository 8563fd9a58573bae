"""Resources as the API server has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dbupgrade.cli.view import Seen

NOW = datetime(2026, 1, 1, 12, 5, 30, tzinfo=UTC)
RUN = {
    "jobName": "shop-1a2b", "sequence": 2, "runId": "r", "image": "shop:2.0.0", "generation": 1,
    "startedAt": "2026-01-01T12:00:00Z",
}  # fmt: skip
DONE = {
    **RUN, "finishedAt": "2026-01-01T12:00:42Z", "result": "Succeeded",
    "fromVersion": "20250101", "toVersion": "20250103", "appliedCount": 2,
}  # fmt: skip
PLAN = "sha256:" + "1" * 64
PLANNED = {
    **RUN, "finishedAt": "2026-01-01T12:00:42Z", "result": "Planned", "failure": "ApprovalPending", "plan": PLAN,
}  # fmt: skip
FAILED = {
    **RUN, "finishedAt": "2026-01-01T12:00:42Z", "result": "Failed", "failure": "SQLError", "error": "syntax error",
    "failedFile": "20250103_x.sql", "failedStatement": "CREATE TABEL x", "secretVersion": "uid/1",
}  # fmt: skip


def seen(
    states: str = "", reason: str = "MigrationComplete", message: str = "applied 2 files", **status: Any
) -> Seen:
    """A resource whose conditions named in `states` are True."""
    return Seen.of(an_object(states, reason, message, **status))


def an_object(
    states: str,
    reason: str,
    message: str,
    *,
    suspend: bool = False,
    retry: str = "",
    generation: int = 1,
    **status: Any,
) -> dict[str, Any]:
    """The same as JSON."""
    conditions = [
        {
            "type": kind,
            "status": "True" if kind in states else "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-01T12:00:00Z",
        }
        for kind in ("Ready", "Progressing", "Stalled")
    ]
    return {
        "metadata": {
            "namespace": "shop",
            "name": "app",
            "uid": "u",
            "generation": generation,
            "annotations": {"dbupgrade.subbug.learning/retry": retry},
        },
        "spec": {
            "migrations": {"image": "shop:2.0.0"},
            "database": {"connection": {"urlSecretRef": {"name": "login"}}},
            "suspend": suspend,
        },
        "status": {"observedGeneration": 1, "conditions": conditions, **status},
    }


def waiting(said: str = "", reason: str = "ApprovalPending", **more: Any) -> Seen:
    """A resource whose plan waits for approval, with what the annotation says."""
    plan = {
        "digest": PLAN,
        "asks": "spec.policy.approval is Always",
        "fromVersion": "1",
        "toVersion": "2",
        "fileCount": 1,
    }
    given = {"run": PLANNED, "plan": plan, **more}
    obj = an_object("", reason, "the plan needs approval", **given)
    obj["metadata"]["annotations"]["dbupgrade.subbug.learning/approval"] = said
    return Seen.of(obj)


def check(
    name: str, message: str, phase: str = "Pre", kind: str = "Metric", verdict: str = "Fails"
) -> dict[str, str]:
    """What is known of a check."""
    seen_of = {"phase": phase, "kind": kind, "name": name, "verdict": verdict, "message": message}
    return {**seen_of, "since": "2026-01-01T12:00:00Z"}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop-1a2b-x"}, "status": {"phase": "Pending", **status}}
