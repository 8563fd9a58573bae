"""The chart as it is by default: the webhook's certificate comes from cert-manager, and is renewed by it."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.chart import with_stand_ins
from deploy.dependencies import adapt
from e2e.cert_manager.controllers import cert_manager, published_chart
from e2e.installation.release import NAME, Release
from e2e.scenarios.support.api import RefusedError
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.world import World

SECRET = f"{NAME}-webhook-cert"


@pytest.fixture(scope="module", autouse=True)
def controllers(cluster: Cluster) -> Iterator[None]:
    with cert_manager(cluster):
        yield


@pytest.fixture(scope="module")
def release(cluster: Cluster, controllers: None, chart: Path, image: str) -> Iterator[Release]:
    made = Release(cluster, chart, image)
    made.install("webhook.certManager.enabled=true")
    yield made
    made.uninstall()


def test_the_webhook_answers_with_cert_managers_certificate_also_after_it_was_renewed(
    release: Release, world: World
) -> None:
    wait_until(lambda: answers(world), "the webhook answers")
    before = authority(release)
    # What cert-manager does when the time has come; `cmctl renew` asks for it in the same way.
    renew = [
        {
            "type": "Issuing",
            "status": "True",
            "reason": "Renewal",
            "message": "by hand",
            "lastTransitionTime": now(world),
        }
    ]
    release.kubectl(
        "patch", "certificate", SECRET, "--subresource=status", "--type=merge",
        "--patch", json.dumps({"status": {"conditions": renew}}),
    )  # fmt: skip
    wait_until(lambda: authority(release) not in {"", before}, "the new certificate is in the configuration")
    # The kubelet brings a changed Secret into pods within about a minute and a half; the old one is not trusted any more.
    wait_until(lambda: answers(world), "the webhook answers with the new one", 180)
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)


def test_the_operator_needs_no_permission_for_certificates_then(release: Release) -> None:
    roles = json.loads(release.kubectl("get", "roles,clusterroles", "--output=json"))["items"]
    own = [role for role in roles if role["metadata"]["name"].startswith(NAME)]
    rules = [rule for role in own for rule in role["rules"]]
    assert rules
    assert not [rule for rule in rules if "validatingwebhookconfigurations" in rule["resources"]]
    assert {verb for rule in rules if "secrets" in rule["resources"] for verb in rule["verbs"]} == {"get"}


def answers(world: World) -> bool:
    """Whether a resource can be created: by failurePolicy Fail only when the webhook answers and its certificate is trusted."""
    try:
        world.upgrade("registry.example/none:1", f"resource-{secrets.token_hex(3)}", suspend=True)
    except RefusedError:
        return False
    return True


def authority(release: Release) -> str:
    """What the API server is told to trust, once it is that of the Secret as it is now."""
    secret = json.loads(release.kubectl("get", "secret", SECRET, "--output=json"))["data"]
    configuration = json.loads(
        release.kubectl("get", "validatingwebhookconfiguration", f"{NAME}-webhook", "--output=json")
    )
    trusted = {webhook["clientConfig"].get("caBundle") for webhook in configuration["webhooks"]}
    return str(secret["ca.crt"]) if trusted == {secret["ca.crt"]} else ""


def now(world: World) -> str:
    """The time of day, as the API server has it."""
    namespace = world.api.request("GET", f"/api/v1/namespaces/{world.namespace}")
    return str(namespace["metadata"]["creationTimestamp"])


def test_cert_managers_own_chart_takes_the_values_that_ours_hands_on(
    release: Release, tmp_path: Path
) -> None:
    chart = with_stand_ins(tmp_path)
    (dependency,) = [
        dependency
        for dependency in yaml.safe_load((chart / "Chart.yaml").read_text())["dependencies"]
        if dependency["name"] == "cert-manager"
    ]
    folder = chart / "charts" / "cert-manager"
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    folder.rmdir()
    published_chart(folder, dependency["version"])
    adapt(folder, dependency)
    values = ("certManager.install=true", "certManager.resources.limits.memory=77Mi")
    flags = [word for value in values for word in ("--set", value)]
    text = release.helm("template", "other", str(chart), *flags)
    objects: list[dict[str, Any]] = [obj for obj in yaml.safe_load_all(text) if obj]
    (deployment,) = [
        obj for obj in objects if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "cert-manager"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (container["name"], container["resources"]) == (
        "cert-manager-controller",
        {"limits": {"memory": "77Mi"}},
    )
    assert container["image"].endswith(dependency["version"])
    crds = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "CustomResourceDefinition"]
    assert "certificates.cert-manager.io" in crds
    file = tmp_path / "all.yaml"
    file.write_text(text)
    # Not in a namespace: some of its objects are for kube-system.
    release.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", file)
