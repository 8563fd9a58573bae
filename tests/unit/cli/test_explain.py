from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.cli import explain as explaining
from dbupgrade.decide.failures import KINDS, Retry
from tests.unit.cli.builders import DONE, FAILED, PLAN, PLANNED, check, pod, seen, waiting

if TYPE_CHECKING:
    from dbupgrade.cli.view import Seen


def explain(resource: Seen, pods: list[dict[str, Any]] | None = None) -> list[str]:
    return [click.unstyle(line) for line in explaining.lines(explaining.explain(resource, pods))]


NOT_STARTING = {
    Reason.INITIALIZING,
    Reason.MIGRATION_COMPLETE,
    Reason.JOB_FAILED,
    Reason.LINT_FAILED,
    Reason.APPROVAL_PENDING,
    Reason.PLAN_CHANGED,
    Reason.PREFLIGHT_FAILED,
}
OF_CHECKS = {
    Reason.PRE_CHECK_IMAGE_VERSION_FAILED,
    Reason.PRE_CHECK_METRIC_FAILED,
    Reason.POST_CHECK_FAILED,
}


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_is_explained_from_the_run_alone(failure: Failure) -> None:
    kind = KINDS[failure]
    stalled = "" if kind.retry in (Retry.BACKOFF, Retry.APPROVAL) else "Stalled"
    found = explain(seen(stalled, kind.reason, "not read", run={**FAILED, "failure": failure}))
    assert found[0] == f"{failure} in 20250103_x.sql: {kind.what}: syntax error (statement: CREATE TABEL x)."
    assert found[1] == f"What to do: {kind.advise('login')}"
    last = {
        Retry.BACKOFF: "Retried automatically: attempt 2 starts at 12:0",
        Retry.SECRET_CHANGE: found[1],
        Retry.APPROVAL: "To approve the plan: kubectl dbupgrade approve app",
        Retry.NEVER: "Not retried automatically: change the spec, or run it again: kubectl dbupgrade retry app",
    }
    assert found[-1].startswith(last[kind.retry])


def test_where_secrets_are_not_read_a_failure_of_one_is_repeated_later_or_by_hand() -> None:
    run = {**FAILED, "failure": "AuthenticationFailed", "secretVersion": None}
    found = explain(seen("Stalled", "JobFailed", run=run))
    assert found[-1].startswith("The operator does not read Secrets: attempt 2 starts at 13:")
    assert found[-1].endswith("To start it at once: kubectl dbupgrade retry app")


def test_a_requested_retry_is_on_its_way() -> None:
    found = explain(seen("Stalled", "JobFailed", retry="2", lastHandledRetry="1", run=FAILED))
    assert found[-1] == "A retry was requested and starts now."


def test_a_plan_that_waits_says_why_and_how_to_approve_it() -> None:
    found = explain(waiting(f"reject {PLAN} bob\nafter the sale"))
    assert found[0].startswith("ApprovalPending: nothing was applied, because the plan needs approval")
    assert found[1] == f"Plan {PLAN} of 1 file needs approval: spec.policy.approval is Always."
    assert found[2] == "Rejected by bob: after the sale."
    assert found[3].startswith("What to do: Read the plan")
    assert found[4] == "To approve the plan: kubectl dbupgrade approve app"


def test_a_plan_that_has_changed_says_that_it_did() -> None:
    changed = {**PLANNED, "failure": "PlanChanged"}
    found = explain(waiting(run=changed, reason="PlanChanged"))
    assert "no longer the one that was approved" in found[0]
    assert found[1].startswith(f"Plan {PLAN} of 1 file needs approval")


def test_a_suspended_failure_is_resumed_first() -> None:
    found = explain(seen("", "JobFailed", suspend=True, run={**FAILED, "failure": "DatabaseUnreachable"}))
    assert len(found) == 3
    assert found[-1] == "Suspended: no run starts until it is resumed: kubectl dbupgrade resume app"


@pytest.mark.parametrize("reason", sorted(set(Reason) - NOT_STARTING - OF_CHECKS))
def test_every_reason_is_explained(reason: Reason) -> None:
    first, second, *_ = explain(seen("", reason, "what was seen"))
    assert first == f"{reason}: what was seen"
    assert second
    assert "{" not in second


def test_an_unknown_reason_of_a_newer_operator_is_shown_as_it_is() -> None:
    assert explain(seen("", "SomethingNew", "what was seen")) == ["SomethingNew: what was seen"]


