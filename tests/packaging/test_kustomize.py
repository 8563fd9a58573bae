"""What kustomize makes; kubectl applies it for real in e2e/installation."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy import generate
from tests.packaging.conftest import NAMESPACE, REPOSITORY, Object, kustomize

if TYPE_CHECKING:
    from pathlib import Path

OVERLAYS = (
    "overlays/cert-manager",
    "overlays/without-webhook",
    "overlays/without-secrets",
    "overlays/single-namespace",
    "overlays/aws",
)


def test_the_committed_files_are_what_the_chart_renders(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    made = list(generate.files())
    assert len(made) > 10
    stale = [str(path) for path, text in made if not path.exists() or path.read_text() != text]
    assert not stale, "run `make manifests`"


@pytest.mark.parametrize("folder", ["default", *OVERLAYS])
def test_each_installs_the_whole_operator_in_its_namespace(bin_dir: Path, folder: str) -> None:
    objects = kustomize(bin_dir, folder)
    assert objects.one("Namespace")["metadata"]["name"] == NAMESPACE
    assert objects.one("CustomResourceDefinition")
    assert objects.one("Deployment")["metadata"]["namespace"] == NAMESPACE
    assert (
        objects.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
        == (objects.one("ServiceAccount")["metadata"]["name"])
    )
    assert objects.all("Role")
    assert objects.one("ClusterRole", "dbupgrade-approver")


def test_default_needs_no_kind_that_a_fresh_cluster_lacks(bin_dir: Path) -> None:
    groups = {obj["apiVersion"].rpartition("/")[0] for obj in kustomize(bin_dir, "default")}
    foreign = {group for group in groups if "." in group and not group.endswith(".k8s.io")}
    assert foreign == set()


def test_the_overlays_differ_in_what_they_are_for(bin_dir: Path) -> None:
    assert kustomize(bin_dir, "overlays/cert-manager").one("Certificate")
    without = kustomize(bin_dir, "overlays/without-webhook")
    assert not without.all("ValidatingWebhookConfiguration")
    blind = kustomize(bin_dir, "overlays/without-secrets")
    assert "secrets" not in str(blind.one("ClusterRole", "dbupgrade-operator")["rules"])
    assert "DBUPGRADE_SECRETS_READ" in str(blind.one("Deployment"))
    single = kustomize(bin_dir, "overlays/single-namespace")
    (rule,) = single.one("ClusterRole", "dbupgrade-operator")["rules"]
    assert rule["resourceNames"] == ["dbupgrade-operator-webhook"]
    assert {role["metadata"]["namespace"] for role in single.all("Role")} == {NAMESPACE}


def test_another_namespace_reaches_every_place_of_the_single_namespace_overlay(
    bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil  # noqa: PLC0415

    copy = tmp_path / "kustomize"
    shutil.copytree(generate.KUSTOMIZE, copy)
    file = copy / "overlays/single-namespace/kustomization.yaml"
    file.write_text(file.read_text().replace(f"namespace: {NAMESPACE}", "namespace: shop"))
    objects = kustomize(bin_dir, str(copy / "overlays/single-namespace"))
    text = str([obj for obj in objects if obj["kind"] != "CustomResourceDefinition"])
    assert NAMESPACE not in text


def test_images_and_names_of_a_users_kustomization_reach_the_dbupgrade(bin_dir: Path) -> None:
    objects = kustomize(bin_dir, "../../examples/kustomize")
    container = objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    spec = objects.one("DBUpgrade", "prod-shop")["spec"]
    assert spec["migrations"]["image"] == container["image"] == "registry.example.com/shop:2.0.0"
    secret = objects.one("Secret")["metadata"]["name"]
    assert spec["database"]["connection"]["urlSecretRef"]["name"] == secret == "prod-shop-database"


def test_kustomize_knows_every_field_that_names_a_secret_or_a_config_map() -> None:
    def names(node: Object, path: str) -> set[str]:
        properties: Object = node.get("items", node).get("properties", {})
        refers = "name" in properties and re.search("(Secrets|SecretRef|KeyRef)$", path)
        below = [names(inner, f"{path}/{key}") for key, inner in properties.items()]
        return {f"{path}/name"}.union(*below) if refers else set().union(*below)

    crd = yaml.safe_load((REPOSITORY / "deploy/kustomize/crd/dbupgrades.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    known = yaml.safe_load((REPOSITORY / "examples/kustomize/configuration.yaml").read_text())[
        "nameReference"
    ]
    assert {field["path"] for kind in known for field in kind["fieldSpecs"]} == names(schema, "spec")
