"""The chart as a release on the cluster, and who of its replicas leads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbupgrade.app import LEASE
from e2e.operator import NAMESPACE

if TYPE_CHECKING:
    from e2e.cluster import Cluster

NAME = "dbupgrade-operator"


@dataclass(frozen=True)
class Release:
    """A release of the chart, driven by the real helm."""

    cluster: Cluster
    chart: Path
    image: str

    def install(self) -> None:
        """Install it and wait until it is ready."""
        self.helm(
            "install", NAME, str(self.chart), "--create-namespace", *self._values(), "--wait", "--timeout=90s"
        )

    def upgrade(self, *values: str) -> None:
        """Upgrade it with further values and wait until the new replicas are ready."""
        self.helm("upgrade", NAME, str(self.chart), *self._values(*values), "--wait", "--timeout=90s")

    def uninstall(self) -> None:
        """Take it away; a second time does nothing."""
        self.helm("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout=2m")

    def helm(self, *arguments: str) -> str:
        """Run helm in the operator's namespace; raises AssertionError with its words."""
        home = self.cluster.state / "helm"
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            **{f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")},
        }
        command = [str(self.cluster.bin_dir / "helm"), "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"helm {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _values(self, *more: str) -> list[str]:
        repository, _, tag = self.image.rpartition(":")
        values = (
            "replicaCount=2",
            "webhook.certManager.enabled=false",
            f"image.repository={repository}",
            f"image.tag={tag}",
            f"craneImage={self.cluster.crane_image}",
            f"atlasImage={self.cluster.atlas_image}",
            "insecureRegistries=true",
            *more,
        )
        return [word for value in values for word in ("--set", value)]

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the operator's namespace."""
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments)

    def lease(self) -> dict[str, Any]:
        """The spec of the lease."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "lease", LEASE, "--output=json"))["spec"]
        return found

    def leader(self) -> str:
        """Identity of the replica that leads; empty when none does."""
        return str(self.lease().get("holderIdentity") or "")

    def pods(self) -> set[str]:
        """Names of the replicas."""
        return set(self.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.name}").split())


def pod_of(identity: str) -> str:
    """The pod of a leader: its identity is host, process and a random number."""
    return identity.rpartition("_")[0].rpartition("_")[0]


def kill(pod: str) -> None:
    """End the operator in a pod as a power cut would."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and b"dbupgrade" in command:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError(f"no process of pod {pod}")