def test_what_waits_for_a_person_says_so() -> None:
    found = explain(seen("Stalled", "InvalidSpec", "spec.checks is wrong"))
    assert found[-1] == "Stalled: nothing happens until somebody changes the resource."


def test_an_earlier_failure_is_not_what_holds_a_run_back_now() -> None:
    found = explain(seen("", "SecretNotFound", "Secret login not found", run=FAILED))
    assert found[0] == "SecretNotFound: Secret login not found"


def test_a_finished_migration_says_what_starts_the_next() -> None:
    done, then = explain(seen("Ready", run=DONE))
    assert done == "Ready: applied 2 files."
    assert then.startswith("The next run starts when ")


@pytest.mark.parametrize(
    ("observed", "known"), [(-1, "it has not seen this resource yet"), (1, "the last one that it saw is 1")]
)
def test_an_unseen_generation_is_said_to_be_unseen(observed: int, known: str) -> None:
    what, then = explain(seen("Ready", observedGeneration=observed, generation=2))
    assert what == f"The operator has not seen generation 2 of the spec yet ({known})."
    assert "kubectl --namespace dbupgrade-system get pods" in then


def test_every_failing_check_is_explained() -> None:
    checks = [
        check("web", "2 of 5 below 2.0.0", kind="PodVersion"),
        check("errors", "is 7, wanted < 5"),
        check("lag", "is 1, wanted < 5", verdict="Holds"),
    ]
    found = explain(seen("", "PreCheckImageVersionFailed", checks=checks))
    assert [line for line in found if "-check" in line] == [
        "Pre-check web fails: 2 of 5 below 2.0.0",
        "Pre-check errors fails: is 7, wanted < 5",
    ]
    assert "Roll out a newer version" in found[1]
    assert "The metric is read again" in found[3]


def test_a_failing_check_after_the_run_does_not_repeat_it() -> None:
    found = explain(seen("", "PostCheckFailed", checks=[check("errors", "is 7", phase="Post")], run=DONE))
    assert found[0] == "Post-check errors fails: is 7"
    assert "does not run again" in found[1]


def test_a_pod_that_cannot_start_says_why() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling\nimage: not found"}
    unstarted = pod(
        initContainerStatuses=[
            {"name": "fetch-migrations", "image": "crane:1", "state": {"waiting": waiting}}
        ]
    )
    found = explain(seen("Progressing", "JobPending", "Job x was created"), [unstarted])
    assert found[1] == (
        "The pod cannot start: image crane:1 of container fetch-migrations cannot be pulled: Back-off pulling image: not found"
    )
    assert "Watch it" in explain(seen("Progressing", "JobPending", "Job x was created"), [pod()])[1]


def test_advice_is_marked_for_scripts() -> None:
    found = explaining.explain(seen("Stalled", "JobFailed", run=FAILED))
    assert [finding.kind.value for finding in found] == ["seen", "advice", "next"]


def test_what_the_preflight_found_is_shown_with_the_command_that_mends_it() -> None:
    grant = {"check": "privileges", "severity": "error", "message": "user u has no CREATE", "fix": "GRANT x;"}
    pooler = {"check": "pooler", "severity": "info", "message": "a pooler"}
    run = {
        **FAILED,
        "failure": "PreflightFailed",
        "error": "user u has no CREATE; fix: GRANT x",
        "failedFile": None,
        "failedStatement": None,
    }
    shown = explain(seen("Stalled", "PreflightFailed", run=run, preflight=[grant, pooler]))
    assert shown[:4] == [
        "PreflightFailed: nothing was applied, because the run could not have succeeded.",
        "Preflight error (privileges): user u has no CREATE",
        "What to do: GRANT x;",
        "Preflight info (pooler): a pooler",
    ]
    assert "status.preflight" in shown[4]


def test_a_pod_that_cannot_be_scheduled_is_told_once_with_what_to_do() -> None:
    said = "0/1 nodes are available: 1 node(s) didn't match."
    scheduled = {"type": "PodScheduled", "status": "False", "message": said}
    advice = f"What to do: {KINDS[Failure.UNSCHEDULABLE].advise('login')}"
    pods = [pod(conditions=[scheduled])]
    told = f"Job x: pod shop-1a2b-x cannot be scheduled: {said}"
    assert explain(seen("Progressing", "JobPending", told), pods) == [f"JobPending: {told}", advice]
    early = explain(seen("Progressing", "JobPending", "Job x was created"), pods)
    assert early[1:] == [f"The pod cannot be scheduled: {said}", advice]
