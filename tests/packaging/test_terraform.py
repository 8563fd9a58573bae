"""The Terraform module without a cluster: layout, validity, its own tests, and READMEs that are read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import terraform_module
from e2e.tofu import Tofu, copy_module

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = (".", "compat/three-databases")


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
