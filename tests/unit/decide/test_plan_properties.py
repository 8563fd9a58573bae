"""Whatever is observed, in whatever order: what a decision never does, and that it comes to rest."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, Reason, find_condition
from dbupgrade.api.models import Spec
from dbupgrade.api.status import HISTORY_LENGTH, Failure, Status
from dbupgrade.decide import plan
from dbupgrade.decide.decision import CreateJob, Decision, DeleteJob, SetTtl
from dbupgrade.decide.observed import ContainerView, JobView, Observed, PodView, SecretView
from dbupgrade.decide.report import Report
from tests.unit.decide.builders import (
    FETCHED,
    IMAGE_2,
    RUNNING,
    SECRET,
    SELF_HOSTED,
    SETTINGS,
    UID,
    a_job,
    a_pod,
    a_resource,
    a_spec,
    again,
    an_ended_pod,
    later,
)
from tests.unit.decide.test_start import AWS, BAD_URL, METRIC, NO_SECRET, POD_VERSION

_MOVES_AT_MOST = 3  # an end is recorded, a retry starts, its intent stands

SPECS: list[Spec | None] = [
    *[a_spec()] * 4,
    a_spec(IMAGE_2),
    a_spec(migrations={"delivery": "ImageVolume"}),
    a_spec(runner={"activeDeadlineSeconds": 5}),
    a_spec(suspend=True),
    a_spec(checks={"pre": {"minPodVersions": [POD_VERSION]}}),
    a_spec(checks={"pre": {"metrics": [METRIC]}}),
    a_spec(checks={"post": {"metrics": [METRIC]}}),
    a_spec(database={"type": "selfHosted"}),
    a_spec(database={"type": "awsRds", "aws": AWS}),
    a_spec(database={**SELF_HOSTED, "connection": {"urlSecretRef": {"name": "other"}}}),
    None,
]
JOBS: list[dict[str, Any] | None] = [
    None,
    None,
    {},
    {},
    {"deleting": True},
    {"created": None},
    {"succeeded": True},
    {"succeeded": True, "has_ttl": True},
    {"failed_reason": "BackoffLimitExceeded"},
    {"failed_reason": "DeadlineExceeded"},
    {"owner_uid": "somebody"},
    {"run_id": "another"},
]
PODS: list[PodView] = [
    a_pod(),
    a_pod(unschedulable=True),
    a_pod(fetch=ContainerView(waiting_reason="ErrImagePull")),
    a_pod(fetch=FETCHED, migrate=RUNNING),
    a_pod(job_uid="of an earlier Job"),
    a_pod(terminal=True),
    a_pod(terminal=True, fetch=ContainerView(started=True, exit_code=1, message="error=MissingFolder")),
    an_ended_pod(0),
    an_ended_pod(1),
    an_ended_pod(137, end_reason="OOMKilled"),
    an_ended_pod(0, job_uid="of an earlier Job"),
]
FAILURES = [None, Failure.SQL, Failure.AUTHENTICATION, Failure.DATABASE_UNREACHABLE, Failure.DATABASE_LOCKED]


@dataclass(frozen=True)
class Seen:
    """What the world looks like at one moment, but for the status."""

    seconds: int
    spec: Spec | None
    retry: str
    job: dict[str, Any] | None
    expected: bool
    pods: tuple[PodView, ...]
    secret: SecretView
    report: Report | None
    busy: str


seen = st.builds(
    Seen,
    seconds=st.integers(0, 400),
    spec=st.sampled_from(SPECS),
    retry=st.sampled_from(["", "", "1", "2"]),
    job=st.sampled_from(JOBS),
    expected=st.booleans(),
    pods=st.lists(st.sampled_from(PODS), max_size=2).map(tuple),
    secret=st.sampled_from([SECRET, SECRET, SecretView(version="secret-uid/2"), NO_SECRET, BAD_URL]),
    report=st.sampled_from(FAILURES).map(lambda failure: Report(failure=failure, to_version="1", applied=1)),
    busy=st.sampled_from(["", "", "", "shop/other is migrating it"]),
)


def observed(seen: Seen, status: Status, seconds: int) -> Observed:
    """`seen` as the observer would gather it: the Secret and the report only when they are asked for."""
    resource = replace(
        a_resource(seen.spec, retry=seen.retry, status=status), spec=seen.spec, spec_error="bad"
    )
    job: JobView | None = None
    if status.run and seen.job is not None:
        job = a_job(status.run, **seen.job)
    result = Observed(
        now=later(seconds),
        resource=resource,
        job=job,
        job_expected=seen.expected,
        pods=seen.pods,
        busy=seen.busy,
    )
    if plan.needs_secret(result):
        result = replace(result, secret=seen.secret)
    if plan.report_pod(result):
        result = replace(result, report=seen.report)
    return result


def decide(observed: Observed) -> Decision:
    decision = plan.plan(observed, SETTINGS)
    creates_only_what_may_be(observed, decision)
    touches_only_what_is_ours(observed, decision)
    counts_up(observed.resource.status, decision.status)
    speaks_with_one_voice(decision.status)
    return decision


def creates_only_what_may_be(observed: Observed, decision: Decision) -> None:
    for action in decision.actions:
        if isinstance(action, CreateJob):
            assert all(pod.terminal for pod in observed.pods)
            run = decision.status.run
            assert run
            assert run.active
            metadata = action.body["metadata"]
            assert metadata["name"] == run.job_name
            assert metadata["annotations"][names.ANNOTATION_RUN_ID] == run.run_id
            assert observed.job is None or observed.job.name != run.job_name


def touches_only_what_is_ours(observed: Observed, decision: Decision) -> None:
    for action in decision.actions:
        if isinstance(action, DeleteJob | SetTtl):
            job, run = observed.job, observed.resource.status.run
            assert job
            assert run
            assert (job.name, job.owner_uid, job.run_id) == (action.name, UID, run.run_id)
        if isinstance(action, DeleteJob):
            assert not any(pod.migrate.started and pod.job_uid == action.uid for pod in observed.pods[-1:])


def counts_up(old: Status, new: Status) -> None:
    if old.run:
        assert new.run
        assert new.run.sequence >= old.run.sequence
        if new.run.sequence == old.run.sequence:
            assert new.run.run_id == old.run.run_id
            assert new.run.active or not old.run.active or new.history[0] == new.run
    assert len(new.history) <= HISTORY_LENGTH


def speaks_with_one_voice(status: Status) -> None:
    """The table of the contract, section 2."""
    ready, progressing, stalled = (
        find_condition(status.conditions, kind) for kind in (READY, PROGRESSING, STALLED)
    )
    assert ready
    assert progressing
    assert stalled
    assert (ready.status, progressing.status) != ("True", "True")
    assert not (stalled.status == "True" and (ready.status, progressing.status) != ("False", "False"))
    if progressing.status == "True":
        assert ready.reason == Reason.INITIALIZING
        assert progressing.reason in (Reason.JOB_PENDING, Reason.MIGRATION_IN_PROGRESS)
        assert status.run
        assert status.run.active
    else:
        assert ready.reason == progressing.reason
    assert (ready.status == "True") == (ready.reason == Reason.MIGRATION_COMPLETE)
    assert len({condition.message for condition in status.conditions}) == 1
    assert all(condition.message for condition in status.conditions)


@settings(max_examples=300, deadline=None)
@given(st.lists(seen, min_size=1, max_size=12))
def test_every_decision_is_safe_and_comes_to_rest(sequence: list[Seen]) -> None:
    status, seconds = Status(), 0
    for moment in sequence:
        seconds += moment.seconds
        status = at_rest(moment, status, seconds)


def at_rest(moment: Seen, status: Status, seconds: int) -> Status:
    """The status when `moment` stands still: reached after a few writes, or the operator would write for ever."""
    for _ in range(_MOVES_AT_MOST):
        before = status.run
        status = decide(observed(moment, status, seconds)).status
        if status.run and before and status.run.job_name != before.job_name:
            moment = replace(moment, job=None)  # a new name: its Job is not there yet
    assert decide(observed(moment, status, seconds)).status == status
    return status


@given(seen)
def test_the_same_observation_gives_the_same_decision(moment: Seen) -> None:
    one = observed(moment, Status(), 0)
    assert plan.plan(one, SETTINGS) == plan.plan(one, SETTINGS)
    assert plan.plan(again(one, decide(one)), SETTINGS) == plan.plan(again(one, decide(one)), SETTINGS)
