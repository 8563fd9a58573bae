"""OpenTofu with the providers that the cache has, for tests: no registry is asked, and nothing is left in the home folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.cluster import tools
from e2e.cluster.images import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE = Path(__file__).parent.parent / "deploy" / "terraform"
REGISTRY = "registry.opentofu.org"
# Source of a provider, and the tool that it is.
PROVIDERS = {
    "gavinbunney/kubectl": "terraform-provider-kubectl",
    "hashicorp/external": "terraform-provider-external",
}
NOTHING_TO_DO, CHANGES = 0, 2  # exit codes of `plan -detailed-exitcode`


class TofuError(AssertionError):
    """What tofu said."""


@dataclass(frozen=True)
class Tofu:
    """The real tofu in one folder of configuration."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def configure(self, name: str, content: object) -> None:
        """Write a file of configuration, as JSON."""
        (self.folder / name).write_text(json.dumps(content, indent=1))

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command and return all that it said. Raises TofuError if its exit code is another one."""
        done = subprocess.run(
            [str(tools.binary("tofu")), f"-chdir={self.folder}", *arguments],
            env={**os.environ, **self._own_environment(), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            raise TofuError(f"tofu {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def apply(self, code: int = 0) -> str:
        """Plan and apply."""
        return self.run("apply", "-auto-approve", "-input=false", "-no-color", code=code)

    def output(self) -> dict[str, Any]:
        """All outputs of the root module."""
        return {name: found["value"] for name, found in json.loads(self.run("output", "-json")).items()}

    @property
    def home(self) -> Path:
        """The home folder of its user."""
        return self.folder.parent / f"{self.folder.name}-home"

    def _own_environment(self) -> dict[str, str]:
        home = self.home
        mirror = home / "mirror"
        if not mirror.exists():
            for source, name in PROVIDERS.items():
                _offer(mirror, source, name)
        config = home / "tofurc"
        config.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
        return {
            "HOME": str(home),
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }


def _offer(mirror: Path, source: str, name: str) -> None:
    version = next(tool.version for tool in tools.TOOLS if tool.name == name)
    folder = mirror / REGISTRY / source / version.removeprefix("v") / PLATFORM.replace("/", "_")
    folder.mkdir(parents=True)
    (folder / f"{name}_{version}").symlink_to(tools.binary(name))


def copy_module(to: Path) -> Path:
    """A copy of the module, in which tofu may write."""
    return Path(shutil.copytree(MODULE, to / "terraform"))


def readme_example() -> str:
    """The first example of the module's README."""
    return (MODULE / "README.md").read_text().partition("```hcl\n")[2].partition("```")[0]


def served_by_git(folder: Path) -> dict[str, str]:
    """The environment in which git finds the module as it is here under the address that the README's example has.

    git itself replaces the address (`url.*.insteadOf`), so that the example is used as it is typed.
    """
    address = re.search(r'"git::([^"]+)//deploy/terraform', readme_example())
    assert address, "the example has no source"
    repository = folder / "repository"
    shutil.copytree(MODULE, repository / "deploy" / "terraform")
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message=the module")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": address[1],
    }
