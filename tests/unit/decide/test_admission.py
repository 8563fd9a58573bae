"""The lock, the immutable database, and what no schema can say: one row for each rule of the contract's section 7."""

import copy
from http import HTTPStatus
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.spec import immutable
from dbupgrade.decide.admission import AdmissionVerdict, active, created, deleted, needs_namespace, updated
from tests.unit.decide.builders import IMAGE_1, IMAGE_2, spec_object

Object = dict[str, Any]

LOCKED = "cannot update spec while migration is in progress (Progressing=True)"
RUNNING = ("True", Reason.MIGRATION_IN_PROGRESS)
AWS = {
    "roleArn": "arn:aws:iam::1:role/r",
    "region": "eu-central-1",
    "host": "h",
    "dbName": "d",
    "username": "u",
}
CONNECTION = {"urlSecretRef": {"name": "orders-db"}}
PARTS = {
    "host": "db",
    "database": "orders",
    "userSecretRef": {"name": "login"},
    "passwordSecretRef": {"name": "login"},
}


def resource(
    spec: Object | None = None, progressing: tuple[str, str] | None = None, **metadata: Any
) -> Object:
    """A stored DBUpgrade."""
    obj: Object = {
        "metadata": {"name": "orders", "namespace": "shop", **metadata},
        "spec": spec or spec_object(),
    }
    if progressing:
        status, reason = progressing
        condition = {"type": "Progressing", "status": status, "reason": reason}
        obj["status"] = {"conditions": [condition], "run": {"jobName": "orders-1"}}
    return obj


def change(**fields: Any) -> Object:
    return spec_object(**fields)


SPEC_CHANGES: dict[str, Object] = {
    "image": spec_object(IMAGE_2),
    "folder": change(migrations={"dir": "/other"}),
    "baseline": change(migrations={"baseline": "1"}),
    "delivery": change(migrations={"delivery": "ImageVolume"}),
    "checks": change(checks={"pre": {}}),
    "runner": change(runner={"activeDeadlineSeconds": 60}),
    "the database, which is locked before it is immutable": change(database={"type": "awsRds", "aws": AWS}),
    "suspend and the image": spec_object(IMAGE_2, suspend=True),
}


@pytest.mark.parametrize("spec", SPEC_CHANGES.values(), ids=SPEC_CHANGES)
@pytest.mark.parametrize("reason", [Reason.JOB_PENDING, Reason.MIGRATION_IN_PROGRESS])
def test_during_a_run_spec_is_locked_against_a_change_of(spec: Object, reason: Reason) -> None:
    verdict = updated(resource(progressing=("True", reason)), resource(spec))
    assert not verdict.allowed
    assert verdict.code is HTTPStatus.FORBIDDEN
    assert verdict.message.startswith(LOCKED)
    assert "Job orders-1" in verdict.message
    assert "dbupgrade/orders" in verdict.message
    assert [problem.field for problem in verdict.problems] == ["spec"]


def test_during_a_run_without_a_known_job_the_lock_holds_too() -> None:
    old = resource(progressing=RUNNING)
    del old["status"]["run"]
    assert updated(old, resource(spec_object(IMAGE_2))).message.startswith(LOCKED)


@pytest.mark.parametrize(
    "progressing",
    [None, ("False", Reason.JOB_FAILED), ("True", Reason.POST_CHECK_BAKE_TIME_WAITING), ("Unknown", "X")],
    ids=["before any run", "after a run", "in the bake after a run", "with an unknown status"],
)
def test_spec_is_free(progressing: tuple[str, str] | None) -> None:
    assert updated(resource(progressing=progressing), resource(spec_object(IMAGE_2))).allowed


def with_metadata(**metadata: Any) -> Object:
    return resource(**metadata)


HARMLESS: dict[str, Object] = {
    "nothing": resource(),
    "labels": resource(labels={"a": "b"}),
    "annotations": resource(annotations={"dbupgrade.subbug.learning/retry": "1"}),
    "finalizers": resource(finalizers=[]),
    "status": resource(progressing=("False", Reason.JOB_FAILED)),
    "suspend": resource(spec_object(suspend=True)),
}


@pytest.mark.parametrize("new", HARMLESS.values(), ids=HARMLESS)
def test_during_a_run_everybody_may_change(new: Object) -> None:
    assert updated(resource(progressing=RUNNING), new).allowed


