"""A run whose plan needs approval: what it waits for, which approval starts the next one, and who is recorded."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import Approved, Plan, PlannedFile, PlanNote
from dbupgrade.api.run import Run, RunResult
from dbupgrade.api.status import Status
from dbupgrade.decide import approvals, transitions
from dbupgrade.decide.approvals import Verdict
from dbupgrade.decide.needs import ReadPlan
from dbupgrade.decide.observed import Observed, PlanRead, resource_from
from dbupgrade.pod.report import Report
from tests.unit.decide.builders import (
    DIGEST,
    IMAGE_1,
    IMAGE_2,
    a_job,
    a_resource,
    a_spec,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    failed,
    later,
    message,
    needs,
    observe,
    spec_object,
    the_run,
    words,
)

PLAN, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
ALICE = Verdict(PLAN, "alice@example.com", approves=True)
LATER = a_spec(IMAGE_2, policy={"approval": "Always"})
NOTE = PlanNote(digest=PLAN, line="3" * 64, asks="spec.policy.approval is Always", files=2, statements=5)
READ = Plan(
    digest=PLAN, asks=NOTE.asks, file_count=2, files=(PlannedFile(name="1_a.sql", statement_count=5),)
)
PLANNED = Report(failure=Failure.APPROVAL_PENDING, pending=2, plan=NOTE)
WAITING = ("False", "False", Reason.APPROVAL_PENDING, False)


def spec(**policy: Any) -> Any:
    return a_spec(policy={"approval": "Always", **policy})


def planned(given: Any = None, **changes: Any) -> Run:
    """The run that has made the plan."""
    run = an_intent(given or spec(), plan=PLAN, **changes)
    return failed(Failure.APPROVAL_PENDING, run, result=RunResult.PLANNED)


def waiting(**changes: Any) -> Observed:
    """The resource while it waits for an approval of PLAN."""
    given = changes.pop("spec", spec())
    run = changes.pop("run", planned())
    status = Status(plan=changes.pop("plan", READ))
    resource = replace(a_resource(given, run=run, status=status), **changes)
    return observe(resource, now=later(60))


def ended(report: Report, **changes: Any) -> Observed:
    """The end of a run of a resource that asks for approval."""
    run = changes.pop("run", an_intent(spec(), job_uid="job-uid"))
    read = changes.pop("read", PlanRead(READ))
    resource = replace(a_resource(spec(), run=run, status=Status(plan=changes.pop("plan", None))), **changes)
    pod = an_ended_pod(0 if report.failure is None else 13)
    return observe(resource, job=a_job(run), pods=(pod,), report=report, plan=read, now=later(30))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"approve {PLAN} alice@example.com", ALICE),
        (f"reject {PLAN} Bob of ops", Verdict(PLAN, "Bob of ops", approves=False)),
        ("", None),
        (f"approve {PLAN}", None),
        (f"approve {PLAN} ", None),
        (f"Approve {PLAN} alice", None),
        ("approve sha256:12 alice", None),
        (f"approve {PLAN[:-1]}X alice", None),
        (f"approve {PLAN} al\x1bice", Verdict(PLAN, "alice", approves=True)),
        (f"approve {PLAN} alice\n", None),
        (
            f"reject {PLAN} bob\nafter \x1bthe sale",
            Verdict(PLAN, "bob", approves=False, reason="after the sale"),
        ),
        (f"reject {PLAN} bob\none\ntwo", None),
    ],
)
def test_what_the_annotation_says(text: str, said: Verdict | None) -> None:
    metadata = {"namespace": "n", "name": "x", "uid": "u", "annotations": {names.ANNOTATION_APPROVAL: text}}
    assert resource_from({"metadata": metadata, "spec": spec_object()}).said == said


@pytest.mark.parametrize(
    "said", [ALICE, Verdict(PLAN, "Bob of ops", approves=False, reason="after the sale")]
)
def test_an_annotation_is_read_as_it_was_written(said: Verdict) -> None:
    assert approvals.verdict({names.ANNOTATION_APPROVAL: approvals.text(said)}) == said


def test_the_plan_is_read_from_the_log_and_the_resource_waits() -> None:
    observed = ended(PLANNED, read=None)
    assert needs(observed) == [ReadPlan(observed.pods[0], NOTE.line)]
    decision = decide(ended(PLANNED))
    status, run = decision.status, the_run(decision)
    assert conditions(status) == WAITING
    assert status.plan == replace(READ, image=IMAGE_1, image_digest=DIGEST, made_at=later(30))
    assert (run.result, run.failure, run.plan, run.approved_by) == (
        RunResult.PLANNED,
        Failure.APPROVAL_PENDING,
        PLAN,
        None,
    )
    assert message(status).startswith("ApprovalPending: nothing was applied, because the plan needs approval")
    assert decision.requeue_after is None


def test_of_a_plan_that_is_in_no_log_the_report_is_shown() -> None:
    for read in (PlanRead(None), PlanRead(replace(READ, digest=OTHER))):
        plan = decide(ended(PLANNED, read=read)).status.plan
        assert plan is not None
        assert (plan.digest, plan.file_count, plan.statement_count, plan.files) == (PLAN, 2, 5, ())


@pytest.mark.parametrize(
    ("changes", "starts"),
    [
        ({}, False),
        ({"said": ALICE}, True),
        ({"said": replace(ALICE, approves=False)}, False),
        ({"said": replace(ALICE, plan=OTHER)}, False),
        ({"spec": spec(approvedPlan=PLAN)}, True),
        ({"spec": spec(approvedPlan=OTHER)}, False),
        ({"spec": spec(approvedPlan=OTHER), "said": ALICE}, True),
        ({"said": ALICE, "plan": None}, True),
        ({"said": ALICE, "run": planned(approvals=(Approved(plan=PLAN, by="x"),))}, False),
        ({"spec": a_spec()}, True),
        ({"spec": LATER}, True),
        ({"retry": "1"}, True),
    ],
)
def test_what_starts_a_run_after_a_plan(changes: Any, starts: bool) -> None:
    decision = decide(waiting(**changes))
    assert any(word.startswith("create") for word in words(decision.actions)) is starts
    assert the_run(decision).active is starts
    if not starts:
        assert conditions(decision.status) == WAITING


def test_a_rejection_is_told() -> None:
    rejected = waiting(said=replace(ALICE, approves=False))
    assert message(decide(rejected).status).startswith("Rejected by alice@example.com. ")
    explained = waiting(said=replace(ALICE, approves=False, reason="after the sale"))
    assert message(decide(explained).status).startswith("Rejected by alice@example.com: after the sale. ")
    earlier = waiting(said=Verdict(OTHER, "bob", approves=False))
    assert "Rejected" not in message(decide(earlier).status)


def test_an_approval_waits_while_the_resource_is_suspended() -> None:
    suspended = waiting(said=ALICE, spec=a_spec(suspend=True, policy={"approval": "Always"}))
    assert conditions(decide(suspended).status) == ("False", "False", Reason.SUSPENDED, False)


def test_the_run_is_told_the_approvals_of_now_and_records_whose_it_was() -> None:
    run = the_run(decide(waiting(said=ALICE, spec=spec(approvedPlan=OTHER))))
    assert [(each.plan, each.by) for each in run.approvals] == [
        (PLAN, "alice@example.com"),
        (OTHER, "spec.policy.approvedPlan"),
    ]
    report = Report(applied=2, to_version="2", plan=NOTE)
    done = decide(
        ended(report, run=replace(run, job_uid="job-uid"), plan=READ, spec=spec(approvedPlan=OTHER))
    )
    recorded = the_run(done)
    assert (recorded.plan, recorded.approved_by, recorded.approved_at) == (
        PLAN,
        "alice@example.com",
        run.started_at,
    )
    assert recorded.approvals == ()
    assert done.status.plan is None
    assert done.status.history[0] == recorded


def test_nobody_is_recorded_where_nobody_was_asked() -> None:
    recorded = the_run(decide(ended(Report(applied=2, to_version="2", plan=NOTE))))
    assert (recorded.plan, recorded.approved_by, recorded.approved_at) == (PLAN, None, None)


def test_a_plan_that_changed_after_its_approval_says_so() -> None:
    run = an_intent(spec(), job_uid="job-uid", approvals=(Approved(plan=PLAN, by="alice"),))
    now = Report(failure=Failure.APPROVAL_PENDING, plan=replace(NOTE, digest=OTHER))
    read = PlanRead(replace(READ, digest=OTHER))
    changed = decide(ended(now, run=run, plan=READ, read=read))
    assert conditions(changed.status) == ("False", "False", Reason.PLAN_CHANGED, False)
    assert changed.status.plan is not None
    assert changed.status.plan.digest == OTHER
    # An approval of a plan that was never shown here, as an old one in Git, is no change.
    first = decide(ended(now, run=run, read=read))
    assert conditions(first.status) == WAITING


def test_the_plan_of_another_image_is_not_kept() -> None:
    other = decide(waiting(spec=LATER))
    assert other.status.plan is None
    same = decide(waiting(said=ALICE))
    assert same.status.plan == READ


def test_an_approval_that_changes_before_the_job_is_created_makes_a_new_intent() -> None:
    run = an_intent(spec(), approvals=(Approved(plan=OTHER, by="somebody with access to the status"),))
    forged = observe(a_resource(spec(), run=run), fresh=True)
    decision = decide(forged)
    assert the_run(decision).sequence == run.sequence + 1
    assert the_run(decision).approvals == ()


def test_an_approval_means_nothing_where_none_is_needed() -> None:
    assert approvals.given(a_spec(policy={"approvedPlan": PLAN}), ALICE) == ()
    assert approvals.given(None, ALICE) == ()


def test_events_ask_for_approval_and_say_who_gave_it() -> None:
    before = Status(run=an_intent(spec()))
    asked = transitions.events(before, decide(ended(PLANNED)).status)
    assert [(each.type, each.reason, each.message) for each in asked] == [
        (
            "Normal",
            "ApprovalPending",
            f"plan {PLAN} of 2 files needs approval: spec.policy.approval is Always",
        )
    ]
    resource = waiting(said=ALICE, spec=spec(approvedPlan=OTHER))
    given = transitions.events(resource.resource.status, decide(resource).status)
    assert next((each.reason, each.message) for each in given) == (
        "PlanApproved",
        f"plan {PLAN} approved by alice@example.com",
    )
    assert len([each for each in given if each.reason == "PlanApproved"]) == 1
