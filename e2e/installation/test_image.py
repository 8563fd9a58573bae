"""Our images, built from their Dockerfiles."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from e2e.cluster import operator_image

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 150 * 1024 * 1024


def _manifest(layout: Path) -> dict[str, Any]:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return dict(json.loads(_blob(layout, entry["digest"]).read_text()))


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


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
