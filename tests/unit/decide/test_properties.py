"""Whatever is observed, in whatever order: what a decision never does, and that it comes to rest."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbupgrade.api import names
from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, Reason, find_condition
from dbupgrade.api.failure import Failure
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import HISTORY_LENGTH, Status
from dbupgrade.decide.decision import CreateJob, Decision, DeleteJob, RemoveToken, SetTtl, WriteStatus
from dbupgrade.decide.metric_values import Sample
from dbupgrade.decide.needs import (
    LOOKS,
    Need,
    ReadEnds,
    ReadPlan,
    ReadProgress,
    ReadReport,
    ReadRun,
    ReadSecret,
)
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import (
    JobView,
    Looked,
    Observed,
    PlanRead,
    PodsSeen,
    PodView,
    SecretView,
    UnendedJob,
)
from dbupgrade.decide.versions import AppPod, check_pods
from dbupgrade.pod import progress
from dbupgrade.pod.job import job
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
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
    an_intent,
    later,
)
from tests.unit.decide.test_start import AWS, BAD_URL, METRIC, NO_SECRET, POD_VERSION

BAKED = {**METRIC, "bakeSeconds": 60}
_MOVES_AT_MOST = 3  # an end is recorded, a retry starts, its intent stands

SPECS: list[Spec | None] = [
    *[a_spec()] * 4,
    a_spec(IMAGE_2),
    a_spec(migrations={"delivery": "ImageVolume"}),
    a_spec(runner={"activeDeadlineSeconds": 5}),
    a_spec(suspend=True),
    a_spec(checks={"pre": {"minPodVersions": [POD_VERSION]}}),
    a_spec(checks={"pre": {"metrics": [METRIC]}}),
    a_spec(checks={"pre": {"minPodVersions": [POD_VERSION], "metrics": [BAKED]}}),
    a_spec(checks={"post": {"metrics": [METRIC]}}),
    a_spec(checks={"post": {"metrics": [BAKED]}}),
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
    {"had_pod": True},
    {"ours": None},
    {"ours": None, "succeeded": True},
]
OWN_JOBS: list[dict[str, Any]] = [
    {},
    {"succeeded": True},
    {"succeeded": True, "has_ttl": True},
    {"failed_reason": "BackoffLimitExceeded"},
    {"succeeded": True, "owner_uid": "somebody"},
]
PODS: list[PodView] = [
    a_pod(),
    a_pod(unschedulable=True),
    a_pod(fetch=ContainerView(waiting_reason="ErrImagePull")),
    a_pod(fetch=FETCHED, migrate=RUNNING),
    a_pod(fetch=FETCHED, migrate=ContainerView(started=True, running_since=later(0))),
    a_pod(job_uid="of an earlier Job"),
    a_pod(terminal=True),
    a_pod(terminal=True, fetch=ContainerView(started=True, exit_code=1, message="error=MissingFolder")),
    an_ended_pod(0),
    an_ended_pod(1),
    an_ended_pod(0, terminal=False),
    an_ended_pod(1, disrupted=True),
    an_ended_pod(0, deleting=True),
    an_ended_pod(137, end_reason="OOMKilled"),
    an_ended_pod(0, job_uid="of an earlier Job"),
]
CANNOT_START = {Failure.IMAGE_PULL, Failure.NO_POD, Failure.UNSCHEDULABLE}
UNENDED = [UnendedJob("shop", f"job-{number}", UID, may_be_asked=number > 1) for number in range(3)]
FAILURES = [None, Failure.SQL, Failure.AUTHENTICATION, Failure.DATABASE_UNREACHABLE, Failure.DATABASE_LOCKED]


@dataclass(frozen=True)
class Seen:
    """What the world looks like at one moment, but for the status."""

    seconds: int
    spec: Spec | None
    retry: str
    job: dict[str, Any] | None
    own_jobs: tuple[JobView, ...]
    expected: bool
    remembered: bool
    pods: tuple[PodView, ...]
    secret: SecretView
    report: Report | None
    busy: str
    unended: tuple[UnendedJob, ...]
    still_unended: bool
    age: int | None
    """Of all that was seen for the checks, in seconds; None when nothing was."""
    value: str
    image: str


own_job = st.builds(
    lambda number, changes: a_job(an_intent(sequence=number), **{"uid": f"job-{number}", **changes}),
    st.integers(1, 12),
    st.sampled_from(OWN_JOBS),
)
seen = st.builds(
    Seen,
    seconds=st.integers(0, 400),
    spec=st.sampled_from(SPECS),
    retry=st.sampled_from(["", "", "1", "2"]),
    job=st.sampled_from(JOBS),
    own_jobs=st.lists(own_job, max_size=2, unique_by=lambda job: job.name).map(tuple),
    expected=st.booleans(),
    remembered=st.sampled_from([False, False, False, True]),
    pods=st.lists(st.sampled_from(PODS), max_size=2).map(tuple),
    secret=st.sampled_from([SECRET, SECRET, SecretView(version="secret-uid/2"), NO_SECRET, BAD_URL]),
    report=st.sampled_from(FAILURES).map(lambda failure: Report(failure=failure, to_version="1", applied=1)),
    busy=st.sampled_from(["", "", "", "other is migrating it"]),
    unended=st.lists(st.sampled_from(UNENDED), max_size=2).map(tuple),
    still_unended=st.booleans(),
    age=st.sampled_from([0, 0, 3, 20, None]),
    value=st.sampled_from(["4", "4", "5", "NaN"]),
    image=st.sampled_from(["web:2.0", "web:2.1", "web:1.9", "web:latest"]),
)


def observed(seen: Seen, status: Status, seconds: int) -> Observed:
    """`seen` as it is observed, before anything more is needed; of the checks, what was asked for."""
    resource = replace(
        a_resource(seen.spec, retry=seen.retry, status=status), spec=seen.spec, spec_error="bad"
    )
    job: JobView | None = None
    if status.run and seen.job is not None:
        job = a_job(status.run, **seen.job)
    others = tuple(each for each in seen.own_jobs if not status.run or each.name != status.run.job_name)
    result = Observed(
        now=later(seconds),
        resource=resource,
        job=job,
        own_jobs=(*others, job) if job else others,
        migrate_seen=seen.remembered,
        job_expected=seen.expected,
        pods=seen.pods,
        busy=seen.busy,
        unended=seen.unended,
        checks=status.checks,
    )
    if seen.age is None:
        return result
    asked = walk(seen, result)[1].inputs
    at = later(seconds - seen.age)
    pods = PodsSeen(at, (AppPod("web-1", True, (("app", seen.image),)),))
    return replace(
        result,
        pods_seen=dict.fromkeys(asked.selectors, pods),
        samples=dict.fromkeys(asked.metrics, Sample(at, (("the metric", seen.value),))),
    )


def answered(seen: Seen, observed: Observed, need: Need) -> Observed:
    match need:
        case ReadRun():
            return replace(observed, fresh=True, job_expected=False)
        case ReadSecret():
            return replace(observed, secret=seen.secret)
        case ReadReport():
            return replace(observed, report=seen.report)
        case ReadPlan():
            return replace(observed, plan=PlanRead(None))
        case ReadProgress(pod):
            seen_now = progress.Seen("1_a.sql", 1, 2, "waiting", is_blocked=seen.remembered)
            return replace(observed, progress=Looked(pod.job_uid, observed.now, seen_now))
        case ReadEnds(jobs):
            asked = {replace(job, may_be_asked=False) for job in jobs} if seen.still_unended else set()
            return replace(observed, unended=tuple(asked))


def walk(seen: Seen, observed: Observed) -> tuple[Observed, Decision]:
    """All that was observed in the end, and the decision: nothing is needed twice, so it comes to an end."""
    needed: list[type[Need]] = []
    while not isinstance(step := next_step(observed), Decision):
        assert type(step) not in needed
        needed.append(type(step))
        observed = answered(seen, observed, step)
    assert len(needed) < LOOKS
    return observed, step


def decide(seen: Seen, first: Observed) -> Decision:
    observed, decision = walk(seen, first)
    creates_only_what_may_be(observed, decision)
    touches_only_what_is_ours(observed, decision)
    lets_a_migration_alone(observed, decision)
    counts_up(observed.resource.status, decision.status)
    numbers_a_new_run_after_all_jobs(observed, decision)
    speaks_with_one_voice(decision.status)
    writes_the_status_once_and_before_a_job(decision)
    return decision


def writes_the_status_once_and_before_a_job(decision: Decision) -> None:
    kinds = [type(action) for action in decision.actions]
    assert kinds.count(WriteStatus) == 1
    assert set(kinds[: kinds.index(WriteStatus)]) <= {RemoveToken}


def creates_only_what_may_be(observed: Observed, decision: Decision) -> None:
    for action in decision.actions:
        if isinstance(action, CreateJob):
            assert all(pod.terminal for pod in observed.pods)
            if not (observed.resource.status.run and observed.resource.status.run.active):
                assert all(job.finished for job in observed.jobs_of_resource)
            run = decision.status.run
            assert run
            assert run.active
            assert action.run == run
            metadata = job(observed.resource, run, SETTINGS)["metadata"]
            assert metadata["name"] == run.job_name
            assert metadata["annotations"][names.ANNOTATION_RUN_ID] == run.run_id
            assert observed.job is None or observed.job.name != run.job_name
            assert not observed.blocked
            if observed.resource.status.run != run:
                checks_hold(observed)


def checks_hold(observed: Observed) -> None:
    """A run is let start only by what was seen in the last seconds."""
    assert observed.resource.spec
    for check in observed.resource.spec.checks.pre.min_pod_versions:
        seen = observed.pods_seen["app=web"]
        assert observed.now - seen.heard <= timedelta(seconds=5)
        assert check_pods(check, "", seen.pods, {}).holds
    for sample in observed.samples.values():
        assert observed.now - sample.at <= timedelta(seconds=5)
        assert sample.values == (("the metric", "4"),)


def touches_only_what_is_ours(observed: Observed, decision: Decision) -> None:
    for action in decision.actions:
        if isinstance(action, SetTtl):
            (job,) = {job for job in observed.own_jobs if job.name == action.name and job.owner_uid == UID}
            ended = decision.status.run
            assert job.finished or (ended and not ended.active and ended.job_uid == job.uid)
        if isinstance(action, DeleteJob):
            current, run = observed.job, observed.resource.status.run
            assert current
            assert run
            assert (current.name, current.uid) == (action.name, action.uid)
            assert (current.owner_uid, current.run_id) == (UID, run.run_id)


def lets_a_migration_alone(observed: Observed, decision: Decision) -> None:
    """What was ever seen migrating is neither removed nor forgotten nor run again for a failure to start."""
    before, after = observed.resource.status.run, decision.status.run
    if before is None or not before.active or after is None or after.sequence != before.sequence:
        return
    assert after.migrate_seen or not before.migrate_seen
    job_uid = observed.job.uid if observed.job else before.job_uid
    in_a_pod = any(pod.migrate.started and pod.job_uid == job_uid for pod in observed.pods)
    if before.migrate_seen or observed.migrate_seen or in_a_pod:
        assert not any(isinstance(action, DeleteJob) for action in decision.actions)
        assert after.active or after.failure not in {*CANNOT_START, Failure.NOT_STARTED}
    elif not after.active:
        assert after.failure is not Failure.DEADLINE


def numbers_a_new_run_after_all_jobs(observed: Observed, decision: Decision) -> None:
    before, after = observed.resource.status.run, decision.status.run
    if after and (before is None or after.sequence != before.sequence):
        own = [job.sequence for job in observed.own_jobs if job.owner_uid == UID]
        assert after.sequence == max([before.sequence if before else 0, *own]) + 1


def counts_up(old: Status, new: Status) -> None:
    if old.run:
        assert new.run
        assert new.run.sequence >= old.run.sequence
        if new.run.sequence == old.run.sequence:
            assert new.run.run_id == old.run.run_id
            assert new.run.active or not old.run.active or new.history[0] == new.run
    assert len(new.history) <= HISTORY_LENGTH


def speaks_with_one_voice(status: Status) -> None:
    """The table of the contract, section 2; nothing at all is said before the first answers about checks are there."""
    if status == Status():
        return
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
        assert status.run
        at_work = {Reason.JOB_PENDING, Reason.MIGRATION_IN_PROGRESS, Reason.WAITING_FOR_LOCK}
        assert status.run.active == (progressing.reason in at_work)
        assert status.run.active or progressing.reason == Reason.POST_CHECK_BAKE_TIME_WAITING
    else:
        assert ready.reason == progressing.reason
    assert (ready.status == "True") == (ready.reason == Reason.MIGRATION_COMPLETE)
    assert len({condition.message for condition in status.conditions}) == 1
    assert all(condition.message for condition in status.conditions)


@settings(max_examples=300)
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
        status = decide(moment, observed(moment, status, seconds)).status
        if status.run and before and status.run.job_name != before.job_name:
            moment = replace(moment, job=None)  # a new name: its Job is not there yet
    assert decide(moment, observed(moment, status, seconds)).status == status
    return status


@given(seen)
def test_the_same_observation_gives_the_same_decision(moment: Seen) -> None:
    one = walk(moment, observed(moment, Status(), 0))[0]
    assert next_step(one) == next_step(one)
    after = again(one, decide(moment, one))
    assert walk(moment, after) == walk(moment, after)
