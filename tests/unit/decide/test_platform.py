"""What a run's pod may claim, and what the platform has to allow first."""

from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.decide import admission
from dbupgrade.decide.platform import Platform, problems
from tests.unit.decide.builders import a_resource, a_spec, conditions, decide, observe, spec_object

REFUSED = [
    ("podAnnotations", "container.apparmor.security.beta.kubernetes.io/migrate"),
    ("podAnnotations", "seccomp.security.alpha.kubernetes.io/pod"),
    ("podAnnotations", "container.seccomp.security.alpha.kubernetes.io/migrate"),
    ("podAnnotations", "vault.hashicorp.com/agent-inject-secret-database"),
    ("podAnnotations", "iam.amazonaws.com/role"),
    ("podAnnotations", "eks.amazonaws.com/skip-containers"),
    ("podAnnotations", "k8s.v1.cni.cncf.io/networks"),
    ("podAnnotations", "sidecar.istio.io/bootstrapOverride"),
    ("podAnnotations", "Config.Linkerd.io/proxy-image"),
    ("podAnnotations", "dapr.io/enabled"),
    ("podLabels", "azure.workload.identity/use"),
    ("podLabels", "aadpodidbinding"),
    ("podLabels", "security.istio.io/tlsMode"),
]
TAKEN = [
    ("podAnnotations", "example.com/team"),
    ("podAnnotations", "kubectl.kubernetes.io/default-container"),
    ("podAnnotations", "prometheus.io/scrape"),
    ("podAnnotations", "notdapr.io/enabled"),
    ("podLabels", "app.kubernetes.io/name"),
    ("podLabels", "team"),
]


def found(runner: dict[str, Any], **platform: tuple[str, ...]) -> list[str]:
    return [str(each) for each in problems(a_spec(runner=runner), Platform(**platform))]


@pytest.mark.parametrize(("field", "key"), REFUSED)
def test_what_others_act_on_is_refused_unless_it_is_allowed(field: str, key: str) -> None:
    (told,) = found({field: {key: "x"}})
    assert told.startswith(f"spec.runner.{field} must not have {key}: ")
    setting = {"podAnnotations": "annotations", "podLabels": "labels"}[field]
    other = {"podAnnotations": "labels", "podLabels": "annotations"}[field]
    assert found({field: {key: "x"}}, **{setting: (key[:8],)}) == []
    assert found({field: {key: "x"}}, **{setting: ("*",)}) == []
    assert found({field: {key: "x"}}, **{other: ("*",), setting: ("else/",)}) == [told]


@pytest.mark.parametrize(("field", "key"), TAKEN)
def test_anything_else_is_taken(field: str, key: str) -> None:
    assert found({field: {key: "x"}}) == []


def test_a_priority_class_of_the_systems_is_refused_unless_it_is_allowed() -> None:
    runner = {"priorityClassName": "system-node-critical"}
    (told,) = found(runner)
    assert told.startswith("spec.runner.priorityClassName must not be system-node-critical")
    assert found(runner, priority_classes=("system-node",)) == []
    assert found(runner, priority_classes=("system-cluster",)) == [told]
    assert found({"priorityClassName": "high"}) == []


def test_such_a_resource_is_held_before_anything_is_created() -> None:
    spec = a_spec(runner={"podAnnotations": {"vault.hashicorp.com/agent-inject": "true"}})
    decision = decide(observe(a_resource(spec)))
    assert conditions(decision.status) == ("False", "False", Reason.INVALID_SPEC, True)
    allowed = Platform(annotations=("vault.hashicorp.com/",))
    assert decide(observe(a_resource(spec), platform=allowed)).status.run is not None


def test_admission_denies_it_with_the_field() -> None:
    spec = spec_object(runner={"podAnnotations": {"vault.hashicorp.com/agent-inject": "true"}})
    new = {"metadata": {"name": "orders"}, "spec": spec}
    verdict = admission.created(new)
    assert not verdict.allowed
    assert verdict.message.startswith(
        "spec.runner.podAnnotations must not have vault.hashicorp.com/agent-inject"
    )
    assert not admission.updated({"metadata": {"name": "orders"}, "spec": spec_object()}, new).allowed
    allowed = Platform(annotations=("vault.hashicorp.com/",))
    assert admission.created(new, allowed).allowed
    # What was admitted before may be labelled, and deleted.
    assert admission.updated(new, {**new, "metadata": {"name": "orders", "labels": {"a": "b"}}}).allowed
