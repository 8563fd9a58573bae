"""The layers of the house, checked; and that what decides is pure."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUT_AND_OUTPUT = {
    "asyncio",
    "aiohttp",
    "kubernetes_asyncio",
    "structlog",
    "prometheus_client",
    "ssl",
    "subprocess",
}


def test_the_contracts_of_the_layers_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken." in done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "dbupgrade.api.crd",
        "dbupgrade.api.status",
        "dbupgrade.decide.next_step",
        "dbupgrade.decide.transitions",
    ],
)
def test_what_decides_loads_nothing_that_reads_or_writes(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert module in loaded
    assert not INPUT_AND_OUTPUT & loaded


def test_the_toolkit_loads_only_packages_of_its_lock() -> None:
    names = ("main", "commands.apply", "commands.convert", "commands.lint")
    modules = ", ".join(f"dbupgrade.toolkit.{name}" for name in names)
    script = f"import sys; before = set(sys.modules); import {modules}; print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    locked = (ROOT / "requirements-toolkit.lock").read_text()
    packages = {dist for name, dists in packages_distributions().items() if name in loaded for dist in dists}
    assert not [name for name in packages if f"{name.lower().replace('_', '-')}==" not in locked]
