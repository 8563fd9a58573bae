"""`kubectl dbupgrade` as one file: packed, unpacked at its first start, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import files
from pathlib import Path

import pytest
import yaml

import dbupgrade
from deploy import plugin

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, with click for the only package."""
    site = tmp_path_factory.mktemp("site")
    for file in files("click") or ():
        if file.suffix == ".py":
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), site / file)
    plugin.copy_own(site)
    path = tmp_path_factory.mktemp("bin") / "kubectl-dbupgrade"
    path.write_bytes(plugin.pack(site))
    path.chmod(0o755)
    return path


def run(program: Path, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it with an interpreter that sees no packages of ours."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-S", str(program), *words], env=environment, capture_output=True, text=True, check=False,
        cwd=cache,
    )  # fmt: skip


def test_it_runs_and_unpacks_itself_once(program: Path, tmp_path: Path) -> None:
    assert run(program, tmp_path, "--version").stdout == f"kubectl-dbupgrade {dbupgrade.__version__}\n"
    (unpacked,) = (tmp_path / "kubectl-dbupgrade").iterdir()
    (unpacked / "dbupgrade" / "__init__.py").write_text("__version__ = 'as it was unpacked'")
    assert run(program, tmp_path, "--version").stdout == "kubectl-dbupgrade as it was unpacked\n"
    assert list((tmp_path / "kubectl-dbupgrade").iterdir()) == [unpacked]


def test_its_exit_code_is_that_of_the_command(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "frob")
    assert (done.returncode, "No such command" in done.stderr) == (2, True)


def test_the_same_packages_make_the_same_file(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text("x = 1")
        made.append(plugin.pack(tmp_path / name))
    assert made[0] == made[1]
    (tmp_path / "b" / "module.py").write_text("x = 2")
    assert plugin.pack(tmp_path / "b") != made[0]


def test_the_manifest_has_every_archive() -> None:
    sums = {platform: str(number) * 64 for number, platform in enumerate(plugin.PLATFORMS)}
    told = yaml.safe_load(plugin.manifest(sums, "https://example.com/v1/", "https://example.com"))
    assert told["spec"]["version"] == f"v{dbupgrade.__version__}"
    assert told["spec"]["homepage"] == "https://example.com"
    found = {
        f"{each['selector']['matchLabels']['os']}-{each['selector']['matchLabels']['arch']}": each
        for each in told["spec"]["platforms"]
    }
    assert {name: each["sha256"] for name, each in found.items()} == sums
    for name, each in found.items():
        assert each["uri"] == f"https://example.com/v1/kubectl-dbupgrade_{name}.tar.gz"
        assert each["bin"] == "kubectl-dbupgrade"


def test_what_the_plugin_imports_is_packed() -> None:
    """The lock of the plugin has every package, and `PACKAGES` every part of ours, that its commands load."""
    code = (
        "import sys, sysconfig; import dbupgrade.cli.main;"
        "from dbupgrade.cli.actions import apply, change, completion, logs, show, waiting;"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    loaded = set(done.stdout.split())
    own = {name.split(".")[1] for name in loaded if name.startswith("dbupgrade.")}
    assert own == {*plugin.PACKAGES, *plugin.MODULES}
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]["plugin"]
    wanted = {requirement.partition(">")[0].partition("=")[0] for requirement in group}
    modules = {
        "kubernetes-asyncio": "kubernetes_asyncio",
        "prometheus-client": "prometheus_client",
        "pyyaml": "yaml",
    }
    assert {modules.get(name, name) for name in wanted} <= loaded
    ours = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    others = {requirement.partition(">")[0].partition("=")[0] for requirement in ours} - wanted
    assert not {name.replace("-", "_") for name in others} & loaded
