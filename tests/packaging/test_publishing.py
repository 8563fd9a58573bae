"""The names under which releases are published are one setting: changed on a copy of the tree, everything follows, and back again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

OTHER = {
    "https://github.com/subbug/dbupgrade": "https://git.acme.example/tools/dbupgrade",
    "docker.io/subbug": "registry.acme.example/db",
    "oci://registry-1.docker.io/subbugcharts": "oci://registry.acme.example/charts",
}
OLD = re.compile(r"subbug(?!\.learning|\\\.learning|-learning)")
TESTS = (
    "tests/unit/test_settings.py",
    *(f"tests/packaging/test_{name}.py" for name in ("scripts", "chart", "migrate_chart")),
)
"""What could break; of it, those that look at images."""


def test_the_setting_reaches_everything_and_back(bin_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "charts", "Chart.lock")
    shutil.copytree(REPOSITORY, copy, ignore=skipped)
    shutil.copytree(REPOSITORY / ".github", copy / ".github")
    names = [str(path.relative_to(copy)) for path in sorted(copy.rglob("*")) if path.is_file()]

    def run(*command: str) -> str:
        """With our Python and the tools, in the copy."""
        environment = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=copy, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    project = copy / "pyproject.toml"
    original = project.read_text()
    changed = original
    for old, new in OTHER.items():
        assert f'"{old}"' in changed
        changed = changed.replace(f'"{old}"', f'"{new}"')
    project.write_text(changed)
    assert "README.md written" in run("deploy.generate")
    assert run("deploy.generate", "--check") == ""
    # The tests of the names themselves have them as examples.
    texts = {name: (copy / name).read_bytes().decode(errors="ignore") for name in names}
    assert {name for name, text in texts.items() if OLD.search(text)} <= {
        "tests/unit/test_publishing.py", "tests/packaging/test_publishing.py",
    }  # fmt: skip
    assert (
        "registry.acme.example/db/dbupgrade-operator:0.1.0" in texts["deploy/kustomize/manager/manager.yaml"]
    )
    assert "images=registry.acme.example/db\n" in run("deploy.publishing")
    run("pytest", "-q", "-p", "no:cacheprovider", "-k", "image or version", *TESTS)

    project.write_text(original)
    run("deploy.generate")
    different = [name for name in names if (copy / name).read_bytes() != (REPOSITORY / name).read_bytes()]
    assert different == []
