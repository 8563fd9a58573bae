"""What kustomize makes; kubectl applies it for real in e2e/installation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from deploy import generate
from tests.packaging.conftest import NAMESPACE, kustomize

if TYPE_CHECKING:
    from pathlib import Path

OVERLAYS = ("overlays/cert-manager", "overlays/without-webhook", "overlays/single-namespace", "overlays/aws")


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


def test_default_needs_no_kind_that_a_fresh_cluster_lacks(bin_dir: Path) -> None:
    groups = {obj["apiVersion"].rpartition("/")[0] for obj in kustomize(bin_dir, "default")}
    foreign = {group for group in groups if "." in group and not group.endswith(".k8s.io")}
    assert foreign == set()


def test_the_overlays_differ_in_what_they_are_for(bin_dir: Path) -> None:
    assert kustomize(bin_dir, "overlays/cert-manager").one("Certificate")
    without = kustomize(bin_dir, "overlays/without-webhook")
    assert not without.all("ValidatingWebhookConfiguration")
    single = kustomize(bin_dir, "overlays/single-namespace")
    (rule,) = single.one("ClusterRole")["rules"]
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
