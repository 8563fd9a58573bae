"""AdmissionReview in and out: what is no review is named, and every verdict is told so that kubectl shows it."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.decide.admission import AdmissionVerdict, Operation
from dbupgrade.decide.validation import Problem
from webhook.review import MalformedReviewError, answer, parse

GROUP = "dbupgrade.subbug.learning"


def obj(name: str = "orders") -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "DBUpgrade", "metadata": {"name": name}, "spec": {}}


def review(**request: Any) -> dict[str, Any]:
    """A review of an update as the API server sends it; `request` replaces fields, None removes one."""
    fields = {
        "uid": "u-1",
        "kind": {"group": GROUP, "version": "v1alpha1", "kind": "DBUpgrade"},
        "resource": {"group": GROUP, "version": "v1alpha1", "resource": "dbupgrades"},
        "operation": "UPDATE",
        "namespace": "shop",
        "name": "orders",
        "object": obj(),
        "oldObject": obj(),
        **request,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": known}


def test_an_update_has_both_objects() -> None:
    parsed = parse(json.dumps(review()).encode())
    assert (parsed.uid, parsed.operation, parsed.namespace) == ("u-1", Operation.UPDATE, "shop")
    assert parsed.old == parsed.new == obj()


@pytest.mark.parametrize(
    ("operation", "missing"), [("CREATE", "oldObject"), ("DELETE", "object")], ids=["creation", "deletion"]
)
def test_one_object_is_enough_for_a(operation: str, missing: str) -> None:
    parsed = parse(json.dumps(review(operation=operation, **{missing: None})).encode())
    assert parsed.operation == operation


def test_a_name_that_the_api_server_still_has_to_make_is_no_problem() -> None:
    generated = {**obj(), "metadata": {"generateName": "orders-"}}
    parsed = parse(json.dumps(review(operation="CREATE", oldObject=None, object=generated)).encode())
    assert parsed.new["metadata"]["name"] == "orders-"


MALFORMED: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "not JSON"),
    "no JSON": (b"{", "not JSON"),
    "no object": ([], "apiVersion"),
    "another version of the review": ({**review(), "apiVersion": "admission.k8s.io/v1beta1"}, "apiVersion"),
    "another kind of review": ({**review(), "kind": "TokenReview"}, "kind"),
    "no request": ({**review(), "request": None}, "request"),
    "no uid": (review(uid=None), "uid"),
    "an endless uid": (review(uid="x" * 1000), "uid"),
    "another group": (
        review(resource={"group": "apps", "version": "v1", "resource": "deployments"}),
        "group",
    ),
    "another version": (
        review(resource={"group": GROUP, "version": "v2", "resource": "dbupgrades"}),
        "version",
    ),
    "another kind": (review(kind={"group": GROUP, "version": "v1alpha1", "kind": "Other"}), "kind"),
    "a subresource": (review(subResource="status"), "subResource"),
    "no operation": (review(operation=None), "operation"),
    "an operation that nobody asked for": (review(operation="CONNECT"), "operation"),
    "no old object": (review(oldObject=None), "oldObject"),
    "no new object": (review(object=None), "object"),
    "an object of another kind": (review(object={**obj(), "kind": "Pod"}), "kind"),
    "an object without metadata": (review(object={**obj(), "metadata": None}), "metadata"),
    "a spec that is no object": (review(object={**obj(), "spec": "x"}), "spec"),
    "a status that is no object": (review(oldObject={**obj(), "status": [1]}), "status"),
}


@pytest.mark.parametrize(("body", "word"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_review_is_named(body: Any, word: str) -> None:
    with pytest.raises(MalformedReviewError, match=word):
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_review_or_named(body: bytes) -> None:
    with pytest.raises(MalformedReviewError):
        parse(body)


def test_a_denial_is_told_with_code_reason_and_fields() -> None:
    problems = (Problem("spec", "locked"),)
    verdict = AdmissionVerdict(allowed=False, message="locked", code=HTTPStatus.FORBIDDEN, problems=problems)
    told = json.loads(answer("u-1", verdict))
    assert told["kind"] == "AdmissionReview"
    response = told["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", False)
    assert response["status"]["code"] == 403
    assert response["status"]["reason"] == "Forbidden"
    assert response["status"]["message"] == "locked"
    causes = [{"reason": "FieldValueForbidden", "field": "spec", "message": "locked"}]
    assert response["status"]["details"]["causes"] == causes


def test_an_approval_is_short_and_carries_warnings() -> None:
    assert json.loads(answer("u", AdmissionVerdict(allowed=True)))["response"] == {
        "uid": "u",
        "allowed": True,
    }
    warned = json.loads(answer("u", AdmissionVerdict(allowed=True, warnings=("w",))))
    assert warned["response"] == {"uid": "u", "allowed": True, "warnings": ["w"]}
