"""What Argo CD and Flux make of a DBUpgrade: Argo's Lua by the interpreter that Argo has, kstatus by kstatus itself."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

ARGO = REPOSITORY / "deploy/argocd/dbupgrade.subbug.learning/DBUpgrade"
CASES = yaml.safe_load((ARGO / "health_test.yaml").read_text())["tests"]
EXAMPLES = sorted((REPOSITORY / "examples/gitops").rglob("*.yaml"))
# What a DBUpgrade of each test case of Argo is for Flux, which has no word for suspended.
KSTATUS = {"Healthy": "Current", "Degraded": "Failed", "Progressing": "InProgress", "Suspended": "InProgress"}


def _inputs() -> list[Any]:
    return [pytest.param(case, id=case["inputPath"].removeprefix("testdata/")) for case in CASES]


def _lua(value: Any) -> str:
    """A JSON value as Lua writes it; strings as bytes, so that nothing in them means anything."""
    match value:
        case None:
            return "nil"
        case bool() | int() | float():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
        case list():
            return "{" + ",".join(map(_lua, value)) + "}"
        case _:
            return "{" + ",".join(f"[{_lua(key)}]={_lua(inner)}" for key, inner in value.items()) + "}"


@pytest.mark.parametrize("case", _inputs())
def test_argo_sees_the_health_that_the_case_wants(
    bin_dir: Path, tmp_path: Path, case: dict[str, Any]
) -> None:
    obj = yaml.safe_load((ARGO / case["inputPath"]).read_text())
    script = tmp_path / "case.lua"
    script.write_text(
        f"obj = {_lua(obj)}\n"
        f"local health = (function()\n{(ARGO / 'health.lua').read_text()}\nend)()\n"
        'io.write(health.status, "\\n", health.message)\n'
    )
    done = subprocess.run([bin_dir / "glua", script], capture_output=True, text=True, check=True)
    status, _, message = done.stdout.partition("\n")
    assert {"status": status, "message": message} == case["healthStatus"]


@pytest.mark.parametrize("case", _inputs())
def test_flux_waits_goes_on_and_gives_up_when_argo_does(bin_dir: Path, case: dict[str, Any]) -> None:
    obj = yaml.safe_load((ARGO / case["inputPath"]).read_text())
    wanted = (
        "Terminating" if "deletionTimestamp" in obj["metadata"] else KSTATUS[case["healthStatus"]["status"]]
    )
    done = subprocess.run(
        [bin_dir / "kstatus"], input=json.dumps(obj), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == wanted


def test_a_new_resource_is_not_taken_for_done_before_it_was_seen(bin_dir: Path) -> None:
    """The CRD's default is what the API server puts into the status of a resource that nobody has looked at."""
    crd = yaml.safe_load((REPOSITORY / "deploy/kustomize/crd/dbupgrades.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    obj = {
        "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
        "kind": "DBUpgrade",
        "metadata": {"name": "shop", "generation": 1},
        "status": status["default"],
    }
    done = subprocess.run(
        [bin_dir / "kstatus"], input=json.dumps(obj), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "InProgress"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_the_health_check_in_the_examples_is_the_tested_one(file: Path) -> None:
    for obj in yaml.safe_load_all(file.read_text()):
        lua = (obj.get("data") or {}).get(
            "resource.customizations.health.dbupgrade.subbug.learning_DBUpgrade"
        )
        assert lua in (None, (ARGO / "health.lua").read_text())


def test_the_database_goes_before_the_application() -> None:
    argo = list(yaml.safe_load_all((REPOSITORY / "examples/gitops/argocd/shop.yaml").read_text()))
    waves = {
        obj["kind"]: int(obj["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))
        for obj in argo
    }
    assert waves["DBUpgrade"] < waves["Deployment"]
    flux = {
        obj["metadata"]["name"]: obj["spec"]
        for obj in yaml.safe_load_all((REPOSITORY / "examples/gitops/flux/shop.yaml").read_text())
        if obj["kind"] == "Kustomization"
    }
    assert flux["shop-app"]["dependsOn"] == [{"name": "shop-database"}]
    assert flux["shop-database"]["wait"] is True
