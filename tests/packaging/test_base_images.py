"""A release is built from base images by digest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.base_images import images
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILES = ["Dockerfile", *(f"images/{name}/Dockerfile" for name in ("atlas", "crane", "migrate"))]
DOCKER = """#!/bin/sh
echo '{"digest": "sha256:'"$(printf '%064d' 7)"'"}'
"""


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_base_image_of_ours_is_an_argument(dockerfile: str) -> None:
    text = (REPOSITORY / dockerfile).read_text()
    found = images(text, {})
    assert found
    stages = set(re.findall(r"^FROM .* AS (\w+)$", text, re.MULTILINE))
    bases = re.findall(r"^FROM (?:--\S+ )?(\S+)", text, re.MULTILINE)
    assert {base.strip("${}") for base in bases} <= {*found, *stages, "scratch"}


def test_the_release_builds_every_image_with_digests(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "deploy.base_images", "images/migrate/Dockerfile", "ATLAS_IMAGE=here/atlas:1"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, *lines, last = done.stdout.splitlines()
    assert (first, last) == ("arguments<<END", "END")
    assert len(lines) == 3
    assert all(re.fullmatch(r"\w+_IMAGE=\S+:\S+@sha256:\d{64}", line) for line in lines), lines
    assert any(line.startswith("ATLAS_IMAGE=here/atlas:1@") for line in lines)
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/release.yaml").read_text())
    builds = [
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "build-push-action" in step.get("uses", "")
    ]
    assert [step["with"]["build-args"] for step in builds] == ["${{ steps.base.outputs.arguments }}"] * 2


def test_an_argument_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit, match="no argument OTHER_IMAGE"):
        images("ARG BASE_IMAGE=a:1\n", {"OTHER_IMAGE": "b:1"})