def test_an_update_that_leaves_an_invalid_spec_as_it_is_passes() -> None:
    invalid = change(database={"type": "selfHosted"})
    assert not created(resource(invalid)).allowed
    assert updated(resource(invalid), resource(copy.deepcopy(invalid), labels={"a": "b"})).allowed


@pytest.mark.parametrize(
    ("database", "fields"),
    [
        (
            {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "other"}}},
            ["connection.urlSecretRef.name"],
        ),
        (
            {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "orders-db", "key": "k"}}},
            ["connection.urlSecretRef.key"],
        ),
        (
            {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "orders-db", "optional": True}}},
            ["connection.urlSecretRef.optional"],
        ),
        ({"type": "awsRds", "connection": CONNECTION}, ["type"]),
        ({"type": "awsRds", "aws": AWS}, ["type", "connection", "aws"]),
        (
            {"type": "selfHosted", "connection": PARTS},
            ["connection.urlSecretRef", *(f"connection.{part}" for part in PARTS)],
        ),
    ],
    ids=[
        "other Secret",
        "other key",
        "optional",
        "other type",
        "other way to connect",
        "parts instead of a URL",
    ],
)
def test_the_database_is_immutable_and_the_changed_fields_are_told(
    database: Object, fields: list[str]
) -> None:
    verdict = updated(resource(), resource(change(database=database)))
    assert verdict.code is HTTPStatus.UNPROCESSABLE_ENTITY
    assert sorted(verdict.message.split("; ")) == sorted(
        immutable_field(f"spec.database.{field}") for field in fields
    )


@pytest.mark.parametrize("field", [*AWS, "port", "dialect"])
def test_each_field_of_an_aws_database_is_immutable(field: str) -> None:
    value = {"port": 5433, "dialect": "mysql"}.get(field, "other")
    old, new = ({"type": "awsRds", "aws": aws} for aws in (AWS, {**AWS, field: value}))
    verdict = updated(resource(change(database=old)), resource(change(database=new)))
    assert verdict.message == immutable_field(f"spec.database.aws.{field}")


@pytest.mark.parametrize(
    "part",
    [
        {"host": "other"},
        {"port": 5433},
        {"database": "other"},
        {"schema": "tenant"},
        {"userSecretRef": {"name": "other"}},
        {"passwordSecretRef": {"name": "login", "key": "k"}},
        {"sslMode": "require"},
        {"sslMode": "verify-full", "caSecretRef": {"name": "authority"}},
    ],
    ids=lambda part: next(iter(part)),
)
def test_each_part_of_a_connection_is_immutable(part: Object) -> None:
    old = change(database={"type": "selfHosted", "connection": PARTS})
    new = change(database={"type": "selfHosted", "connection": {**PARTS, **part}})
    assert created(resource(new)).allowed
    for before, after in ((old, new), (new, old)):
        verdict = updated(resource(before), resource(after))
        assert verdict.code is HTTPStatus.UNPROCESSABLE_ENTITY
        field = next(iter(part))
        told = f"spec.database.connection.{field}" + (".key" if field == "passwordSecretRef" else "")
        told += ".name" if field == "userSecretRef" else ""
        assert immutable_field(told) in verdict.message.split("; ")


def test_a_denial_says_how_to_move_to_another_secret() -> None:
    """Also with a kustomization that renames Secrets with their content."""
    connection = {"urlSecretRef": {"name": "other"}}
    verdict = updated(resource(), resource(change(database={"type": "selfHosted", "connection": connection})))
    assert verdict.message == (
        "spec.database.connection.urlSecretRef.name is immutable: change the content of the Secret, or delete the DBUpgrade and "
        "create it again"
    )


def immutable_field(path: str) -> str:
    return f"{path} {immutable.message(path)}"


