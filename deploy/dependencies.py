"""Fetches the charts that ours can bring, and makes them work under the names by which our values call them.

    python -m deploy.dependencies         before `helm package` or an install from a checkout; needs helm and a network

Values reach a dependency by its alias only, and the alias becomes its name in everything that it renders: `certManager` is no
legal name for a container. Also a strict schema of its values refuses the key by which ours says whether it is wanted
(`certManager.install`). Both are mended in the unpacked copies.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import yaml

from deploy.chart import CHART

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Fetch all of them into the chart's folder `charts`."""
    subprocess.run(["helm", "dependency", "update", str(CHART)], check=True)
    for dependency in yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"]:
        name = dependency["name"]
        (archive,) = (CHART / "charts").glob(f"{name}-[0-9v]*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(CHART / "charts", filter="data")
        archive.unlink()
        adapt(CHART / "charts" / name, dependency)
        print(f"{name}: unpacked and adapted")
    return 0


def adapt(folder: Path, dependency: dict[str, Any]) -> None:
    """Give an unpacked chart its own name back, and allow the key of our condition among its values."""
    for file in (folder / "templates").rglob("*"):
        if file.is_file():
            text = file.read_text()
            file.write_text(re.sub(r"\$?\.Chart\.Name\b", json.dumps(dependency["name"]), text))
    file = folder / "values.schema.json"
    if file.exists():
        schema = json.loads(file.read_text())
        _, _, key = dependency["condition"].partition(".")
        _top(schema).setdefault("properties", {}).setdefault(key, {"type": "boolean"})
        file.write_text(json.dumps(schema, indent=2))


def _top(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a schema that is about the values as a whole."""
    found = schema
    for word in schema.get("$ref", "#").split("/")[1:]:
        found = found[word]
    return found


if __name__ == "__main__":
    sys.exit(main())
