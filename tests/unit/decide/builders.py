"""A resource, its runs, Jobs and pods as a decision sees them, and a decision in few words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbupgrade.api.conditions import PROGRESSING, READY, STALLED, find_condition
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run, RunResult
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Status
from dbupgrade.decide import intent
from dbupgrade.decide.decision import (
    Action,
    CompareJob,
    CreateJob,
    Decision,
    DeleteJob,
    RemoveToken,
    RenewToken,
    SetTtl,
    WriteStatus,
)
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
from dbupgrade.decide.observed import JobView, Looked, Observed, PlanRead, PodView, Resource, SecretView
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import STEPS
from dbupgrade.pod.view import ContainerView

Object = dict[str, Any]

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
NAMESPACE, NAME, UID = "shop", "orders", "0b7c9a52-0000-4000-8000-000000000001"
IMAGE_1, IMAGE_2 = "registry.test/orders:1.0", "registry.test/orders:2.0"
SETTINGS = JobSettings(
    crane_image="crane.test/crane:1",
    runner_image="runner.test/runner:1",
)
SECRET = SecretView(version="secret-uid/1")
DIGEST = "sha256:" + "ab" * 32
FETCHED = ContainerView(
    started=True, exit_code=0, end_reason="Completed", message=f"digest={DIGEST}\nlast=20240102000000\n"
)
RUNNING = ContainerView(started=True)
SELF_HOSTED = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "orders-db"}}}


SHORT = {
    "check-secrets": "check",
    "fetch-migrations": "fetch",
    "hold-lock": "lock",
    "wait-for-database": "wait",
}


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def spec_object(image: str = IMAGE_1, **changes: Any) -> dict[str, Any]:
    """A spec as a user writes it; `changes` replaces or adds top-level fields, `migrations` is merged."""
    migrations = {"image": image, **changes.pop("migrations", {})}
    return {"migrations": migrations, "database": SELF_HOSTED, **changes}


def a_spec(image: str = IMAGE_1, **changes: Any) -> Spec:
    return Spec.model_validate(spec_object(image, **changes))


def a_resource(spec: Spec | None = None, *, run: Run | None = None, **changes: Any) -> Resource:
    """A resource with `run` in its status; a finished run is in its history too."""
    status = changes.pop("status", Status())
    if run is not None:
        history = () if run.active else (run,)
        status = replace(status, run=run, history=history)
    resource = Resource(
        namespace=NAMESPACE,
        name=NAME,
        uid=UID,
        generation=1,
        created="2026-01-01T00:00:00Z",
        deleting=False,
        retry="",
        spec=spec or a_spec(),
        spec_error="",
        status=status,
    )
    return replace(resource, **changes)


def an_intent(spec: Spec | None = None, **changes: Any) -> Run:
    """The run that a fresh resource with `spec` would start now, changed by `changes`."""
    observed = Observed(now=NOW, resource=a_resource(spec), secret=SECRET)
    return replace(intent.intent(observed), **changes)


def succeeded(run: Run | None = None, **changes: Any) -> Run:
    known: Object = {"to_version": "20240102000000", "image_version": "20240102000000", "applied_count": 2}
    ended: Object = {"finished_at": NOW, "result": RunResult.SUCCEEDED, "job_uid": "job-uid"}
    return replace(run or an_intent(), **{**ended, **known, **changes})


def failed(failure: Failure, run: Run | None = None, **changes: Any) -> Run:
    ended: Object = {"finished_at": NOW, "result": RunResult.FAILED, "failure": failure, "job_uid": "job-uid"}
    return replace(run or an_intent(), **{**ended, **changes})


def a_job(run: Run | None = None, **changes: Any) -> JobView:
    """The Job of `run`, just created."""
    run = run or an_intent()
    job = JobView(
        name=run.job_name,
        uid="job-uid",
        owner_uid=UID,
        run_id=run.run_id,
        sequence=run.sequence,
        created=NOW,
        completed=None,
        succeeded=False,
        failed_reason=None,
        deleting=False,
        has_ttl=False,
    )
    return replace(job, **changes)


def a_pod(name: str = "orders-1", **changes: Any) -> PodView:
    """A pod of `a_job`, just created and not started; `fetch`, `wait`, … are how its steps stand."""
    steps = {name: changes.pop(SHORT.get(name, name), ContainerView()) for name in STEPS}
    pod = PodView(
        name=name,
        uid=f"uid-of-{name}",
        job_uid="job-uid",
        created=NOW,
        terminal=False,
        deleting=False,
        unschedulable=False,
        scheduled=NOW,
        steps=steps,
        migrate=ContainerView(),
    )
    return replace(pod, **changes)


def a_migrating_pod(name: str = "orders-1", **changes: Any) -> PodView:
    return a_pod(name, **{"fetch": FETCHED, "migrate": RUNNING, **changes})


def an_ended_pod(exit_code: int, name: str = "orders-1", **changes: Any) -> PodView:
    migrate = ContainerView(
        started=True,
        exit_code=exit_code,
        end_reason=changes.pop("end_reason", "Error"),
        message=changes.pop("message", ""),
    )
    return a_pod(name, **{"terminal": True, "fetch": FETCHED, "migrate": migrate, **changes})


def observe(resource: Resource | None = None, **changes: Any) -> Observed:
    """What is observed at NOW, before anything more is needed."""
    return replace(Observed(now=NOW, resource=resource or a_resource()), **changes)


def answered(observed: Observed, need: Need) -> Observed:
    """`observed` with what is needed: the caches were right, the Secret is there, nothing was printed, all has ended."""
    match need:
        case ReadRun():
            return replace(observed, fresh=True, job_expected=False)
        case ReadSecret():
            return replace(observed, secret=SECRET)
        case ReadReport():
            return replace(observed, report=Report())
        case ReadPlan():
            return replace(observed, plan=PlanRead(None))
        case ReadProgress(pod):
            return replace(observed, progress=Looked(pod.job_uid, observed.now, None))
        case ReadEnds():
            return replace(observed, unended=())


def walk(observed: Observed) -> tuple[list[Need], Decision]:
    """All that is needed for a decision, one after the other, and the decision."""
    needs: list[Need] = []
    while not isinstance(step := next_step(observed), Decision):
        assert len(needs) < LOOKS, needs
        needs.append(step)
        observed = answered(observed, step)
    return needs, step


def decide(observed: Observed) -> Decision:
    return walk(observed)[1]


def needs(observed: Observed) -> list[Need]:
    return walk(observed)[0]


def again(observed: Observed, decision: Decision, **changes: Any) -> Observed:
    """The same observation after the status of `decision` was written."""
    resource = replace(observed.resource, status=decision.status)
    return replace(observed, resource=resource, **changes)


def conditions(status: Status) -> tuple[str, str, str, bool]:
    """Ready, Progressing, the reason of Progressing, and whether it is stalled."""
    ready = find_condition(status.conditions, READY)
    progressing = find_condition(status.conditions, PROGRESSING)
    stalled = find_condition(status.conditions, STALLED)
    assert ready
    assert progressing
    assert stalled
    return ready.status, progressing.status, progressing.reason, stalled.status == "True"


def message(status: Status) -> str:
    progressing = find_condition(status.conditions, PROGRESSING)
    assert progressing
    return progressing.message


def words(actions: tuple[Action, ...]) -> list[str]:
    """What is done besides writing the status."""
    return [_word(action) for action in actions if not isinstance(action, WriteStatus)]


def _word(action: Action) -> str:
    match action:
        case CreateJob(run):
            return f"create {run.job_name}"
        case CompareJob(run):
            return f"compare {run.job_name}"
        case RenewToken():
            return "renew token"
        case RemoveToken(name):
            return f"remove {name}"
        case DeleteJob(name, uid):
            return f"delete {name} {uid}"
        case SetTtl(name, seconds):
            return f"expire {name} in {seconds}"
        case WriteStatus():
            return "write status"


def the_run(decision: Decision) -> Run:
    assert decision.status.run
    return decision.status.run