INVALID: dict[str, tuple[Object, list[str]]] = {
    "selfHosted without connection": ({"type": "selfHosted"}, ["spec.database.connection"]),
    "selfHosted with aws": (
        {"type": "selfHosted", "connection": CONNECTION, "aws": AWS},
        ["spec.database.aws"],
    ),
    "selfHosted with aws only": (
        {"type": "selfHosted", "aws": AWS},
        ["spec.database.connection", "spec.database.aws"],
    ),
    "awsRds with neither": ({"type": "awsRds"}, ["spec.database.aws"]),
    "awsAurora with neither": ({"type": "awsAurora"}, ["spec.database.aws"]),
    "connection without urlSecretRef": (
        {"type": "selfHosted", "connection": {}},
        ["spec.database.connection.urlSecretRef"],
    ),
    "an empty name": (
        {"type": "selfHosted", "connection": {"urlSecretRef": {"name": ""}}},
        ["spec.database.connection.urlSecretRef.name"],
    ),
    "an empty key": (
        {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "a", "key": ""}}},
        ["spec.database.connection.urlSecretRef.key"],
    ),
    "an unknown type": ({"type": "oracle", "connection": CONNECTION}, ["spec.database.type"]),
}


@pytest.mark.parametrize(("database", "fields"), INVALID.values(), ids=INVALID)
def test_a_database_is_rejected_with(database: Object, fields: list[str]) -> None:
    assert rejected(change(database=database)) == fields


@pytest.mark.parametrize(
    "database",
    [
        {"type": "selfHosted", "connection": CONNECTION},
        {"type": "awsRds", "connection": CONNECTION},
        {"type": "awsAurora", "aws": AWS},
        {"type": "awsRds", "aws": AWS, "connection": CONNECTION},
    ],
)
def test_a_database_is_accepted(database: Object) -> None:
    assert created(resource(change(database=database))).allowed


PODS: Object = {"pods": {"selector": {}}}
OBJECT: Object = {"object": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "s"}}}
EXTERNAL: Object = {"external": {}}
TARGETS: dict[str, tuple[str, Object, list[str]]] = {
    "Pods without its block": ("Custom", {"type": "Pods"}, [".target.pods"]),
    "Object without its block": ("Custom", {"type": "Object"}, [".target.object"]),
    "External without its block, which means every series": ("External", {"type": "External"}, []),
    "another block beside": ("Custom", {"type": "Pods", **PODS, **OBJECT}, [".target.object"]),
    "another block instead": ("Custom", {"type": "Pods", **OBJECT}, [".target.pods", ".target.object"]),
    "Custom with External": ("Custom", {"type": "External", **EXTERNAL}, [".target.type"]),
    "External with Pods": ("External", {"type": "Pods", **PODS}, [".target.type"]),
    "Custom with Pods": ("Custom", {"type": "Pods", **PODS}, []),
    "Custom with Object": ("Custom", {"type": "Object", **OBJECT}, []),
    "External with External": ("External", {"type": "External", **EXTERNAL}, []),
    "External with Object, as existing manifests have it": ("External", {"type": "Object", **OBJECT}, []),
}


@pytest.mark.parametrize("phase", ["pre", "post"])
@pytest.mark.parametrize(("source", "target", "fields"), TARGETS.values(), ids=TARGETS)
def test_a_target(phase: str, source: str, target: Object, fields: list[str]) -> None:
    threshold = {"operator": "<", "value": "0"}
    check = {"name": "c", "metricName": "m", "source": source, "target": target, "threshold": threshold}
    spec = change(checks={phase: {"metrics": [check]}})
    assert rejected(spec) == [f"spec.checks.{phase}.metrics[0]{field}" for field in fields]


def a_metric(**changes: Any) -> Object:
    threshold = {"operator": "<", "value": "0"}
    return {
        "name": "c",
        "metricName": "m",
        "target": {"type": "Pods", **PODS},
        "threshold": threshold,
        **changes,
    }


CHECKS: dict[str, tuple[Object, str]] = {
    "a minVersion that is no version": (
        {"pre": {"minPodVersions": [{"selector": {}, "minVersion": "latest"}]}},
        "spec.checks.pre.minPodVersions[0].minVersion",
    ),
    "a threshold that is no quantity": (
        {"post": {"metrics": [a_metric(threshold={"operator": "<", "value": "5 apples"})]}},
        "spec.checks.post.metrics[0].threshold.value",
    ),
    "two checks of one name": (
        {"pre": {"metrics": [a_metric(), a_metric(metricName="n")]}},
        "spec.checks.pre.metrics[1]",
    ),
}


@pytest.mark.parametrize(("checks", "field"), CHECKS.values(), ids=CHECKS)
def test_checks_are_rejected_with(checks: Object, field: str) -> None:
    assert rejected(change(checks=checks)) == [field]


