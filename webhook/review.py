"""AdmissionReview requests and responses (admission.k8s.io/v1)."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from dbupgrade.api import lock, names
from dbupgrade.decide.admission import AdmissionVerdict, Operation
from dbupgrade.objects import Object

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
_UID_LENGTH = 128


class MalformedReviewError(Exception):
    """The body is not a review that this webhook can answer; the message is for the caller."""


@dataclass(frozen=True)
class Review:
    """A request to judge. `old` is there for an update and a deletion, `new` for a creation and an update."""

    uid: str
    operation: Operation
    namespace: str
    old: Object
    new: Object


def parse(body: bytes) -> Review:
    """The review in `body`. Raises MalformedReviewError."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReviewError(
            f"the body is not JSON (line {error.lineno}, column {error.colno})"
        ) from None
    _expect(review, {"apiVersion": API_VERSION, "kind": KIND}, "review")
    request = _object(review, "request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _UID_LENGTH:
        raise MalformedReviewError("request.uid is missing")
    resource = {"group": names.GROUP, "version": names.VERSION, "resource": names.PLURAL}
    _expect(request.get("resource"), resource, "request.resource")
    _expect(
        request, {"kind": {"group": names.GROUP, "version": names.VERSION, "kind": names.KIND}}, "request"
    )
    if request.get("subResource"):
        raise MalformedReviewError("request.subResource: only the resource itself is judged")
    try:
        operation = Operation(str(request.get("operation")))
    except ValueError:
        raise MalformedReviewError(f"request.operation is none of {', '.join(Operation)}") from None
    return Review(
        uid=uid,
        operation=operation,
        namespace=str(request.get("namespace") or ""),
        old={} if operation is Operation.CREATE else _resource(request, "oldObject"),
        new={} if operation is Operation.DELETE else _resource(request, "object"),
    )


def answer(uid: str, verdict: AdmissionVerdict) -> bytes:
    """The AdmissionReview that contains `verdict`."""
    response: Object = {"uid": uid, "allowed": verdict.allowed}
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    if not verdict.allowed:
        response["status"] = {
            "status": "Failure",
            "code": int(verdict.code),
            "reason": _REASONS[verdict.code],
            "message": verdict.message,
            "details": {
                "group": names.GROUP,
                "kind": names.PLURAL,
                "causes": [
                    {"reason": _CAUSES[verdict.code], "field": problem.field, "message": problem.message}
                    for problem in verdict.problems
                ],
            },
        }
    return orjson.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response})


_CAUSES = {HTTPStatus.FORBIDDEN: lock.CAUSE, HTTPStatus.UNPROCESSABLE_ENTITY: "FieldValueInvalid"}
_REASONS = {HTTPStatus.FORBIDDEN: "Forbidden", HTTPStatus.UNPROCESSABLE_ENTITY: "Invalid"}


def _resource(request: Object, name: str) -> Object:
    obj = _object(request, name)
    _expect(obj, {"apiVersion": names.API_VERSION, "kind": names.KIND}, f"request.{name}")
    metadata = _object(obj, "metadata", f"request.{name}.")
    for part in ("spec", "status"):
        if not isinstance(obj.get(part) or {}, dict):
            raise MalformedReviewError(f"request.{name}.{part} is no object")
    if not isinstance(metadata.get("name"), str):
        metadata["name"] = metadata.get("generateName") or ""  # the API server makes the name after admission
    return obj


def _object(parent: Object, name: str, prefix: str = "") -> Object:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise MalformedReviewError(f"{prefix}{name} is missing or no object")
    return value


def _expect(value: Any, wanted: Object, where: str) -> None:
    """Raise MalformedReviewError unless `value` has what is wanted."""
    found = value if isinstance(value, dict) else {}
    for name, text in wanted.items():
        if found.get(name) != text:
            raise MalformedReviewError(f"{where}: {name} must be {text}")
