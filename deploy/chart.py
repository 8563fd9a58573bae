"""The chart as tests and the generator use it, without a network.

Helm refuses a chart whose dependencies are not in its folder `charts`, even when none is wanted, and getting them takes a
network. So a copy is made: without dependencies, or with stand-ins that show which values reach them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "helm" / "dbupgrade-operator"
MIGRATE_CHART = CHART.parent / "dbupgrade-migrate"
STAND_IN = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ default .Chart.Name (default .Values.nameOverride .Values.fullnameOverride) }}-values
data:
  values: {{ toJson .Values | quote }}
"""


def without_dependencies(folder: Path) -> Path:
    """Copy the chart into `folder` and take the dependencies out."""
    chart = _copy(folder)
    metadata = _metadata(chart)
    del metadata["dependencies"]
    _write(chart, metadata)
    return chart


def with_stand_ins(folder: Path) -> Path:
    """Copy the chart into `folder`, each dependency being one ConfigMap that holds the values it was given."""
    chart = _copy(folder)
    for dependency in _metadata(chart)["dependencies"]:
        stand_in = chart / "charts" / dependency["name"]
        (stand_in / "templates").mkdir(parents=True)
        version = dependency["version"].partition(" ")[0].lstrip(">=")
        _write(stand_in, {"apiVersion": "v2", "name": dependency["name"], "version": version})
        (stand_in / "templates" / "values.yaml").write_text(STAND_IN)
    return chart


def _copy(folder: Path) -> Path:
    chart = folder / CHART.name
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    return chart


def _metadata(chart: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = yaml.safe_load((chart / "Chart.yaml").read_text())
    return metadata


def _write(chart: Path, metadata: dict[str, Any]) -> None:
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False))
