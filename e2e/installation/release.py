"""The chart as a release on the cluster, and who of its replicas leads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbupgrade.app.manager import LEASE
from e2e.cluster import tools
from e2e.operator import NAMESPACE
from e2e.scenarios.support.api import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.cluster import Cluster
    from e2e.scenarios.support.api import Api

NAME = "dbupgrade-operator"
WAIT_SECONDS = 240.0
POLL_SECONDS = 0.2  # each look is a kubectl


@dataclass(frozen=True)
class Release:
    """A release of the chart, driven by the real helm; images are those of the charts' appVersion."""

    cluster: Cluster
    chart: Path
    image: str

    def install(self, *values: str, chart: Path | None = None) -> None:
        """Install it, or an older chart, and wait until it is ready."""
        words = (NAME, str(chart or self.chart), "--create-namespace", *self._values(*values))
        self.helm("install", *words, "--wait", "--timeout=5m")

    def upgrade(self, *values: str) -> None:
        """Upgrade it with further values and wait until the new replicas are ready."""
        self.helm("upgrade", NAME, str(self.chart), *self._values(*values), "--wait", "--timeout=5m")

    def uninstall(self) -> None:
        """Take it away; a second time does nothing."""
        self.helm("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout=5m")

    def helm(self, *arguments: str) -> str:
        """Run helm in the operator's namespace; raises AssertionError with its words."""
        home = self.cluster.state / "helm"
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.cluster.kubeconfig),
            **{f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")},
        }
        command = [str(tools.binary("helm")), "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"helm {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _values(self, *more: str) -> list[str]:
        values = (
            "replicaCount=2",
            "webhook.certManager.enabled=false",
            f"image.repository={self.image.rpartition(':')[0]}",
            f"craneImage={self.cluster.crane_image}",
            f"runnerImage={self.cluster.runner_image}",
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

    def take_over(self, before: str, end: Callable[[], None]) -> float:
        """End a leader and return after how many seconds another leads."""
        started = time.monotonic()
        end()
        while self.leader() in {"", before}:
            assert time.monotonic() < started + WAIT_SECONDS, "nobody leads"
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        print(f"{end.__qualname__}: another replica leads after {seconds:.1f} s")
        return seconds

    def addresses(self) -> list[str]:
        """Where the replicas are, for the host too."""
        return self.kubectl("get", "pods", "--output=jsonpath={.items[*].status.podIP}").split()

    def images(self) -> set[str]:
        """What the replicas are to run."""
        path = "{.spec.template.spec.containers[*].image}"
        return set(self.kubectl("get", "deployment", NAME, f"--output=jsonpath={path}").split())

    def pods(self) -> set[str]:
        """Names of the replicas."""
        return set(self.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.name}").split())


def pod_of(identity: str) -> str:
    """The pod of a leader: its identity is host, process and a random number."""
    return identity.rpartition("_")[0].rpartition("_")[0]


def kill(pod: str) -> None:
    """End the operator in a pod as a power cut would."""
    os.kill(_process(pod), signal.SIGKILL)


def ask_to_end(pod: str) -> None:
    """End it as the kubelet does when a pod is deleted."""
    os.kill(_process(pod), signal.SIGTERM)


def _process(pod: str) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and b"dbupgrade" in command:
            return int(process.name)
    raise AssertionError(f"no process of pod {pod}")


def served(api: Api) -> bool:
    """Whether DBUpgrades can be listed; not for a moment after the CRD came or changed."""
    try:
        api.request("GET", "/apis/dbupgrade.subbug.learning/v1alpha1/dbupgrades")
    except RefusedError:
        return False
    return True
