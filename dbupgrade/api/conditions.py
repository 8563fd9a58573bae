"""Conditions, their types and every reason, in one file; and how a condition changes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.record import Record

READY = "Ready"
PROGRESSING = "Progressing"
STALLED = "Stalled"


class Reason(StrEnum):
    """Reasons of conditions. Users have alerts on them: they are never renamed."""

    INITIALIZING = "Initializing"
    JOB_PENDING = "JobPending"
    MIGRATION_IN_PROGRESS = "MigrationInProgress"
    WAITING_FOR_LOCK = "WaitingForLock"
    MIGRATION_COMPLETE = "MigrationComplete"
    JOB_FAILED = "JobFailed"
    PREFLIGHT_FAILED = "PreflightFailed"
    LINT_FAILED = "LintFailed"
    APPROVAL_PENDING = "ApprovalPending"
    PLAN_CHANGED = "PlanChanged"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    PRE_CHECK_IMAGE_VERSION_FAILED = "PreCheckImageVersionFailed"
    PRE_CHECK_METRIC_FAILED = "PreCheckMetricFailed"
    POST_CHECK_FAILED = "PostCheckFailed"
    POST_CHECK_BAKE_TIME_WAITING = "PostCheckBakeTimeWaiting"
    AWS_NOT_SUPPORTED = "AWSNotSupported"
    AWS_AUTH_FAILED = "AWSAuthFailed"
    SUSPENDED = "Suspended"
    DATABASE_BUSY = "DatabaseBusy"
    INVALID_SPEC = "InvalidSpec"


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition(Record):
    """A standard metav1 condition."""

    type: Annotated[
        str,
        Field(
            min_length=1, max_length=316, description="Type of the condition: Ready, Progressing or Stalled."
        ),
    ]
    status: Annotated[ConditionStatus, Field(description="Status of the condition: True, False or Unknown.")]
    observed_generation: Annotated[
        int, Field(description="Generation of the spec that the condition describes. Defaults to 0.")
    ] = 0
    last_transition_time: Annotated[
        datetime, Field(description="Time of the last change of the condition's status.")
    ]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            description="Reason for the status: one CamelCase word, for programs.",
        ),
    ]
    message: Annotated[
        str,
        Field(
            max_length=32768,
            description='Reason for the status, in words, for people. Defaults to "".',
        ),
    ] = ""


def set_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """`conditions` with `new` in the place of the one of its type, or at the end.

    lastTransitionTime moves only when the status does (Kubernetes API conventions, "Typical status properties").
    """
    result = []
    placed = False
    for old in conditions:
        if old.type != new.type:
            result.append(old)
            continue
        placed = True
        since = old.last_transition_time if old.status == new.status else new.last_transition_time
        result.append(replace(new, last_transition_time=since))
    return tuple(result) if placed else (*result, new)


def find_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of type `kind`, if there is one."""
    return next((condition for condition in conditions if condition.type == kind), None)
