"""The CI examples, by the linters that know them; and that what they call exists."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.toolkit.arguments import COMMANDS
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

GITHUB = REPOSITORY / "examples/ci/github-actions.yaml"
GITLAB = REPOSITORY / "examples/ci/gitlab-ci.yml"


def test_the_github_workflow(bin_dir: Path) -> None:
    # It runs shellcheck on the steps' scripts too.
    done = subprocess.run([bin_dir / "actionlint", GITHUB], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _gitlab() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load(GITLAB.read_text())
    stages = found.pop("stages")
    assert {job["stage"] for job in found.values()} == set(stages)
    return dict(found)


def test_the_gitlab_scripts() -> None:
    for name, job in _gitlab().items():
        script = "\n".join(["#!/bin/sh", *job["script"]])
        done = subprocess.run(
            ["shellcheck", "--shell=sh", "--exclude=SC2154", "-"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}"


def test_a_change_is_validated_linted_applied_and_a_push_deploys_by_digest() -> None:
    for file in (GITHUB, GITLAB):
        text = file.read_text()
        called = re.findall(r"\bmigrate (validate|lint|apply|status)\b", text)
        assert called == ["validate", "lint", "lint", "apply", "status"], file.name
        assert set(called) <= set(COMMANDS)
        assert "helm upgrade --install" in text
        assert 'customImage.tag=$MIGRATIONS"' in text
        assert "postgres:16" in text
