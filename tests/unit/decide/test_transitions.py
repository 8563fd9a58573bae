"""Which change of a status is worth an Event, and which run has just ended."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.decide import statuses, transitions
from dbupgrade.pod.report import Report
from tests.unit.decide.builders import (
    IMAGE_1,
    IMAGE_2,
    NOW,
    a_job,
    a_spec,
    again,
    an_ended_pod,
    an_intent,
    decide,
    failed,
    later,
    observe,
    succeeded,
    the_run,
)

OBSERVED = observe()


def having(run: Run | None, *earlier: Run) -> Status:
    """A status with `run`, and `earlier` runs in its history."""
    ended = (run,) if run and not run.active else ()
    return Status(run=run, history=(*ended, *earlier))


def held(reason: Reason, status: Status | None = None) -> Status:
    return statuses.held(OBSERVED, status or Status(), reason, "what was seen")


def a_check(verdict: Verdict, **changes: Any) -> CheckStatus:
    check = CheckStatus(
        phase=CheckPhase.PRE,
        kind=CheckKind.METRIC,
        name="lag",
        verdict=verdict,
        last_value="7",
        message="it is 7",
        since=NOW,
        observed_at=NOW,
    )
    return replace(check, **changes)


def checked(*checks: CheckStatus, message: str = "lag: it is 7") -> Status:
    return statuses.held(OBSERVED, Status(checks=checks), Reason.PRE_CHECK_METRIC_FAILED, message)


def told(old: Status, new: Status) -> list[tuple[str, str, str]]:
    return [(event.type, event.reason, event.message) for event in transitions.events(old, new)]


def started(run: Run) -> tuple[str, str, str]:
    return "Normal", "MigrationStarted", f"run {run.sequence} with {run.image}, Job {run.job_name}"


SECOND = an_intent(a_spec(IMAGE_2), sequence=2)
RETRY = an_intent(sequence=2, attempt=2)
DOWN = failed(Failure.DATABASE_UNREACHABLE)
BROKEN = failed(Failure.SQL)
DOWN_AGAIN = failed(Failure.DATABASE_UNREACHABLE, RETRY)

TOLD = [
    pytest.param(Status(), having(an_intent()), [started(an_intent())], id="the first run starts"),
    pytest.param(
        having(succeeded()),
        having(SECOND, succeeded()),
        [("Normal", "SpecChanged", f"image {IMAGE_1} -> {IMAGE_2}"), started(SECOND)],
        id="a new image starts a run",
    ),
    pytest.param(
        having(succeeded()),
        having(an_intent(a_spec(migrations={"dir": "/sql"}), sequence=2), succeeded()),
        [
            ("Normal", "SpecChanged", "same image, other settings"),
            started(an_intent(a_spec(migrations={"dir": "/sql"}), sequence=2)),
        ],
        id="another folder of the same image starts a run",
    ),
    pytest.param(
        having(an_intent()),
        having(an_intent(sequence=2)),
        [started(an_intent(sequence=2))],
        id="a run takes the next number because of a foreign Job",
    ),
    pytest.param(having(DOWN), having(RETRY, DOWN), [], id="a retry starts without a word"),
    pytest.param(
        having(an_intent()),
        having(succeeded()),
        [("Normal", "MigrationSucceeded", "files applied: 2, database at 20240102000000")],
        id="a run succeeds",
    ),
    pytest.param(
        having(an_intent()),
        having(succeeded(applied_count=None, to_version=None)),
        [("Normal", "MigrationSucceeded", "files applied: unknown, database at unknown")],
        id="a run succeeds whose report is lost",
    ),
    pytest.param(
        having(an_intent()),
        having(DOWN),
        [("Warning", "MigrationFailed", "DatabaseUnreachable")],
        id="a run fails",
    ),
    pytest.param(having(RETRY, DOWN), having(DOWN_AGAIN), [], id="a retry fails as before without a word"),
    pytest.param(
        having(RETRY, DOWN),
        having(failed(Failure.CHECKSUM, RETRY), DOWN),
        [("Warning", "MigrationFailed", "ChecksumMismatch")],
        id="a retry fails otherwise",
    ),
    pytest.param(
        having(RETRY, DOWN),
        having(succeeded(RETRY), DOWN),
        [("Normal", "MigrationSucceeded", "files applied: 2, database at 20240102000000")],
        id="a retry succeeds",
    ),
    pytest.param(
        having(an_intent()),
        having(failed(Failure.SQL, failed_file="3_bad.sql", failed_statement="drop it", error="cannot")),
        [("Warning", "MigrationFailed", "SQLError in 3_bad.sql; status.run.error has the details")],
        id="a failed statement is told by file and class only",
    ),
    pytest.param(
        having(an_intent()),
        having(failed(Failure.SQL, failed_file="3_bad.sql", sqlstate="42P01", error="cannot")),
        [
            (
                "Warning",
                "MigrationFailed",
                "SQLError in 3_bad.sql (SQLSTATE 42P01); status.run.error has the details",
            )
        ],
        id="and by SQLSTATE, where that is known",
    ),
    pytest.param(
        Status(),
        held(Reason.SECRET_NOT_FOUND),
        [("Warning", "SecretNotFound", "what was seen")],
        id="no Secret",
    ),
    pytest.param(
        Status(),
        checked(a_check(Verdict.FAILS), a_check(Verdict.FAILS, name="other")),
        [("Warning", "PreCheckFailed", "lag: it is 7"), ("Warning", "PreCheckFailed", "other: it is 7")],
        id="checks before a run do not hold",
    ),
    pytest.param(
        checked(a_check(Verdict.HOLDS)),
        checked(a_check(Verdict.FAILS)),
        [("Warning", "PreCheckFailed", "lag: it is 7")],
        id="a check holds no longer",
    ),
    pytest.param(
        checked(a_check(Verdict.FAILS)),
        checked(a_check(Verdict.FAILS, message="it is 8"), a_check(Verdict.WAITING, name="other")),
        [],
        id="a check still does not hold, and another one waits",
    ),
    pytest.param(
        checked(a_check(Verdict.FAILS)),
        checked(a_check(Verdict.HOLDS), a_check(Verdict.FAILS, phase=CheckPhase.POST)),
        [("Warning", "PostCheckFailed", "lag: it is 7")],
        id="a check after the run of the same name does not hold",
    ),
    pytest.param(
        held(Reason.SECRET_NOT_FOUND), held(Reason.SECRET_NOT_FOUND), [], id="the Secret is still missing"
    ),
    pytest.param(Status(), held(Reason.SUSPENDED), [], id="suspended"),
    pytest.param(Status(), held(Reason.DATABASE_BUSY), [], id="waiting for the database"),
    pytest.param(having(succeeded()), having(succeeded()), [], id="nothing has changed"),
    pytest.param(having(an_intent()), having(an_intent(job_uid="x")), [], id="a Job was seen"),
    pytest.param(
        having(an_intent()), having(an_intent(failure=Failure.IMAGE_PULL)), [], id="a run is being given up"
    ),
]


TOLD += [
    pytest.param(having(DOWN), having(RETRY, DOWN), [], id="a retry by itself starts without a word"),
    pytest.param(
        having(BROKEN), having(RETRY, BROKEN), [started(RETRY)], id="a retry that a person asked for is told"
    ),
    pytest.param(
        having(failed(Failure.AUTHENTICATION)),
        having(RETRY, failed(Failure.AUTHENTICATION)),
        [started(RETRY)],
        id="a retry with a Secret that a person corrected is told",
    ),
    pytest.param(
        having(RETRY, BROKEN),
        having(failed(Failure.SQL, RETRY), BROKEN),
        [("Warning", "MigrationFailed", "SQLError")],
        id="a retry that a person asked for fails as before, and that is told",
    ),
    *(
        pytest.param(having(an_intent()), having(failed(failure)), [], id=f"{failure} is no failure to tell")
        for failure in (Failure.DATABASE_LOCKED, Failure.SUPERSEDED)
    ),
    pytest.param(
        having(failed(Failure.DATABASE_LOCKED)),
        having(RETRY, failed(Failure.DATABASE_LOCKED)),
        [],
        id="the next try for the lock starts without a word",
    ),
    pytest.param(
        having(failed(Failure.SUPERSEDED)),
        having(SECOND, failed(Failure.SUPERSEDED)),
        [("Normal", "SpecChanged", f"image {IMAGE_1} -> {IMAGE_2}"), started(SECOND)],
        id="what overtook a run is told",
    ),
]


@pytest.mark.parametrize(("old", "new", "events"), TOLD)
def test_events(old: Status, new: Status, events: list[tuple[str, str, str]]) -> None:
    assert told(old, new) == events


@pytest.mark.parametrize(
    ("old", "new", "ended"),
    [
        pytest.param(Status(), having(an_intent()), None, id="a run that has begun has not ended"),
        pytest.param(having(an_intent()), having(succeeded()), succeeded(), id="a run that has now an end"),
        pytest.param(having(succeeded()), having(succeeded()), None, id="not one that had it before"),
        pytest.param(Status(), having(DOWN), DOWN, id="a run whose beginning was not seen"),
        pytest.param(having(DOWN), having(DOWN_AGAIN), DOWN_AGAIN, id="the next one, refused at once"),
        pytest.param(having(succeeded()), Status(), None, id="nothing when the status is lost"),
    ],
)
def test_the_run_that_ended(old: Status, new: Status, ended: Run | None) -> None:
    assert transitions.ended_run(old, new) == ended


@pytest.mark.parametrize(
    ("run", "label"),
    [
        pytest.param(succeeded(), "Succeeded", id="a success"),
        pytest.param(DOWN, "Failed", id="a failure that passes"),
        pytest.param(BROKEN, "Failed", id="a failure that stays"),
        pytest.param(failed(Failure.DATABASE_LOCKED), "Busy", id="somebody else's lock"),
        pytest.param(failed(Failure.SUPERSEDED), "Busy", id="a run that was overtaken"),
    ],
)
def test_how_a_run_counts(run: Run, label: str) -> None:
    assert transitions.result_label(run) == label


def test_a_database_that_is_down_for_an_hour_is_told_once() -> None:
    observed, found = observe(), []
    report = Report(failure=Failure.DATABASE_UNREACHABLE)
    for minute in range(60):
        decision = decide(observed)
        found += told(observed.resource.status, decision.status)
        run = the_run(decision)
        observed = again(observed, decision, now=later(60 * minute), job=None, pods=(), report=None)
        if run.active:
            job = a_job(run, failed_reason="BackoffLimitExceeded")
            observed = replace(observed, job=job, pods=(an_ended_pod(1),), report=report)
    assert [reason for _, reason, _ in found] == ["MigrationStarted", "MigrationFailed"]
    assert the_run(decision).attempt > 10


FAILS = checked(a_check(Verdict.FAILS))
SEEN_LATER = {"observed_at": later(15), "last_value": "8", "message": "it is 8"}
FAILS_LATER = checked(a_check(Verdict.FAILS, **SEEN_LATER), message="lag: it is 8")


@pytest.mark.parametrize(
    ("old", "new", "seconds", "worth"),
    [
        pytest.param(FAILS, FAILS, 3600, False, id="nothing new, ever"),
        pytest.param(FAILS, FAILS_LATER, 59, False, id="a new value within the minute"),
        pytest.param(FAILS, FAILS_LATER, 60, True, id="a new value after a minute"),
        pytest.param(FAILS, FAILS_LATER, -10, True, id="a new value after the clock was set back"),
        pytest.param(FAILS, checked(a_check(Verdict.HOLDS)), 1, True, id="another verdict"),
        pytest.param(FAILS, checked(), 1, True, id="a check that is gone"),
        pytest.param(FAILS, checked(a_check(Verdict.FAILS, definition="x")), 1, True, id="an edited check"),
        pytest.param(FAILS, held(Reason.SUSPENDED, FAILS), 1, True, id="another reason"),
        pytest.param(
            checked(a_check(Verdict.WAITING)),
            checked(a_check(Verdict.WAITING, **SEEN_LATER)),
            15,
            True,
            id="each observation of a window that is open, or a restart would break it",
        ),
        pytest.param(
            checked(a_check(Verdict.WAITING, kind=CheckKind.POD_VERSION)),
            checked(a_check(Verdict.WAITING, kind=CheckKind.POD_VERSION, **SEEN_LATER)),
            15,
            False,
            id="no window of pods",
        ),
        pytest.param(
            held(Reason.JOB_FAILED), statuses.held(OBSERVED, Status(), Reason.JOB_FAILED, "else"), 1, True, id="other words of a failure"
        ),
    ],
)  # fmt: skip
def test_what_is_worth_writing(old: Status, new: Status, seconds: int, worth: bool) -> None:
    assert transitions.worth_writing(old, new, later(seconds)) is worth


def test_a_secret_that_the_pod_missed_is_told_once_and_not_with_each_attempt() -> None:
    missed = failed(Failure.SECRET_NOT_FOUND)
    first = held(Reason.SECRET_NOT_FOUND, having(missed))
    told = transitions.events(having(replace(missed, finished_at=None, result=None, failure=None)), first)
    assert [event.reason for event in told] == ["SecretNotFound"]
    second = replace(missed, sequence=2, attempt=2)
    trying = having(replace(second, finished_at=None, result=None, failure=None), missed)
    assert transitions.events(first, trying) == ()
    assert transitions.events(trying, held(Reason.SECRET_NOT_FOUND, having(second))) == ()
