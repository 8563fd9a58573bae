"""The CI examples, by the linters that know them; and that what they call exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade.toolkit.arguments import COMMANDS, parse
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

GITHUB = REPOSITORY / "examples/ci/github-actions.yaml"
PLAN = REPOSITORY / "examples/ci/github-plan.yaml"
GITLAB = REPOSITORY / "examples/ci/gitlab-ci.yml"


@pytest.mark.parametrize("file", [GITHUB, PLAN], ids=lambda file: file.name)
def test_the_github_workflows(bin_dir: Path, file: Path) -> None:
    # It runs shellcheck on the steps' scripts too.
    done = subprocess.run([bin_dir / "actionlint", file], capture_output=True, text=True, check=False)
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


def test_the_plan_of_a_pull_request_is_called_as_the_toolkit_wants_it() -> None:
    (call,) = re.findall(r"\bmigrate (plan .*) > plan\.md", PLAN.read_text())
    given = parse(shlex.split(call))
    assert (given.command, given.resource, given.image_digest) == ("plan", "$RESOURCE", "$DIGEST")
