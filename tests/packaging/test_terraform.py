"""The Terraform module without a cluster: layout, validity, its own tests, and READMEs that are read from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy import terraform_module
from e2e.tofu import Tofu, copy_module, readme_example, served_by_git

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = (".", "compat/three-databases")
# Callers of the module that it replaces give it.
ONLY_ACCEPTED = {"postgres_wait_image"}
# Nothing listens there; a plan of new objects asks no cluster.
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "nobody"}}],
    "current-context": "none",
}


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_module(tmp_path_factory.mktemp("module"))


@pytest.fixture(params=FOLDERS)
def tofu(request: pytest.FixtureRequest, module: Path) -> Tofu:
    made = Tofu(module / request.param)
    made.run("init", "-no-color")
    return made


def test_it_is_valid_laid_out_as_usual_and_its_own_tests_pass(tofu: Tofu) -> None:
    tofu.run("fmt", "-check", "-diff", "-recursive")
    tofu.run("validate", "-no-color")
    said = tofu.run("test", "-no-color")
    assert "0 failed" in said


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_readme_has_every_variable_and_output(folder: str) -> None:
    path = terraform_module.MODULE / folder
    text = terraform_module.readme(path)
    declared = [
        line.split('"')[1]
        for file in ("variables.tf", "outputs.tf")
        for line in (path / file).read_text().splitlines()
        if line.startswith(("variable ", "output "))
    ]
    assert declared
    assert not [name for name in declared if f"### {name}\n" not in text and f"| `{name}` |" not in text]
    assert "EOT" not in text


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_declared_that_nobody_uses_or_understands(folder: str) -> None:
    """What tflint's recommended rules ask for, as it is not one of the tools that the tests have."""
    texts = {path.name: path.read_text() for path in (terraform_module.MODULE / folder).glob("*.tf")}
    everything = "\n".join(texts.values())
    used = "\n".join(text for name, text in texts.items() if name != "variables.tf")
    blocks = re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', everything, re.MULTILINE | re.DOTALL)
    for kind, name, body in blocks:
        assert re.search(r"^  description = ", body, re.MULTILINE), f"{kind} {name} has no description"
        if kind == "variable":
            assert re.search(r"^  type +=", body, re.MULTILINE), f"variable {name} has no type"
            is_used = re.search(rf"\bvar\.{name}\b", used)
            assert bool(is_used) is (name not in ONLY_ACCEPTED), f"variable {name}: used or not"
            assert " = any" not in body, f"variable {name} takes anything"
    for body in re.findall(r"^locals \{\n(.*?)^\}", everything, re.MULTILINE | re.DOTALL):
        for name in re.findall(r"^  (\w+) +=", body, re.MULTILINE):
            assert re.search(rf"\blocal\.{name}\b", everything), f"local {name} is not used"
    sources = re.findall(r"source += \"[\w/]+\"\n +version +=", texts["versions.tf"])
    assert len(sources) == texts["versions.tf"].count("source ")
    assert "required_version" in texts["versions.tf"]


def test_the_example_of_the_readme_works_as_it_is_typed(tmp_path: Path) -> None:
    """Only what it points at is made here: the repository of its `source`, and a kubeconfig. e2e/scenarios applies it."""
    made = Tofu(tmp_path / "root", served_by_git(tmp_path))
    made.folder.mkdir()
    (made.folder / "main.tf").write_text(readme_example())
    kubeconfig = made.home / ".kube" / "config"
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.write_text(yaml.safe_dump(KUBECONFIG))
    made.run("init", "-no-color", "-input=false")
    made.run("validate", "-no-color")
    said = made.run("plan", "-no-color", "-input=false")
    for wanted in ('kubectl_manifest.dbupgrade["shop"]', 'kubectl_manifest.dbupgrade["billing"]'):
        assert f"module.migrations.{wanted} will be created" in said
