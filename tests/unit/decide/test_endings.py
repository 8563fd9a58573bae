"""How a run ended: from the Job, the pod and Atlas's report to the recorded result."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import RunResult
from dbupgrade.api.status import Status
from dbupgrade.decide.observed import Observed, PodView
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    DIGEST,
    a_job,
    a_migrating_pod,
    a_pod,
    a_resource,
    a_spec,
    again,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    later,
    message,
    observe,
    the_run,
    words,
)

JOB = an_intent().job_name
STARTED = a_resource(run=an_intent(job_uid="job-uid"))
APPLIED = Report(from_version="20240101000000", to_version="20240102000000", applied=1, pending=0)
STATEMENT = Report(
    failure=Failure.SQL,
    from_version="20240101000000",
    to_version="20240102000000",
    applied=1,
    pending=2,
    failed_file="20240103000000_bad.sql",
    failed_statement="insert into users values ('***')",
    error='pq: relation "users" does not exist',
)


def ended(*pods: PodView, report: Report | None = None, **job: Any) -> Observed:
    return observe(STARTED, job=a_job(**job), pods=pods, report=report, now=later(30))


SUCCESS = ended(an_ended_pod(0), report=APPLIED, succeeded=True, completed=later(20))


def test_a_success_is_recorded_with_its_versions() -> None:
    decision = decide(SUCCESS)
    status, run = decision.status, the_run(decision)
    assert conditions(status) == ("True", "False", Reason.MIGRATION_COMPLETE, False)
    assert (run.result, run.failure, run.finished_at) == (RunResult.SUCCEEDED, None, later(30))
    assert (run.from_version, run.to_version, run.applied_count) == ("20240101000000", "20240102000000", 1)
    assert (run.digest, run.image_version, run.job_uid) == (DIGEST, "20240102000000", "job-uid")
    assert (status.current_version, status.pending_count) == ("20240102000000", 0)
    assert status.history == (run,)


def test_the_bake_time_counts_from_the_completion_of_the_job() -> None:
    assert decide(SUCCESS).status.job_completed_at == later(20)
    without_time = ended(an_ended_pod(0), report=APPLIED, succeeded=True)
    assert decide(without_time).status.job_completed_at == later(30)


@pytest.mark.parametrize("seconds", [3600, 0])
def test_a_finished_job_is_given_its_time_to_live_when_the_result_is_recorded(seconds: int) -> None:
    spec = a_spec(runner={"ttlSecondsAfterFinished": seconds})
    resource = a_resource(spec, run=an_intent(spec))
    for job in (a_job(succeeded=True), a_job(failed_reason="BackoffLimitExceeded")):
        assert words(decide(observe(resource, job=job)).actions) == [f"expire {JOB} in {seconds}"]


def test_the_time_to_live_of_an_unusable_spec_is_the_default() -> None:
    resource = a_resource(run=an_intent(), spec_error="bad")
    observed = observe(resource, job=a_job(succeeded=True))
    assert words(decide(observed).actions) == [f"expire {JOB} in 3600"]


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(ended(succeeded=True), id="its pod has gone"),
        pytest.param(ended(an_ended_pod(0), succeeded=True), id="its log was not read"),
        pytest.param(ended(an_ended_pod(0), report=Report(), succeeded=True), id="its log is no report"),
    ],
)
def test_a_success_without_a_report_is_a_success_with_versions_unknown(observed: Observed) -> None:
    decision = decide(observed)
    assert the_run(decision).result is RunResult.SUCCEEDED
    assert the_run(decision).to_version is None
    assert "versions are unknown" in message(decision.status)


def test_versions_that_were_known_stay_when_a_run_has_no_report() -> None:
    status = Status(current_version="20230101000000", pending_count=3)
    resource = a_resource(run=an_intent(), status=status)
    decision = decide(observe(resource, job=a_job(failed_reason="DeadlineExceeded")))
    assert decision.status.current_version == "20230101000000"
    assert decision.status.pending_count is None


def test_a_job_that_succeeded_on_a_folder_without_files_has_failed() -> None:
    decision = decide(ended(an_ended_pod(0), report=Report(failure=Failure.EMPTY_FOLDER), succeeded=True))
    assert (the_run(decision).result, the_run(decision).failure) == (RunResult.FAILED, Failure.EMPTY_FOLDER)
    assert conditions(decision.status) == ("False", "False", Reason.JOB_FAILED, True)


def fetch_ended(text: str, *, exit_code: int = 1, reason: str = "Error") -> PodView:
    fetch = ContainerView(started=True, exit_code=exit_code, end_reason=reason, message=text)
    return a_pod(terminal=True, fetch=fetch)


WHY = [
    pytest.param(
        (an_ended_pod(137),),
        "DeadlineExceeded",
        None,
        Failure.DEADLINE,
        id="the deadline passed while it ran",
    ),
    pytest.param(
        (an_ended_pod(137, "orders-1"), a_pod("orders-2")),
        "DeadlineExceeded",
        None,
        Failure.DEADLINE,
        id="the deadline passed while the replacement of a pod that ran was starting",
    ),
    *(
        pytest.param(pods, "DeadlineExceeded", None, Failure.NOT_STARTED, id=f"the deadline passed and {why}")
        for why, pods in (
            ("no pod is known to have migrated", ()),
            ("the pod was only starting", (a_pod(),)),
            ("the pod was still fetching", (a_pod(fetch=ContainerView(started=True)),)),
            ("the pod that migrated is another Job's", (an_ended_pod(137, job_uid="other"),)),
        )
    ),
    pytest.param((), "BackoffLimitExceeded", None, Failure.INTERRUPTED, id="the pod vanished"),
    pytest.param(
        (a_migrating_pod(terminal=True),),
        "BackoffLimitExceeded",
        None,
        Failure.INTERRUPTED,
        id="the pod ended and its container's end is unknown",
    ),
    pytest.param(
        (an_ended_pod(143, deleting=True),),
        "BackoffLimitExceeded",
        Report(failure=Failure.UNKNOWN),
        Failure.INTERRUPTED,
        id="somebody deleted the pod",
    ),
    pytest.param(
        (an_ended_pod(1, deleting=True),),
        "BackoffLimitExceeded",
        STATEMENT,
        Failure.SQL,
        id="a statement failed, and then somebody deleted the pod",
    ),
    pytest.param(
        (a_pod(terminal=True),),
        "PodFailurePolicy",
        None,
        Failure.INTERRUPTED,
        id="the pod ended before its containers",
    ),
    *(
        pytest.param(
            (fetch_ended(f"error={failure}\n"),),
            "BackoffLimitExceeded",
            None,
            failure,
            id=f"the fetch says {failure}",
        )
        for failure in (
            Failure.FETCH,
            Failure.MISSING_FOLDER,
            Failure.EMPTY_FOLDER,
            Failure.UNSAFE_LINK,
            Failure.FOLDER_TOO_LARGE,
        )
    ),
    pytest.param(
        (fetch_ended("sh: crane: not found"),),
        "BackoffLimitExceeded",
        None,
        Failure.FETCH,
        id="the fetch says nothing",
    ),
    pytest.param(
        (fetch_ended("", exit_code=137, reason="OOMKilled"),),
        "BackoffLimitExceeded",
        None,
        Failure.OUT_OF_MEMORY,
        id="the fetch needed too much memory",
    ),
    pytest.param(
        (fetch_ended("error=FetchFailed\n", exit_code=1, reason="OOMKilled"),),
        "BackoffLimitExceeded",
        None,
        Failure.OUT_OF_MEMORY,
        id="a program of the fetch needed too much memory, and the script took it for a missing image",
    ),
    pytest.param(
        (an_ended_pod(137, end_reason="OOMKilled"),),
        "BackoffLimitExceeded",
        Report(failure=Failure.UNKNOWN),
        Failure.OUT_OF_MEMORY,
        id="the migration needed too much memory",
    ),
    *(
        pytest.param(
            (an_ended_pod(128, end_reason=reason),),
            "BackoffLimitExceeded",
            Report(failure=Failure.UNKNOWN),
            Failure.POD_SETTINGS,
            id=f"the container could not be run: {reason}",
        )
        for reason in ("StartError", "ContainerCannotRun")
    ),
    pytest.param(
        (an_ended_pod(1),),
        "BackoffLimitExceeded",
        None,
        Failure.UNKNOWN,
        id="a failure whose log cannot be read",
    ),
    pytest.param(
        (an_ended_pod(1),),
        "BackoffLimitExceeded",
        Report(),
        Failure.UNKNOWN,
        id="a failure that reports a success",
    ),
    *(
        pytest.param(
            (an_ended_pod(1),),
            "BackoffLimitExceeded",
            Report(failure=failure),
            failure,
            id=f"Atlas: {failure}",
        )
        for failure in (
            Failure.AUTHENTICATION,
            Failure.CHECKSUM,
            Failure.CONNECTION_SETTINGS,
            Failure.DATABASE_UNREACHABLE,
            Failure.HISTORY_DIVERGED,
            Failure.NOT_CLEAN,
        )
    ),
    pytest.param(
        (an_ended_pod(1, "orders-1"), an_ended_pod(1, "orders-2", job_uid="other")),
        "",
        Report(failure=Failure.CHECKSUM),
        Failure.CHECKSUM,
        id="the pod of another Job says nothing",
    ),
]


@pytest.mark.parametrize(("pods", "reason", "report", "failure"), WHY)
def test_why_it_failed(
    pods: tuple[PodView, ...], reason: str, report: Report | None, failure: Failure
) -> None:
    decision = decide(ended(*pods, report=report, failed_reason=reason))
    run = the_run(decision)
    assert (run.result, run.failure) == (RunResult.FAILED, failure)
    assert run.finished_at == later(30)
    assert decision.status.history == (run,)
    assert message(decision.status).split(maxsplit=1)[0].rstrip(":") == failure
    assert words(decision.actions) == [f"expire {JOB} in 3600"]


@pytest.mark.parametrize(("stored", "remembered"), [(True, False), (False, True)])
def test_a_deadline_is_one_also_when_the_pod_that_migrated_has_gone(stored: bool, remembered: bool) -> None:
    resource = a_resource(run=an_intent(job_uid="job-uid", migrate_seen=stored))
    job = a_job(failed_reason="DeadlineExceeded")
    decision = decide(observe(resource, job=job, migrate_seen=remembered))
    assert the_run(decision).failure is Failure.DEADLINE
    assert conditions(decision.status) == TERMINAL


def test_a_job_that_succeeded_wins_over_the_failure_that_gave_it_up() -> None:
    resource = a_resource(run=an_intent(job_uid="job-uid", failure=Failure.IMAGE_PULL))
    for deleting in (False, True):
        job = a_job(succeeded=True, deleting=deleting)
        decision = decide(observe(resource, job=job, pods=(an_ended_pod(0),), report=APPLIED))
        assert (the_run(decision).result, the_run(decision).failure) == (RunResult.SUCCEEDED, None)
        assert conditions(decision.status) == ("True", "False", Reason.MIGRATION_COMPLETE, False)
        assert words(decision.actions) == [f"expire {JOB} in 3600"]


def test_a_connection_that_broke_in_a_statement_says_where_and_stalls() -> None:
    broken = replace(STATEMENT, failure=Failure.INTERRUPTED, error="driver: bad connection")
    decision = decide(ended(an_ended_pod(1), report=broken, failed_reason="BackoffLimitExceeded"))
    assert conditions(decision.status) == TERMINAL
    assert the_run(decision).failed_file == STATEMENT.failed_file
    assert message(decision.status).startswith(
        "Interrupted in 20240103000000_bad.sql: the run was interrupted"
    )
    assert ": driver: bad connection" in message(decision.status)


TERMINAL = ("False", "False", Reason.JOB_FAILED, True)
RETRIED = ("False", "False", Reason.JOB_FAILED, False)


STALLS = [
    (Failure.APPROVAL_PENDING, ("False", "False", Reason.APPROVAL_PENDING, False)),
    (Failure.PLAN_CHANGED, ("False", "False", Reason.PLAN_CHANGED, False)),
    *(
        (failure, RETRIED)
        for failure in (
            Failure.IMAGE_PULL,
            Failure.FETCH,
            Failure.ATLAS_UNUSABLE,
            Failure.NO_POD,
            Failure.UNSCHEDULABLE,
            Failure.POD_SETTINGS,
            Failure.JOB_REFUSED,
            Failure.NOT_STARTED,
            Failure.SUPERSEDED,
            Failure.DATABASE_UNREACHABLE,
            Failure.LOCK_TIMEOUT,
            Failure.TOKEN_REFUSED,
            Failure.TLS_FAILED,
        )
    ),
    (Failure.DATABASE_LOCKED, ("False", "False", Reason.DATABASE_BUSY, False)),
    (Failure.PREFLIGHT, ("False", "False", Reason.PREFLIGHT_FAILED, True)),
    (Failure.SECRET_NOT_FOUND, ("False", "False", Reason.SECRET_NOT_FOUND, False)),
    (Failure.SECRET_UNUSABLE, ("False", "False", Reason.INVALID_SPEC, False)),
    (Failure.LINT, ("False", "False", Reason.LINT_FAILED, True)),
    *(
        (failure, TERMINAL)
        for failure in (
            Failure.MISSING_FOLDER,
            Failure.EMPTY_FOLDER,
            Failure.UNSAFE_LINK,
            Failure.FOLDER_TOO_LARGE,
            Failure.CHECKSUM,
            Failure.AUTHENTICATION,
            Failure.CONNECTION_SETTINGS,
            Failure.NOT_CLEAN,
            Failure.BASELINE_NOT_FOUND,
            Failure.HISTORY_DIVERGED,
            Failure.OUT_OF_ORDER,
            Failure.APPLIED_FILE_CHANGED,
            Failure.DUPLICATE_VERSION,
            Failure.FOREIGN_FORMAT,
            Failure.UNREADABLE_FILE,
            Failure.MISREAD_BY_ENGINE,
            Failure.FILE_CHANGED,
            Failure.PARTLY_APPLIED,
            Failure.UNUSABLE_FILE,
            Failure.LINT_UNUSABLE,
            Failure.COMMAND,
            Failure.SQL,
            Failure.STATEMENT_TIMEOUT,
            Failure.OUT_OF_MEMORY,
            Failure.DEADLINE,
            Failure.CANCELLED,
            Failure.INTERRUPTED,
            Failure.UNKNOWN,
        )
    ),
]


@pytest.mark.parametrize(("failure", "told"), STALLS)
def test_which_failures_stall(failure: Failure, told: tuple[str, str, str, bool]) -> None:
    decision = decide(ended(an_ended_pod(1), report=Report(failure=failure), failed_reason="x"))
    assert conditions(decision.status) == told


def test_every_failure_is_known_to_stall_or_not() -> None:
    assert sorted(failure for failure, _ in STALLS) == sorted(Failure)


@pytest.mark.parametrize(
    ("exit_code", "report", "job"),
    [(0, APPLIED, {"succeeded": True}), (1, STATEMENT, {"failed_reason": "BackoffLimitExceeded"})],
)
def test_the_end_of_a_run_says_nothing_of_a_spec_that_came_later(
    exit_code: int, report: Report, job: dict[str, Any]
) -> None:
    run = an_intent(job_uid="job-uid")
    changed = a_resource(a_spec("registry.example/orders:later"), run=run, generation=2)
    observed = observe(changed, job=a_job(**job), pods=(an_ended_pod(exit_code),), report=report)
    status = decide(observed).status
    assert status.observed_generation == 1
    assert {condition.observed_generation for condition in status.conditions} == {1}


def test_a_failed_statement_is_told_with_its_place_and_the_way_out() -> None:
    decision = decide(ended(an_ended_pod(1), report=STATEMENT, failed_reason="BackoffLimitExceeded"))
    run, status = the_run(decision), decision.status
    assert (run.failed_file, run.failed_statement, run.error) == (
        STATEMENT.failed_file,
        STATEMENT.failed_statement,
        STATEMENT.error,
    )
    assert (run.to_version, run.applied_count) == ("20240102000000", 1)
    assert (status.current_version, status.pending_count) == ("20240102000000", 2)
    assert status.job_completed_at is None
    assert message(status) == (
        'SQLError in 20240103000000_bad.sql: a statement failed: pq: relation "users" does not exist'
        " (statement: insert into users values ('***')); 1 file was applied before it, and the database is at"
        " 20240102000000. Correct the migration and set an image that contains the correction."
    )


def test_a_recorded_end_is_not_recorded_again() -> None:
    for observed in (SUCCESS, ended(an_ended_pod(1), report=STATEMENT, failed_reason="x")):
        first = decide(observed)
        assert decide(again(observed, first, report=None)).status == first.status
