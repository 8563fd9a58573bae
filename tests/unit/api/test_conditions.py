"""How a condition takes its place among the others."""

from datetime import UTC, datetime, timedelta

from dbupgrade.api.conditions import (
    Condition,
    ConditionStatus,
    Reason,
    find_condition,
    set_condition,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def condition(kind: str, status: ConditionStatus = TRUE, seconds: int = 0, reason: str = "A") -> Condition:
    time = NOW + timedelta(seconds=seconds)
    return Condition(type=kind, status=status, reason=reason, message=reason, last_transition_time=time)


def test_a_new_condition_goes_to_the_end() -> None:
    ready, progressing = condition("Ready"), condition("Progressing")
    assert set_condition((), ready) == (ready,)
    assert set_condition((ready,), progressing) == (ready, progressing)


def test_a_changed_condition_keeps_its_place() -> None:
    ready, progressing = condition("Ready"), condition("Progressing")
    changed = condition("Ready", FALSE, 5)
    assert set_condition((ready, progressing), changed) == (changed, progressing)


def test_the_time_moves_only_with_the_status() -> None:
    first = (condition("Ready"),)
    (same,) = set_condition(first, condition("Ready", TRUE, 5, "B"))
    assert (same.last_transition_time, same.reason, same.message) == (NOW, "B", "B")
    (changed,) = set_condition(first, condition("Ready", FALSE, 5, "B"))
    assert changed.last_transition_time == NOW + timedelta(seconds=5)


def test_conditions_of_others_are_left_alone() -> None:
    other = condition("SomebodyElses")
    assert set_condition((other,), condition("Ready"))[0] == other


def test_a_condition_is_found_by_its_type() -> None:
    ready = condition("Ready")
    assert find_condition((condition("Progressing"), ready), "Ready") == ready
    assert find_condition((ready,), "Stalled") is None


def test_the_reasons_that_users_have_alerts_on() -> None:
    assert sorted(Reason) == [
        "AWSAuthFailed",
        "AWSNotSupported",
        "ApprovalPending",
        "DatabaseBusy",
        "Initializing",
        "InvalidSpec",
        "JobFailed",
        "JobPending",
        "LintFailed",
        "MigrationComplete",
        "MigrationInProgress",
        "PlanChanged",
        "PostCheckBakeTimeWaiting",
        "PostCheckFailed",
        "PreCheckImageVersionFailed",
        "PreCheckMetricFailed",
        "PreflightFailed",
        "SecretNotFound",
        "Suspended",
        "WaitingForLock",
    ]
