"""The shapes of a status, its history, and the words for a finished run."""

from dataclasses import replace

import pytest

from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, Reason, find_condition
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.status import HISTORY_LENGTH, Status
from dbupgrade.decide import statuses
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.retries import delay_after, retry_delay
from tests.unit.decide.builders import (
    IMAGE_1,
    NOW,
    UID,
    a_resource,
    an_intent,
    conditions,
    failed,
    later,
    observe,
    succeeded,
)

OBSERVED = observe(a_resource(generation=5))


def reasons(status: Status) -> list[str]:
    found = [find_condition(status.conditions, kind) for kind in (READY, PROGRESSING, STALLED)]
    return [condition.reason for condition in found if condition]


def test_a_run_that_is_on() -> None:
    status = statuses.running(OBSERVED, Status(), Reason.JOB_PENDING, "text")
    assert conditions(status) == ("False", "True", Reason.JOB_PENDING, False)
    assert reasons(status) == [Reason.INITIALIZING, Reason.JOB_PENDING, Reason.JOB_PENDING]


def test_a_run_that_is_held() -> None:
    status = statuses.held(OBSERVED, Status(), Reason.SUSPENDED, "text")
    assert conditions(status) == ("False", "False", Reason.SUSPENDED, False)
    assert reasons(status) == [Reason.SUSPENDED] * 3
    stalled = statuses.held(OBSERVED, status, Reason.INVALID_SPEC, "text", stalled=True)
    assert conditions(stalled) == ("False", "False", Reason.INVALID_SPEC, True)


def test_a_migration_that_is_done() -> None:
    status = statuses.complete(OBSERVED, Status(), "text")
    assert conditions(status) == ("True", "False", Reason.MIGRATION_COMPLETE, False)
    assert reasons(status) == [Reason.MIGRATION_COMPLETE] * 3


def test_every_condition_carries_the_generation_the_message_and_the_time() -> None:
    status = statuses.complete(OBSERVED, Status(), "text")
    assert status.observed_generation == 5
    assert [(c.observed_generation, c.message, c.last_transition_time) for c in status.conditions] == [
        (5, "text", NOW)
    ] * 3


@pytest.mark.parametrize(
    ("length", "kept"), [(8191, 8191), (8192, 8192), (8193, 8192), (1_000_000, 8192)], ids=str
)
def test_a_message_is_cut_to_what_the_api_server_takes(length: int, kept: int) -> None:
    text = "é" * length
    for status in (
        statuses.running(OBSERVED, Status(), Reason.JOB_PENDING, text),
        statuses.held(OBSERVED, Status(), Reason.INVALID_SPEC, text, stalled=True),
        statuses.complete(OBSERVED, Status(), text),
    ):
        assert {condition.message for condition in status.conditions} == {"é" * kept}


@pytest.mark.parametrize("failure", Failure)
def test_which_runs_are_retried_automatically(failure: Failure) -> None:
    assert statuses.retried_automatically(failed(failure)) is (KINDS[failure].retry is Retry.BACKOFF)


@pytest.mark.parametrize("run", [an_intent(), succeeded()])
def test_a_run_that_has_not_failed_is_not_retried(run: Run) -> None:
    assert not statuses.retried_automatically(run)


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    first = statuses.running(OBSERVED, Status(), Reason.JOB_PENDING, "a")
    after = observe(OBSERVED.resource, now=later(60))
    second = statuses.held(after, first, Reason.JOB_FAILED, "b")
    times = {condition.type: condition.last_transition_time for condition in second.conditions}
    assert times == {READY: NOW, PROGRESSING: later(60), STALLED: NOW}


# --- history -----------------------------------------------------------------------------------------------------


def history(*runs: Run) -> tuple[Run, ...]:
    status = Status()
    for run in runs:
        status = statuses.with_history(status, run)
        assert status.run == run
    return status.history


def numbered(sequence: int, failure: Failure | None = None, run_id: str = "a") -> Run:
    run = an_intent(sequence=sequence, run_id=run_id)
    return failed(failure, run) if failure else succeeded(run)


def test_the_history_is_newest_first_and_holds_ten() -> None:
    sequences = [
        run.sequence for run in history(*(numbered(number, run_id=str(number)) for number in range(1, 14)))
    ]
    assert len(sequences) == HISTORY_LENGTH
    assert sequences == list(range(13, 3, -1))


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        pytest.param(
            [numbered(1, Failure.FETCH), numbered(2, Failure.FETCH), numbered(3, Failure.FETCH)],
            [3],
            id="retries that fail alike are one",
        ),
        pytest.param(
            [numbered(1, Failure.FETCH), numbered(2, Failure.SQL)],
            [2, 1],
            id="another failure is another run",
        ),
        *(
            pytest.param(
                [numbered(1, failure), numbered(2, failure)],
                [2] if kind.retry is Retry.BACKOFF else [2, 1],
                id=f"two alike: {failure}",
            )
            for failure, kind in KINDS.items()
        ),
        pytest.param(
            [numbered(1, Failure.FETCH), numbered(2, Failure.FETCH, "b")],
            [2, 1],
            id="another image is another run",
        ),
        pytest.param([numbered(1, Failure.FETCH), numbered(2)], [2, 1], id="a success is another run"),
        pytest.param([numbered(1), numbered(2)], [2, 1], id="two successes are two runs"),
        pytest.param(
            [numbered(1, Failure.FETCH), numbered(2), numbered(3, Failure.FETCH)],
            [3, 2, 1],
            id="a success between failures separates them",
        ),
    ],
)
def test_the_history_shows_runs_not_tries(runs: list[Run], kept: list[int]) -> None:
    assert [run.sequence for run in history(*runs)] == kept


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (succeeded(applied_count=2), f"applied 2 files of {IMAGE_1}: the database is at 20240102000000"),
        (succeeded(applied_count=1), f"applied 1 file of {IMAGE_1}: the database is at 20240102000000"),
        (succeeded(applied_count=0), "nothing to apply: the database is at 20240102000000"),
        (
            succeeded(applied_count=0, image_version=None),
            "nothing to apply: the database is at 20240102000000",
        ),
        (
            succeeded(applied_count=0, image_version="20231231000000"),
            f"nothing to apply: the database is at 20240102000000, ahead of {IMAGE_1}",
        ),
        (
            succeeded(to_version=None, applied_count=None),
            f"migrated with {IMAGE_1}; Atlas's report could not be read, so the versions are unknown",
        ),
    ],
)
def test_a_success_says_what_it_did(run: Run, text: str) -> None:
    assert statuses.success_message(run) == text


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_says_what_happened_and_what_to_do(failure: Failure) -> None:
    kind = KINDS[failure]
    text = statuses.failure_message(failed(failure), UID, "login")
    assert text.startswith(f"{failure}: {kind.what}. {kind.advise('login')}")
    assert ("Attempt 2 starts at " in text) is (kind.retry is Retry.BACKOFF)