@pytest.mark.parametrize("value", [0, 5, -5, "0", "250m", "0.05", "1e3", "1Ki", "-5", ".5"])
def test_a_threshold_may_be(value: str | int) -> None:
    check = a_metric(threshold={"operator": "<", "value": value})
    assert rejected(change(checks={"pre": {"metrics": [check]}})) == []


def test_every_problem_is_told_with_its_path() -> None:
    verdict = created(resource({"migrations": {}, "database": {"type": "selfHosted", "connection": {}}}))
    assert "spec.migrations.image is required" in verdict.message
    assert (
        "spec.database.connection.urlSecretRef is required, unless the connection is given in parts"
        in created(resource(change(database={"type": "selfHosted", "connection": {}}))).message
    )


@pytest.mark.parametrize("spec", [None, {}, [], "x", 1], ids=repr)
def test_a_spec_that_is_none_is_rejected(spec: Any) -> None:
    obj = resource()
    obj["spec"] = spec
    assert not created(obj).allowed


def test_what_is_legal_and_probably_not_meant_is_warned_about() -> None:
    assert created(resource(spec_object(IMAGE_1))).warnings == ()
    for image in ("registry.test:5000/orders", "orders:latest"):
        (warning,) = created(resource(spec_object(image))).warnings
        assert image in warning
    both = {"type": "awsRds", "aws": AWS, "connection": CONNECTION}
    (warning,) = created(resource(change(database=both))).warnings
    assert "spec.database.connection" in warning


def rejected(spec: Object) -> list[str]:
    """The fields for which `spec` is rejected, at its creation and as a change of another one alike."""
    verdict = created(resource(spec))
    old = copy.deepcopy(spec)
    old["migrations"]["image"] = IMAGE_2
    assert updated(resource(old), resource(spec)) == verdict
    assert verdict.allowed == (not verdict.problems)
    if not verdict.allowed:
        assert verdict.code is HTTPStatus.UNPROCESSABLE_ENTITY
        assert all(problem.field in verdict.message for problem in verdict.problems)
    return [problem.field for problem in verdict.problems]


class TestDeletion:
    def test_during_a_run_it_is_held_back(self) -> None:
        verdict = deleted(resource(progressing=RUNNING), namespace_terminating=False)
        assert verdict.code is HTTPStatus.FORBIDDEN
        assert verdict.message.startswith("cannot delete while migration is in progress (Progressing=True)")
        assert "dbupgrade.subbug.learning/force-delete=true" in verdict.message
        assert "Job orders-1" in verdict.message

    @pytest.mark.parametrize(
        "old",
        [
            resource(),
            resource(progressing=("False", Reason.MIGRATION_COMPLETE)),
            resource(progressing=("True", Reason.POST_CHECK_BAKE_TIME_WAITING)),
            resource(progressing=RUNNING, annotations={"dbupgrade.subbug.learning/force-delete": "true"}),
            resource(progressing=RUNNING, deletionTimestamp="2026-01-01T00:00:00Z"),
        ],
        ids=["before any run", "after a run", "in the bake", "with the annotation", "already being deleted"],
    )
    def test_it_passes_and_nobody_asks_for_the_namespace(self, old: Object) -> None:
        assert not needs_namespace(old)
        assert deleted(old, namespace_terminating=False) == AdmissionVerdict(allowed=True)

    def test_in_a_terminating_namespace_it_passes(self) -> None:
        old = resource(progressing=RUNNING)
        assert needs_namespace(old)
        assert deleted(old, namespace_terminating=True).allowed

    def test_in_a_namespace_of_which_nothing_is_known_it_is_held_back_and_says_so(self) -> None:
        verdict = deleted(resource(progressing=RUNNING), namespace_terminating=None)
        assert not verdict.allowed
        assert "could not check whether the namespace is being deleted" in verdict.message

    @pytest.mark.parametrize("value", ["", "false", "yes", "True"])
    def test_only_the_word_true_forces_it(self, value: str) -> None:
        old = resource(progressing=RUNNING, annotations={"dbupgrade.subbug.learning/force-delete": value})
        assert not deleted(old, namespace_terminating=False).allowed


def test_active_is_what_progressing_says() -> None:
    assert active(resource(progressing=RUNNING))
    assert not active(resource())
    assert not active({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
