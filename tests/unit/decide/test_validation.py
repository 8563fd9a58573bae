"""Each rule is broken once by a spec here, with its path; webhook and operator refuse the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dbupgrade.api.conditions import STALLED, Reason, find_condition
from dbupgrade.api.spec.base import Model
from dbupgrade.decide import admission, validation
from dbupgrade.decide.observed import resource_from
from tests.generated import specs
from tests.unit.decide.builders import decide, observe, spec_object

Object = dict[str, Any]

AWS = {
    "roleArn": "arn:aws:iam::1:role/r",
    "region": "eu-central-1",
    "host": "h",
    "dbName": "d",
    "username": "u",
}
MYSQL = {"type": "awsRds", "aws": {**AWS, "dialect": "mysql"}}
COMMAND = {"engine": "Command", "args": ["up"]}
SECRET = {"secretKeyRef": {"name": "a", "key": "b"}}
PARTS = {"host": "db", "database": "d", "userSecretRef": {"name": "a"}, "passwordSecretRef": {"name": "a"}}


def connected(**connection: Any) -> Object:
    return {"database": {"type": "selfHosted", "connection": connection}}


def without(part: str) -> Object:
    return connected(**{name: value for name, value in PARTS.items() if name != part})


def aws(**changes: Any) -> Object:
    return {"database": {"type": "awsRds", "aws": {**AWS, **changes}}}


def metric(**changes: Any) -> Object:
    check = {
        "name": "c",
        "metricName": "m",
        "target": {"type": "Pods", "pods": {"selector": {}}},
        "threshold": {"operator": "<", "value": "1"},
        **changes,
    }
    return {"checks": {"post": {"metrics": [check]}}}


def pods(**selector: Any) -> Object:
    return {"checks": {"pre": {"minPodVersions": [{"selector": selector, "minVersion": "1"}]}}}


M = "spec.migrations"
C = "spec.database.connection"
A = "spec.database.aws"
T = "spec.checks.post.metrics[0]"
S = "spec.checks.pre.minPodVersions[0].selector"
BROKEN: list[tuple[str, Object, list[str]]] = [
    ("a command is missing", {"migrations": {"engine": "Command"}}, [f"{M}.command"]),
    ("a command for Atlas", {"migrations": {"command": ["x"]}}, [f"{M}.engine"]),
    ("a variable for Psql", {"migrations": {"engine": "Psql", "env": [{"name": "A"}]}}, [f"{M}.engine"]),
    ("a baseline for a command", {"migrations": {**COMMAND, "baseline": "1"}}, [f"{M}.baseline"]),
    ("a reserved variable", {"migrations": {**COMMAND, "env": [{"name": "DB_HOST"}]}}, [f"{M}.env[0].name"]),
    (
        "a value from two places",
        {"migrations": {**COMMAND, "env": [{"name": "A", "value": "1", "valueFrom": SECRET}]}},
        [f"{M}.env[0].valueFrom"],
    ),
    (
        "a value from nowhere, in the second variable",
        {"migrations": {**COMMAND, "env": [{"name": "A"}, {"name": "B", "valueFrom": {}}]}},
        [f"{M}.env[1].valueFrom"],
    ),
    (
        "a variable twice",
        {"migrations": {**COMMAND, "env": [{"name": "A"}, {"name": "A"}]}},
        [f"{M}.env[1]"],
    ),
    ("no way to connect", connected(port=1), [f"{C}.urlSecretRef"]),
    ("a URL and a part", connected(urlSecretRef={"name": "a"}, port=1), [f"{C}.urlSecretRef"]),
    ("certificates for nothing", connected(**PARTS, caSecretRef={"name": "a"}), [f"{C}.sslMode"]),
    ("no database", without("database"), [f"{C}.database"]),
    ("no user", without("userSecretRef"), [f"{C}.userSecretRef"]),
    ("no password", without("passwordSecretRef"), [f"{C}.passwordSecretRef"]),
    ("selfHosted without a connection", {"database": {"type": "selfHosted"}}, [C]),
    (
        "selfHosted with aws",
        {"database": {"type": "selfHosted", "connection": PARTS, "aws": AWS}},
        [A],
    ),
    ("AWS with neither", {"database": {"type": "awsAurora"}}, [A]),
    ("a long database name", aws(dbName="x" * 64), [f"{A}.dbName"]),
    ("a long user name in bytes", aws(username="ö" * 32), [f"{A}.username"]),
    ("a name that MySQL reads otherwise", aws(dialect="mysql", dbName="a/b"), [f"{A}.dbName"]),
    ("a user that MySQL reads otherwise", aws(dialect="mysql", username="a:b"), [f"{A}.username"]),
    ("In without values", pods(matchExpressions=[{"key": "a", "operator": "In"}]), [f"{S}.matchExpressions[0].values"]),
    (
        "Exists with values",
        pods(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["b"]}]),
        [f"{S}.matchExpressions[0].values"],
    ),
    ("a label that is none", pods(matchLabels={"a": "b c"}), [f"{S}.matchLabels"]),
    ("a block that is missing", metric(target={"type": "Pods"}), [f"{T}.target.pods"]),
    ("an object that is missing", metric(target={"type": "Object"}), [f"{T}.target.object"]),
    (
        "a block too many",
        metric(target={"type": "Pods", "pods": {"selector": {}}, "external": {}}),
        [f"{T}.target.external"],
    ),
    ("Custom asked for External", metric(target={"type": "External"}), [f"{T}.target.type"]),
    ("External asked for Pods", metric(source="External"), [f"{T}.target.type"]),
    ("a threshold that cannot be read", metric(threshold={"operator": "<", "value": "1e101"}), [f"{T}.threshold.value"]),
    ("a wait as long as the Job", {"runner": {"waitForDatabaseSeconds": 600}}, ["spec.runner.waitForDatabaseSeconds"]),
    ("Psql for MySQL", {"migrations": {"engine": "Psql"}, "database": MYSQL}, [f"{M}.engine"]),
    (
        "a wait for MySQL",
        {"runner": {"waitForDatabaseSeconds": 1}, "database": MYSQL},
        ["spec.runner.waitForDatabaseSeconds"],
    ),
    ("a lint of MySQL", {"policy": {"lint": "warn"}, "database": MYSQL}, ["spec.policy.lint"]),
    ("a lint for Psql", {"policy": {"lint": "warn"}, "migrations": {"engine": "Psql"}}, ["spec.policy.lint"]),
]  # fmt: skip


def broken(spec: Object) -> tuple[validation.Problem, ...]:
    parsed, wrong = validation.parse(spec)
    assert parsed is not None, wrong
    return validation.problems(parsed)


@pytest.mark.parametrize(("changes", "fields"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_rule_is_told_with_the_field(changes: Object, fields: list[str]) -> None:
    spec = spec_object(**changes)
    found = broken(spec)
    assert [problem.field for problem in found] == fields
    verdict = admission.created({"metadata": {"name": "a"}, "spec": spec})
    assert verdict.message == "; ".join(map(str, found))


def models(base: type[Model] = Model) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def test_every_rule_is_broken_above() -> None:
    told = {problem.message for _, changes, _ in BROKEN for problem in broken(spec_object(**changes))}
    assert {rule.message for model in models() for rule in model.RULES} <= told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, ["spec.migrations is required", "spec.database is required"]),
        ([], ["spec must be an object"]),
        (spec_object(runner={"activeDeadlineSeconds": "600"}), ["spec.runner.activeDeadlineSeconds must be an integer"]),
        (spec_object(runner={"runAsUser": 0}), ["spec.runner.runAsUser must be at least 1"]),
        (spec_object(runner={"backoffLimit": 11}), ["spec.runner.backoffLimit must be at most 10"]),
        (spec_object(suspend="yes"), ["spec.suspend must be true or false"]),
        (spec_object(checks={"pre": {"metrics": {}}}), ["spec.checks.pre.metrics must be a list"]),
        (spec_object(runner={"podLabels": {"a": 1}}), ["spec.runner.podLabels.a must be a string"]),
        (spec_object(runner={"nodeSelector": 1}), ["spec.runner.nodeSelector must be an object"]),
        (spec_object(runner={"resources": {"limits": {"cpu": True}}}), ["spec.runner.resources.limits.cpu must be a quantity"]),
        (spec_object(runner={"resources": {"limits": {"cpu": "much"}}}), ["spec.runner.resources.limits.cpu must be a quantity"]),
        (spec_object(migrations={"delivery": "Copy"}), ["spec.migrations.delivery must be 'Extract' or 'ImageVolume'"]),
        (spec_object(migrations={"dir": "migrations"}), ["spec.migrations.dir must be an absolute path, for example /migrations"]),
        (spec_object(migrations={"dir": "/" * 513}), ["spec.migrations.dir must have at most 512 characters"]),
        (spec_object(migrations={"dir": "/"}), ["spec.migrations.dir must have at least 2 characters"]),
        (spec_object(migrations={"baseline": ""}), ["spec.migrations.baseline must not be empty"]),
        (spec_object(migrations={**COMMAND, "args": ["x"] * 65}), ["spec.migrations.args must have at most 64 items"]),
        (spec_object(**aws(region=None)), ["spec.database.aws.region must be a string"]),
        (spec_object(database={"type": "awsRds", "aws": {}}), [f"spec.database.aws.{name} is required" for name in AWS]),
        (spec_object(**pods(matchExpressions=[{"key": "a b", "operator": "Exists"}])), [f"{S}.matchExpressions[0].key must be"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_words(spec: Any, told: list[str]) -> None:
    parsed, found = validation.parse(spec)
    assert parsed is None
    assert len(found) == len(told)
    assert all(str(problem).startswith(words) for problem, words in zip(found, told, strict=True)), found


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(spec=specs())
def test_webhook_and_operator_refuse_the_same(spec: Object) -> None:
    metadata = {"name": "orders", "namespace": "shop", "uid": "u", "generation": 1}
    obj = {"metadata": metadata, "spec": {name: part for name, part in spec.items() if name != "suspend"}}
    verdict = admission.created(obj)
    held = decide(observe(resource_from(obj), aws_enabled=True)).status
    stalled = find_condition(held.conditions, STALLED)
    refused = stalled is not None and stalled.reason in {Reason.INVALID_SPEC, Reason.AWS_NOT_SUPPORTED}
    assert verdict.allowed is not refused
    if stalled is not None and not verdict.allowed:
        assert stalled.message.startswith(verdict.message[:1000])
