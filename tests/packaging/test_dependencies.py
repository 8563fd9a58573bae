"""The charts that ours can bring, as deploy.dependencies leaves them; with cert-manager's own, e2e/cert_manager tries it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.chart import with_stand_ins
from deploy.dependencies import adapt
from tests.packaging.conftest import Helm, HelmError

if TYPE_CHECKING:
    from pathlib import Path

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {{ default .Chart.Name .Values.nameOverride }}
spec:
  containers:
  - name: {{ $.Chart.Name }}-controller
"""
STRICT = {
    "$ref": "#/$defs/values",
    "$defs": {
        "values": {
            "additionalProperties": False,
            "properties": {name: {} for name in ("global", "installCRDs", "resources", "fullnameOverride")},
        }
    },
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The chart with a cert-manager whose templates and schema are as the real one's."""
    made = with_stand_ins(tmp_path)
    folder = made / "charts" / "cert-manager"
    (folder / "templates" / "pod.yaml").write_text(POD)
    (folder / "values.schema.json").write_text(json.dumps(STRICT))
    return made


def test_a_dependency_keeps_its_name_and_takes_the_key_that_switches_it_on(
    bin_dir: Path, chart: Path
) -> None:
    helm = Helm(bin_dir / "helm", chart)
    with pytest.raises(HelmError, match="'install' not allowed"):
        helm.template("certManager.install=true")
    for dependency in yaml.safe_load((chart / "Chart.yaml").read_text())["dependencies"]:
        adapt(chart / "charts" / dependency["name"], dependency)
    objects = helm.template("certManager.install=true")
    pod = objects.one("Pod", "cert-manager")
    assert pod["spec"]["containers"] == [{"name": "cert-manager-controller"}]
    with pytest.raises(HelmError, match="'instal' not allowed"):
        helm.template("certManager.install=true", "certManager.instal=true")
