from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.chart import with_stand_ins, without_dependencies
from e2e.cluster import tools

Object = dict[str, Any]
NAMESPACE = "dbupgrade-system"
REPOSITORY = Path(__file__).parent.parent.parent


class Objects(list[Object]):
    """Rendered objects."""

    def one(self, kind: str, name: str = "") -> Object:
        (found,) = self.all(kind, name)
        return found

    def all(self, kind: str, name: str = "") -> list[Object]:
        return [obj for obj in self if obj["kind"] == kind and name in {"", obj["metadata"]["name"]}]


@dataclass(frozen=True)
class Helm:
    """The real helm on a copy of the chart."""

    program: Path
    chart: Path

    def template(self, *settings: str, release: str = "dbupgrade-operator") -> Objects:
        """Render with values `a.b=c`; a value may be JSON. Raises CalledProcessError with helm's words."""
        return Objects(
            obj for obj in yaml.load_all(self.text(*settings, release=release), yaml.CSafeLoader) if obj
        )

    def text(self, *settings: str, release: str = "dbupgrade-operator") -> str:
        return self.run("template", release, str(self.chart), "--namespace", NAMESPACE, *_flags(settings))

    def run(self, *arguments: str) -> str:
        done = subprocess.run([str(self.program), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HelmError(done.stderr + done.stdout)
        return done.stdout


class HelmError(Exception):
    """What helm said."""


def _flags(settings: tuple[str, ...]) -> list[str]:
    return [word for setting in settings for word in ("--set-json", _as_json(setting))]


def _as_json(setting: str) -> str:
    """`a=true`, `a=3` and `a=[...]` as they are, anything else as a string."""
    name, _, value = setting.partition("=")
    try:
        json.loads(value)
    except json.JSONDecodeError:
        value = json.dumps(value)
    return f"{name}={value}"


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    return tools.bin_dir("packaging")


@pytest.fixture(scope="session", autouse=True)
def _own_helm_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever helm keeps for its user, the tests neither see nor change it."""
    home = tmp_path_factory.mktemp("helm")
    for name in ("CACHE", "CONFIG", "DATA"):
        os.environ[f"HELM_{name}_HOME"] = str(home / name)


@pytest.fixture(scope="session")
def helm(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(bin_dir / "helm", without_dependencies(tmp_path_factory.mktemp("chart")))


@pytest.fixture(scope="session")
def helm_with_stand_ins(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(bin_dir / "helm", with_stand_ins(tmp_path_factory.mktemp("chart")))


def kustomize(bin_dir: Path, folder: str) -> Objects:
    """What `kubectl kustomize` makes of a folder below deploy/kustomize."""
    command = [str(bin_dir / "kubectl"), "kustomize", str(REPOSITORY / "deploy" / "kustomize" / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
    return Objects(yaml.load_all(done.stdout, yaml.CSafeLoader))
