"""Shell scripts and workflows, by their linters; they run where Docker or GitHub is."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml

import dbupgrade
from dbupgrade import published
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTS = [*sorted((REPOSITORY / "e2e").glob("*.sh")), REPOSITORY / ".ci/run"]
# What runs with any sh.
POD = REPOSITORY / "dbupgrade/pod"
POD_SCRIPTS = ["steps/fetch.sh", "steps/wait.sh"]
TERRAFORM = REPOSITORY / "deploy/terraform/scripts"
TERRAFORM_SCRIPTS = ["job.sh", "namespace.sh", "wait.sh"]
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yaml"))
CHART = yaml.safe_load((REPOSITORY / "deploy/helm/dbupgrade-operator/Chart.yaml").read_text())


def test_scripts() -> None:
    assert len(SCRIPTS) == 6
    done = subprocess.run(["shellcheck", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("folder", "scripts"), [(POD, POD_SCRIPTS), (TERRAFORM, TERRAFORM_SCRIPTS)])
def test_scripts_without_bash(folder: Path, scripts: list[str]) -> None:
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.sh")} == set(scripts)
    command = ["shellcheck", "--shell=sh", *scripts]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_package_has_every_file_that_it_reads() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    root = REPOSITORY / "dbupgrade"
    packed = {
        path
        for pattern in project["tool"]["setuptools"]["package-data"]["dbupgrade"]
        for path in root.glob(pattern)
    }
    others = {path for path in root.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others == packed


def test_workflows(bin_dir: Path) -> None:
    assert len(WORKFLOWS) == 2
    # It runs shellcheck on the steps' scripts too.
    done = subprocess.run([bin_dir / "actionlint", *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_workflows_take_actions_by_commit_and_packages_by_hash() -> None:
    """A tag can be moved to other code; the comment says which version the commit is."""
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not re.search(r"@[0-9a-f]{40}  # v[0-9]+\.[0-9]+\.[0-9]+$", line)] == []
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    installed = re.findall(r"pip install (.*)", text)
    assert installed
    assert all(words.startswith("--require-hashes -r ") for words in installed)


def test_chart_package_and_kustomize_have_one_version(bin_dir: Path) -> None:
    assert dbupgrade.__version__ == CHART["version"]
    assert CHART["appVersion"] == CHART["version"]
    manager = yaml.safe_load_all((REPOSITORY / "deploy/kustomize/manager/manager.yaml").read_text())
    (container,) = next(obj for obj in manager if obj["kind"] == "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == f"{published.image('operator')}:{CHART['appVersion']}"
    values = yaml.safe_load((REPOSITORY / "deploy/helm/dbupgrade-operator/values.yaml").read_text())
    assert values["runnerImage"] == f"{published.image('migrate')}:{CHART['version']}"
    engine = (REPOSITORY / "images/atlas/main.go").read_text()
    assert f'\nconst Version = "{CHART["version"]}"\n' in engine
    script = (REPOSITORY / "e2e/run-e2e.sh").read_text()
    assert [name for name in values if name.endswith("Image") and f'"{name}=' not in script] == []


def test_the_images_lock_has_every_package_that_the_operator_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
    wanted = {re.split(r"[^a-z0-9-]", dependency)[0] for dependency in project["dependencies"]}
    assert wanted - locked == set(), "run `make lock`"
