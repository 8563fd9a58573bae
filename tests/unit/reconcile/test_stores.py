"""Whose an object is, and whether it still works on a database."""

from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.decide.observed import job_from, pod_from, resource_from
from dbupgrade.objects import Key
from dbupgrade.reconcile.stores import (
    AT_WORK_ON,
    BY_UID,
    Stores,
    essential,
    is_over,
    label,
    of_resource,
    owner_key,
)


def an_object(name: str = "orders-1", **metadata: Any) -> dict[str, Any]:
    base = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": {**base, **metadata}}


def test_the_resource_of_a_job_is_in_its_annotation() -> None:
    assert owner_key(an_object(annotations={names.ANNOTATION_RESOURCE: "orders"})) == Key("shop", "orders")
    assert owner_key(an_object(annotations={"other": "x"})) is None
    assert owner_key(an_object(annotations=None)) is None


def test_a_label_that_is_absent_is_empty() -> None:
    assert label(an_object(labels={"a": "b"}), "a") == "b"
    assert label(an_object(labels=None), "a") == ""
    assert label(an_object(), "a") == ""


def test_jobs_and_pods_are_found_by_their_database_and_by_their_resource() -> None:
    stores = Stores()
    labels = {names.LABEL_UID: "uid", names.LABEL_DATABASE: "red"}
    pod, other = an_object("pod", labels=labels), an_object("other", labels={names.LABEL_DATABASE: "blue"})
    for store in (stores.pods, stores.jobs):
        for obj in (pod, other):
            store.put(obj)
    for store in (stores.pods, stores.jobs):
        assert list(store.by_index(BY_UID, "uid")) == [essential(pod)]
        assert list(store.by_index(AT_WORK_ON, "shop/red")) == [essential(pod)]
        assert list(store.by_index(AT_WORK_ON, "shop/blue")) == [essential(other)]


@pytest.mark.parametrize(
    ("status", "over"),
    [
        pytest.param(None, False, id="nothing is known"),
        pytest.param({"phase": "Pending"}, False, id="a pod that waits"),
        pytest.param({"phase": "Running"}, False, id="a pod that runs"),
        pytest.param({"phase": "Unknown"}, False, id="a pod on a node that is away"),
        pytest.param({"phase": "Succeeded"}, True, id="a pod that succeeded"),
        pytest.param({"phase": "Failed"}, True, id="a pod that failed"),
        pytest.param({"conditions": None}, False, id="a new Job"),
        pytest.param(
            {"conditions": [{"type": "FailureTarget", "status": "True"}]}, False, id="a Job whose pods end"
        ),
        pytest.param(
            {"conditions": [{"type": "Complete", "status": "False"}]}, False, id="a Job not complete"
        ),
        pytest.param({"conditions": [{"type": "Complete", "status": "True"}]}, True, id="a Job complete"),
        pytest.param({"conditions": [{"type": "Failed", "status": "True"}]}, True, id="a Job failed"),
    ],
)
def test_what_is_over(status: dict[str, Any] | None, over: bool) -> None:
    assert is_over({**an_object(), "status": status}) is over


def test_of_a_job_or_pod_only_what_is_looked_at_is_kept() -> None:
    """Anybody may put our label on pods and Jobs of theirs, as large as they like."""
    huge = "x" * 500_000
    labels = {names.LABEL_UID: "uid", names.LABEL_DATABASE: "red", "app": "web"}
    metadata: dict[str, Any] = {
        "labels": labels,
        "annotations": {names.ANNOTATION_RESOURCE: "orders", "note": huge},
    }
    containers = [{"name": "migrate", "env": [{"name": "A", "value": huge}]}]
    pod = {
        **an_object(**metadata),
        "kind": "Pod",
        "spec": {"containers": containers},
        "status": {"phase": "Running"},
    }
    job = {
        **an_object(**metadata),
        "kind": "Job",
        "spec": {"backoffLimit": 3, "template": {"spec": pod["spec"]}},
    }
    stores = Stores()
    for store, obj in ((stores.pods, pod), (stores.jobs, job)):
        store.put(obj)
        kept = store.get(Key("shop", "orders-1"))
        assert kept
        assert len(str(kept)) < 500
        assert pod_from(kept) == pod_from(obj)
        assert owner_key(kept) == Key("shop", "orders")
    kept_job = stores.jobs.get(Key("shop", "orders-1"))
    assert kept_job
    assert job_from(kept_job) == job_from(job)


@pytest.mark.parametrize("retry", ["", "1", "x" * 200_000])
def test_of_a_resource_only_what_is_looked_at_is_kept(retry: str) -> None:
    annotations = {
        names.ANNOTATION_RETRY: retry,
        names.ANNOTATION_APPROVAL: "a" * 5000,
        "note": "n" * 200_000,
    }
    metadata = {
        "name": "shop",
        "namespace": "n",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"a": "b"},
        "annotations": annotations,
    }
    obj = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": metadata,
        "spec": {},
        "status": {},
    }
    kept = of_resource(obj)
    assert resource_from(kept) == resource_from(obj)
    assert of_resource(kept) == kept
    assert len(str(kept)) < 500
