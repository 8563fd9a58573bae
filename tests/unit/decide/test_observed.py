"""Objects of the API server as a decision sees them; what is absent in them is tolerated."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.identity import database_identity
from dbupgrade.api.record import to_json
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Status
from dbupgrade.decide.observed import (
    job_from,
    pod_from,
    resource_from,
    status_from,
)
from dbupgrade.pod.steps import STEPS
from dbupgrade.pod.view import ContainerView, timestamp
from tests.unit.decide.builders import NOW, an_intent, failed, spec_object, succeeded

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OWNERS = [{"kind": "Other", "uid": "other"}, {"kind": "DBUpgrade", "uid": "owner", "controller": True}]


def an_object(**changes: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "orders", "uid": "uid", **changes.pop("metadata", {})}
    return {"metadata": metadata, "spec": {}, **changes}


def test_a_resource() -> None:
    metadata = {
        "generation": 3,
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "annotations": {names.ANNOTATION_RETRY: "again"},
    }
    status = {"observedGeneration": 2, "currentVersion": "1"}
    resource = resource_from(an_object(metadata=metadata, spec=spec_object(), status=status))
    assert (resource.namespace, resource.name, resource.uid, resource.generation) == (
        "shop",
        "orders",
        "uid",
        3,
    )
    assert (resource.created, resource.retry, resource.deleting) == ("2026-01-02T03:04:05Z", "again", False)
    assert resource.spec == Spec.model_validate(spec_object())
    assert resource.spec_error == ""
    assert resource.status == Status(observed_generation=2, current_version="1")


def test_a_resource_of_which_little_is_known() -> None:
    resource = resource_from(an_object(metadata={"annotations": None}, status=None))
    assert (resource.generation, resource.retry, resource.created) == (0, "", "")
    assert resource.status == Status()


def test_a_resource_that_is_being_deleted() -> None:
    assert resource_from(an_object(metadata={"deletionTimestamp": "2026-01-02T03:04:05Z"})).deleting


def test_a_spec_that_cannot_be_used_says_which_field_without_its_value() -> None:
    spec = {"migrations": {"image": "secret image; rm"}, "database": {"type": "oracle"}}
    resource = resource_from(an_object(spec=spec))
    assert resource.spec is None
    assert "spec.migrations.image must be an image reference, for example" in resource.spec_error
    assert "spec.database.type must be 'selfHosted', 'awsRds' or 'awsAurora'" in resource.spec_error
    assert "secret image" not in resource.spec_error


def test_a_spec_that_is_missing_names_what_it_must_have() -> None:
    resource = resource_from(an_object(spec=None))
    assert resource.spec_error == "spec.migrations is required; spec.database is required"


@pytest.mark.parametrize("run", [succeeded(), failed(Failure.SQL, failed_file="a.sql", error="bad")])
def test_a_status_survives_being_stored(run: Run) -> None:
    status = Status(run=run, history=(run,), job_completed_at=NOW, last_handled_retry="1")
    stored = to_json(status)
    assert status_from(stored) == status


def stored(run: Run, **changes: Any) -> dict[str, Any]:
    status = Status(run=run, history=(run,), observed_generation=2, current_version="1")
    return {**to_json(status), **changes}


def test_a_run_of_a_status_that_names_no_engine_was_one_of_atlas() -> None:
    status = stored(succeeded())
    assert status["run"].pop("engine") == "Atlas"
    found = status_from(status).run
    assert found
    assert found.engine == "Atlas"


BAD_CHECK = {"phase": "Pre", "name": "x", "verdict": "Perhaps", "since": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize("run", [an_intent(), succeeded(), failed(Failure.SQL)])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"history": [{"sequence": "many"}]}, id="a run in the history"),
        pytest.param({"history": "lost"}, id="the whole history"),
        pytest.param({"checks": [BAD_CHECK]}, id="a check"),
        pytest.param({"checks": [BAD_CHECK], "history": [{}]}, id="both"),
    ],
)
def test_a_history_that_cannot_be_read_is_lost_without_the_run(run: Run, changes: dict[str, Any]) -> None:
    expected = Status(run=run, observed_generation=2, current_version="1")
    assert status_from(stored(run, **changes)) == expected


def test_a_history_longer_than_ours_is_lost_without_the_run() -> None:
    run = succeeded()
    history = stored(run)["history"] * 11
    assert status_from(stored(run, history=history)).run == run


@pytest.mark.parametrize("failure", ["FromTheFuture", "SQLError2"])
def test_a_failure_of_a_newer_operator_is_unknown_and_loses_nothing(failure: str) -> None:
    obj = stored(failed(Failure.SQL))
    for run in (obj["run"], *obj["history"]):
        run["failure"] = failure
    expected = failed(Failure.UNKNOWN)
    assert status_from(obj) == Status(
        run=expected, history=(expected,), observed_generation=2, current_version="1"
    )


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"run": {"sequence": "many"}}, id="the run"),
        pytest.param(
            {"run": {"sequence": "many"}, "history": [], "currentVersion": "1"}, id="the run beside more"
        ),
        pytest.param({"observedGeneration": "two"}, id="the generation"),
    ],
)
def test_a_status_that_cannot_be_read_counts_as_lost(status: dict[str, Any]) -> None:
    assert status_from(status) == Status()


@pytest.mark.parametrize(
    ("annotations", "sequence"),
    [
        pytest.param({names.ANNOTATION_SEQUENCE: "12"}, 12, id="a number"),
        pytest.param({names.ANNOTATION_SEQUENCE: "999999999"}, 999999999, id="a large one"),
        pytest.param({names.ANNOTATION_SEQUENCE: "1" * 10}, 0, id="one that no resource reaches"),
        pytest.param({names.ANNOTATION_SEQUENCE: "1" * 5000}, 0, id="one that Python does not read"),
        pytest.param({names.ANNOTATION_SEQUENCE: "-1"}, 0, id="a sign"),
        pytest.param({names.ANNOTATION_SEQUENCE: "²"}, 0, id="a digit that is no number"),
        pytest.param({names.ANNOTATION_SEQUENCE: ""}, 0, id="an empty one"),
        pytest.param({}, 0, id="a Job of an earlier operator"),
        pytest.param(None, 0, id="no annotations"),
    ],
)
def test_the_number_of_a_job(annotations: dict[str, str] | None, sequence: int) -> None:
    assert job_from(an_object(metadata={"annotations": annotations})).sequence == sequence


def test_times() -> None:
    assert timestamp("2026-01-02T03:04:05Z") == WHEN
    assert timestamp("2026-01-02T05:04:05+02:00") == WHEN
    assert timestamp(None) is None
    assert timestamp("") is None


def test_a_job() -> None:
    metadata = {
        "ownerReferences": OWNERS,
        "annotations": {names.ANNOTATION_RUN_ID: "run"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    job = job_from(an_object(metadata=metadata))
    assert (job.name, job.uid, job.owner_uid, job.run_id, job.created) == (
        "orders",
        "uid",
        "owner",
        "run",
        WHEN,
    )
    assert not job.finished
    assert not job.deleting
    assert not job.has_ttl


@pytest.mark.parametrize(
    ("conditions", "succeeded", "failed_reason"),
    [
        pytest.param([{"type": "Complete", "status": "True"}], True, None, id="complete"),
        pytest.param(
            [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}],
            False,
            "DeadlineExceeded",
            id="failed",
        ),
        pytest.param([{"type": "Failed", "status": "True"}], False, "", id="failed without a reason"),
        pytest.param(
            [{"type": "FailureTarget", "status": "True", "reason": "x"}], False, None, id="its pods still end"
        ),
        pytest.param(
            [{"type": "SuccessCriteriaMet", "status": "True"}], False, None, id="its pods still end well"
        ),
        pytest.param([{"type": "Complete", "status": "False"}], False, None, id="not complete"),
        pytest.param(None, False, None, id="no conditions"),
    ],
)
def test_how_a_job_ended(
    conditions: list[dict[str, str]] | None, succeeded: bool, failed_reason: str | None
) -> None:
    job = job_from(an_object(status={"conditions": conditions, "completionTime": "2026-01-02T03:04:05Z"}))
    assert (job.succeeded, job.failed_reason) == (succeeded, failed_reason)
    assert job.finished is (succeeded or failed_reason is not None)
    assert job.completed == WHEN


def test_a_job_with_a_time_to_live_even_of_nothing_has_one() -> None:
    assert job_from(an_object(spec={"ttlSecondsAfterFinished": 0})).has_ttl


def test_a_reference_that_is_no_controller_does_not_own() -> None:
    assert (
        job_from(an_object(metadata={"ownerReferences": [{"uid": "x", "controller": False}]})).owner_uid == ""
    )


def a_pod(**status: Any) -> dict[str, Any]:
    return an_object(metadata={"ownerReferences": OWNERS}, status=status)


def test_a_new_pod() -> None:
    pod = pod_from(an_object())
    assert not pod.terminal
    assert not pod.unschedulable
    assert (pod.migrate, pod.job_uid, pod.created) == (ContainerView(), "", None)
    assert pod.steps == {name: ContainerView() for name in STEPS}


@pytest.mark.parametrize(
    ("phase", "terminal"),
    [("Pending", False), ("Running", False), ("Unknown", False), ("Succeeded", True), ("Failed", True)],
)
def test_which_pods_have_ended(phase: str, terminal: bool) -> None:
    assert pod_from(a_pod(phase=phase)).terminal is terminal


def test_a_pod_without_a_node_and_one_with_it() -> None:
    without = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    assert pod_from(a_pod(conditions=[without])).unschedulable
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    pod = pod_from(a_pod(conditions=[{"type": "Ready", "status": "False"}, bound]))
    assert not pod.unschedulable
    assert pod.scheduled == WHEN


TIME = "2026-01-02T03:04:05Z"
ENDED = {"exitCode": 1, "reason": "Error", "message": "error=x", "startedAt": TIME, "finishedAt": TIME}
GONE = "The container could not be located when the pod was terminated"
UNKNOWN = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": GONE,
}


@pytest.mark.parametrize(
    ("status", "view"),
    [
        pytest.param(
            {"image": "i:1", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
            ContainerView(
                name="NAME",
                image="i:1",
                waiting_reason="ErrImagePull",
                waiting_message="not found",
            ),
            id="waits",
        ),
        pytest.param({"state": {"waiting": {}}}, ContainerView(), id="waits for no known reason"),
        pytest.param({"state": {"running": {}}}, ContainerView(started=True), id="runs"),
        pytest.param(
            {"state": {"terminated": ENDED}},
            ContainerView(started=True, exit_code=1, end_reason="Error", message="error=x", finished=WHEN),
            id="has ended",
        ),
        pytest.param(
            {"state": {"terminated": {"exitCode": 0, "startedAt": "2026-01-02T03:04:05Z"}}},
            ContainerView(started=True, exit_code=0),
            id="has ended well and says nothing",
        ),
        pytest.param(
            {"state": {"terminated": UNKNOWN}},
            ContainerView(),
            id="never started, and the kubelet wrote an end when its pod was deleted",
        ),
        pytest.param(
            {"containerID": "containerd://1", "state": {"terminated": UNKNOWN}},
            ContainerView(started=True, exit_code=137, end_reason="ContainerStatusUnknown", message=GONE),
            id="had started, and its end was lost",
        ),
        pytest.param({"state": None}, ContainerView(), id="has no state yet"),
    ],
)
def test_a_container(status: dict[str, Any], view: ContainerView) -> None:
    pod = pod_from(
        a_pod(
            initContainerStatuses=[{"name": "istio-init"}, {"name": "fetch-migrations", **status}],
            containerStatuses=[{"name": "sidecar", "state": {"running": {}}}, {"name": "migrate", **status}],
        )
    )
    for name, found in (("fetch-migrations", pod.steps["fetch-migrations"]), ("migrate", pod.migrate)):
        assert found == replace(view, name=view.name and name)


AWS = {
    "type": "awsRds",
    "aws": {
        "roleArn": "arn:aws:iam::123456789012:role/x",
        "region": "eu-west-1",
        "host": "h",
        "dbName": "d",
        "username": "u",
    },
}


@pytest.mark.parametrize(("database", "token"), [(None, False), (AWS, True)])
def test_the_names_in_a_status_are_ours_whatever_others_write_into_it(
    database: dict[str, Any] | None, token: bool
) -> None:
    forged = an_intent(sequence=3, job_name="theirs", database="of-others", token_secret="a-secret")
    spec = {**spec_object(), **({"database": database} if database else {})}
    resource = resource_from(an_object(spec=spec, status=to_json(Status(run=forged))))
    assert resource.spec
    job_name = names.job_name("orders", "uid", 3)
    run = resource.status.run
    assert run
    assert run.job_name == job_name
    assert run.database == names.database_label(database_identity("shop", resource.spec.database))
    assert run.token_secret == (f"{job_name}-token" if token else None)
    unusable = resource_from(an_object(spec={}, status=to_json(Status(run=forged)))).status.run
    assert unusable
    assert (unusable.job_name, unusable.token_secret) == (job_name, f"{job_name}-token")


@pytest.mark.parametrize(("status", "disrupted"), [("True", True), ("False", False)])
def test_a_pod_that_the_cluster_ended(status: str, disrupted: bool) -> None:
    ready = {"type": "Ready", "status": "True"}
    pod = a_pod(conditions=[{"type": "DisruptionTarget", "status": status}, ready])
    assert pod_from(pod).disrupted is disrupted
    assert not pod_from(a_pod(conditions=[ready])).disrupted


def test_how_often_a_job_may_try_again() -> None:
    assert job_from(an_object(spec={"backoffLimit": 0})).backoff_limit == 0
    assert job_from(an_object(spec={"backoffLimit": 2})).backoff_limit == 2
    assert job_from(an_object()).backoff_limit == 6, "the API server's default"


@pytest.mark.parametrize(
    ("status", "had_pod"),
    [
        ({}, False),
        ({"ready": 0, "terminating": 0, "startTime": "2026-01-02T03:04:05Z"}, False),
        ({"active": 1}, True),
        ({"terminating": 1}, True),
        ({"failed": 1}, True),
        ({"conditions": [{"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}]}, True),
        ({"conditions": [{"type": "Suspended", "status": "False"}]}, False),
    ],
)
def test_what_the_status_of_a_job_tells_of_a_pod(status: dict[str, Any], had_pod: bool) -> None:
    assert job_from(an_object(status=status)).had_pod is had_pod
