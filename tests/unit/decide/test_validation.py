"""Each rule is broken once by a spec here, with its path; webhook and operator refuse the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dbupgrade.api.conditions import STALLED, Reason, find_condition
from dbupgrade.api.spec.base import Model
from dbupgrade.decide import admission, validation
from dbupgrade.decide.observed import resource_from
from tests.broken_specs import AWS, BROKEN, COMMAND, S, a_spec, aws, pods
from tests.generated import specs
from tests.unit.decide.builders import decide, observe

Object = dict[str, Any]


def broken(spec: Object) -> tuple[validation.Problem, ...]:
    parsed, wrong = validation.parse(spec)
    assert parsed is not None, wrong
    return validation.problems(parsed)


@pytest.mark.parametrize(("changes", "fields"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_rule_is_told_with_the_field(changes: Object, fields: list[str]) -> None:
    spec = a_spec(**changes)
    found = broken(spec)
    assert [problem.field for problem in found] == fields
    verdict = admission.created({"metadata": {"name": "a"}, "spec": spec})
    assert verdict.message == "; ".join(map(str, found))


def models(base: type[Model] = Model) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def test_every_rule_is_broken_above() -> None:
    told = {problem.message for _, changes, _ in BROKEN for problem in broken(a_spec(**changes))}
    assert {rule.message for model in models() for rule in model.RULES} <= told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, ["spec.migrations is required", "spec.database is required"]),
        ([], ["spec must be an object"]),
        (a_spec(runner={"activeDeadlineSeconds": "600"}), ["spec.runner.activeDeadlineSeconds must be an integer"]),
        (a_spec(runner={"runAsUser": 0}), ["spec.runner.runAsUser must be at least 1"]),
        (a_spec(runner={"backoffLimit": 11}), ["spec.runner.backoffLimit must be at most 10"]),
        (a_spec(suspend="yes"), ["spec.suspend must be true or false"]),
        (a_spec(checks={"pre": {"metrics": {}}}), ["spec.checks.pre.metrics must be a list"]),
        (a_spec(runner={"podLabels": {"a": 1}}), ["spec.runner.podLabels.a must be a string"]),
        (a_spec(runner={"nodeSelector": 1}), ["spec.runner.nodeSelector must be an object"]),
        (a_spec(runner={"resources": {"limits": {"cpu": True}}}), ["spec.runner.resources.limits.cpu must be a quantity"]),
        (a_spec(runner={"resources": {"limits": {"cpu": "much"}}}), ["spec.runner.resources.limits.cpu must be a quantity"]),
        (a_spec(migrations={"delivery": "Copy"}), ["spec.migrations.delivery must be 'Extract' or 'ImageVolume'"]),
        (a_spec(migrations={"dir": "migrations"}), ["spec.migrations.dir must be an absolute path, for example /migrations"]),
        (a_spec(migrations={"dir": "/" * 513}), ["spec.migrations.dir must have at most 512 characters"]),
        (a_spec(migrations={"dir": "/"}), ["spec.migrations.dir must have at least 2 characters"]),
        (a_spec(migrations={"baseline": ""}), ["spec.migrations.baseline must not be empty"]),
        (a_spec(migrations={**COMMAND, "args": ["x"] * 65}), ["spec.migrations.args must have at most 64 items"]),
        (a_spec(**aws(region=None)), ["spec.database.aws.region must be a string"]),
        (a_spec(database={"type": "awsRds", "aws": {}}), [f"spec.database.aws.{name} is required" for name in AWS]),
        (a_spec(**pods(matchExpressions=[{"key": "a b", "operator": "Exists"}])), [f"{S}.matchExpressions[0].key must be"]),
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
