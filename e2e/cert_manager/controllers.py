"""cert-manager's controllers as a process of this machine, and the chart that it publishes: both from its Go module."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import yaml

from e2e.cluster import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.cluster import Cluster


@contextlib.contextmanager
def cert_manager(cluster: Cluster) -> Iterator[None]:
    """Install its CRDs and run its controllers; both are gone afterwards."""
    program = tools.binary("cert-manager")
    file = cluster.state / "cert-manager.yaml"
    file.write_text("---\n".join(yaml.safe_dump(crd) for crd in crds()))
    cluster.kubectl("apply", "--server-side", "-f", file)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", file)
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    with (cluster.state / "log" / "cert-manager").open("wb") as log:
        process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        cluster.kubectl("delete", "-f", file, "--timeout=60s")


def crds() -> Iterator[dict[str, object]]:
    """Its CustomResourceDefinitions, without the labels which its chart fills in."""
    for file in sorted((tools.sources("cert-manager") / "deploy" / "crds").glob("crd-*.yaml")):
        crd = yaml.safe_load(file.read_text().replace("{{", "").replace("}}", ""))
        crd["metadata"].pop("labels")
        yield crd


def published_chart(folder: Path, version: str) -> None:
    """Make in `folder` what its release process makes of the chart in its sources."""
    sources = tools.sources("cert-manager") / "deploy"
    shutil.copytree(sources / "charts" / "cert-manager", folder, copy_function=shutil.copyfile)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for file in (sources / "crds").glob("crd-*.yaml"):
        shutil.copyfile(file, folder / "templates" / file.name)
    template = (folder / "Chart.template.yaml").read_text()
    (folder / "Chart.yaml").write_text(template.replace("v0.0.0", version))
