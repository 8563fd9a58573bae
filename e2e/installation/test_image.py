"""Our images, built from their Dockerfiles."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from e2e.cluster import operator_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LARGEST = 150 * 1024 * 1024
LIBRARY = ("typing", "asyncio/base_events", "runpy")
"""Some of what every start imports of Python's own library."""


def _manifest(layout: Path) -> dict[str, Any]:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return dict(json.loads(_blob(layout, entry["digest"]).read_text()))


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


@pytest.mark.parametrize("build", [operator_image.build, operator_image.build_runner])
def test_what_a_start_imports_of_pythons_library_is_compiled(build: Callable[[], Path]) -> None:
    layout = build()
    found: set[str] = set()
    for layer in _manifest(layout)["layers"]:
        with tarfile.open(_blob(layout, layer["digest"])) as archive:
            found |= {name for name in archive.getnames() if re.match(r"usr/\S*/python3\S*\.pyc$", name)}
    for module in LIBRARY:
        folder, _, name = f"/{module}".rpartition("/")
        assert [file for file in found if f"{folder}/__pycache__/{name}.cpython-" in file], module


def test_it_has_two_layers_above_its_base_which_are_small_and_runs_as_nobody_without_a_shell() -> None:
    layout = operator_image.build()
    manifest = _manifest(layout)
    own = manifest["layers"][1:]
    sizes = [len(gzip.decompress(_blob(layout, layer["digest"]).read_bytes())) for layer in own]
    assert len(sizes) == 2
    assert sum(sizes) < LARGEST
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_text())["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/python/bin/python", "-m", "dbupgrade"]


def test_the_toolkits_image_has_atlas_and_runs_as_a_number_that_is_not_root() -> None:
    layout = operator_image.build_runner()
    manifest = _manifest(layout)
    own = manifest["layers"][1:]
    assert (
        sum(len(gzip.decompress(_blob(layout, layer["digest"]).read_bytes())) for layer in own) < 2 * LARGEST
    )
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_text())["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python", "-m", "dbupgrade"]