@pytest.mark.parametrize("failure", Failure)
def test_a_row_is_written_as_it_is_shown(failure: Failure) -> None:
    kind = KINDS[failure]
    assert kind.what[0].islower() or kind.what.startswith(("atlas.sum", "spec."))
    assert not kind.what.endswith(".")
    assert kind.advise()[0].isupper()
    assert kind.advise().endswith(".")
    assert "{" not in kind.advise()
    assert (kind.event is None) is (kind.result == "Busy")


def test_the_advice_names_the_secret() -> None:
    kind = KINDS[Failure.AUTHENTICATION]
    assert kind.advise("login") == "Correct Secret login; the run is then retried automatically."
    assert kind.advise() == "Correct the Secret; the run is then retried automatically."


def test_what_was_applied_before_a_failed_file_is_counted() -> None:
    run = failed(
        Failure.SQL, failed_file="2.sql", error="syntax error", failed_statement="SELEC", to_version="1"
    )
    said = "SQLError in 2.sql: a statement failed: syntax error (statement: SELEC)"
    assert statuses.what_failed(run) == said
    for count, words in ((1, "1 file was"), (2, "2 files were")):
        found = statuses.what_failed(replace(run, applied_count=count))
        assert found == f"{said}; {words} applied before it, and the database is at 1"


def test_a_fault_of_a_file_is_told_once() -> None:
    error = "2.sql: was changed after it was applied: restore its content, and put the change into a new file"
    run = failed(Failure.APPLIED_FILE_CHANGED, failed_file="2.sql", error=error)
    assert statuses.what_failed(run) == f"AppliedFileChanged: {error}"


def test_a_passing_failure_says_when_it_is_retried() -> None:
    delay = retry_delay(Failure.FETCH, 3, UID)
    assert delay
    text = statuses.failure_message(failed(Failure.FETCH, attempt=3), UID)
    assert text.endswith(f" Attempt 4 starts at {NOW + delay:%H:%M:%S} UTC.")


def test_the_words_of_a_failure_need_a_failure() -> None:
    with pytest.raises(ValueError, match="has not failed"):
        statuses.failure_message(succeeded(), UID)
    with pytest.raises(ValueError, match="has not failed"):
        statuses.failure_message(an_intent(failure=Failure.FETCH), UID)


# --- delays ------------------------------------------------------------------------------------------------------


def test_delays_double_from_ten_seconds_to_five_minutes_with_a_fifth_of_jitter() -> None:
    for attempt, base in enumerate([10, 20, 40, 80, 160, 300, 300], start=1):
        for uid in ("a", "b", "c", UID):
            delay = retry_delay(Failure.FETCH, attempt, uid)
            assert delay
            assert base <= delay.total_seconds() <= base * 1.2


@pytest.mark.parametrize("failure", [Failure.SECRET_NOT_FOUND, Failure.SECRET_UNUSABLE])
def test_a_secret_that_the_pod_missed_is_looked_for_after_half_a_minute_and_then_more_seldom(
    failure: Failure,
) -> None:
    for attempt, base in enumerate([30, 60, 120, 240, 300, 300], start=1):
        delay = retry_delay(failure, attempt, UID)
        assert delay
        assert base <= delay.total_seconds() <= base * 1.2


@pytest.mark.parametrize("failure", [Failure.AUTHENTICATION, Failure.CONNECTION_SETTINGS])
def test_where_the_secret_is_not_read_its_change_is_not_seen_and_the_run_is_repeated_hourly(
    failure: Failure,
) -> None:
    run = failed(failure, secret_version=None)
    delay = delay_after(run, UID)
    assert delay
    assert 3600 <= delay.total_seconds() <= 4320
    text = statuses.failure_message(run, UID)
    assert "The operator does not read Secrets" in text
    assert text.endswith(f" Attempt 2 starts at {NOW + delay:%H:%M:%S} UTC.")
    assert delay_after(failed(failure, secret_version="uid/1"), UID) is None


def test_a_delay_is_the_same_when_asked_again_and_differs_between_resources() -> None:
    assert retry_delay(Failure.FETCH, 2, "a") == retry_delay(Failure.FETCH, 2, "a")
    assert len({retry_delay(Failure.FETCH, 2, str(uid)) for uid in range(20)}) > 10


def test_a_thousand_attempts_stay_at_the_cap() -> None:
    delay = retry_delay(Failure.FETCH, 1000, UID)
    assert delay
    assert delay.total_seconds() <= 360
