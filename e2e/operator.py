"""The operator from the checkout as a process: for `make up`, for scenarios and for tests.

python -m e2e.operator start --state .local     (again: restarts it)
python -m e2e.operator stop --state .local
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import yaml

from e2e.cluster import Cluster, ClusterError, slots
from e2e.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

REPOSITORY = Path(__file__).parent.parent
KUSTOMIZE = REPOSITORY / "deploy" / "kustomize"
CRD = KUSTOMIZE / "crd" / "dbupgrades.yaml"
SINGLE_NAMESPACE = KUSTOMIZE / "overlays" / "single-namespace"
GUARDS = (KUSTOMIZE / "policy" / "policies.yaml", KUSTOMIZE / "webhook" / "configuration.yaml")
NAMESPACE = "dbupgrade-system"
ACCOUNT = "dbupgrade-operator"
WEBHOOK = "dbupgrade-operator-webhook"
TOKEN_HOURS = 24
START_SECONDS = 180.0  # it needs two; the machine may be busy
STOP_SECONDS = 120.0
POLL_SECONDS = 0.02
HTTP_OK = 200
# Starts it again when it fails, as a Deployment does: a leader that cannot renew its lease in time, on a busy machine, ends.
_AGAIN = ("sh", "-c", 'trap : TERM; for _ in 1 2 3 4 5; do "$@" && exit; sleep 1; done; exit 1', "sh")


@dataclass(frozen=True)
class Launch:
    """How to start an operator: its kubeconfig, its log, settings (DBUPGRADE_...), and words before the command."""

    kubeconfig: Path
    log: Path
    settings: Mapping[str, str]
    prefix: Sequence[str] = ()


class Process(Protocol):
    """The part of subprocess.Popen that an operator needs."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""

    def poll(self) -> int | None:
        """The exit code, or nothing while it runs."""

    def wait(self, timeout: float) -> int:
        """Wait for the exit code."""


def execute(launch: Launch, environment: Mapping[str, str]) -> Process:
    """Start the command line."""
    with launch.log.open("ab") as log:
        return subprocess.Popen(
            [*launch.prefix, sys.executable, "-m", "dbupgrade", "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


class Operator:
    """A running operator, in a process group of its own."""

    def __init__(self, process: Process, health_port: int, metrics_port: int) -> None:
        self._process = process
        self._health_port = health_port
        self._metrics_port = metrics_port

    @classmethod
    def spawn(cls, launch: Launch, begin: Callable[[Launch, Mapping[str, str]], Process] = execute) -> Self:
        """Start it and return at once; its log is appended to."""
        health, metrics = free_port(), free_port()
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "KUBECONFIG": str(launch.kubeconfig),
            **launch.settings,
            "DBUPGRADE_HEALTH_PORT": str(health),
            "DBUPGRADE_METRICS_PORT": str(metrics),
        }
        return cls(begin(launch, environment), health, metrics)

    @classmethod
    def start(cls, launch: Launch) -> Self:
        """Start it and wait until it is ready. Raises ClusterError when it is not."""
        operator = cls.spawn(launch)
        try:
            operator.wait_ready()
        except ClusterError as error:
            operator.kill()
            raise ClusterError(f"{error}; see {launch.log}") from None
        return operator

    @property
    def pid(self) -> int:
        """The process group."""
        return self._process.pid

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    def metrics(self) -> str:
        """Everything that /metrics says."""
        with urllib.request.urlopen(self.metrics_url, timeout=60) as answer:  # noqa: S310 - our own URL
            return str(answer.read().decode())

    def ready(self) -> bool:
        """Whether /readyz says so."""
        with contextlib.suppress(urllib.error.URLError, OSError):
            url = f"http://127.0.0.1:{self._health_port}/readyz"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return int(answer.status) == HTTP_OK
        return False

    def wait_ready(self) -> None:
        """Wait until it has filled its caches."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self._process.poll() is not None:
                raise ClusterError(f"the operator ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise ClusterError(f"the operator was not ready after {START_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def launch_for(cluster: Cluster, log: Path, **settings: str) -> Launch:
    """How to start the operator for a local cluster: with its images, and in its process namespace.

    There it dies with the cluster, whatever happens to whoever started it.
    """
    owner = slots.owner(cluster.state)
    if owner is None or owner.pid is None:
        raise ClusterError(f"the cluster in {cluster.state} does not run")
    init = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()[0]
    given = {
        "DBUPGRADE_CRANE_IMAGE": cluster.crane_image,
        "DBUPGRADE_RUNNER_IMAGE": cluster.runner_image,
        "DBUPGRADE_INSECURE_REGISTRIES": "true",
        **settings,
    }
    return Launch(_kubeconfig(cluster), log, given, prefix=("nsenter", "--target", init, "--pid", "--"))


def install(cluster: Cluster) -> None:
    """Install the CRD, and an account with exactly the permissions that an installation gives to the operator."""
    for part in ("namespace", "crd", "rbac"):
        cluster.kubectl("apply", "--server-side", "-k", KUSTOMIZE / part)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", CRD)
    cluster.kubectl("apply", "--server-side", "-f", KUSTOMIZE / "manager" / "serviceaccount.yaml")
    _sign_in(cluster, NAMESPACE, _kubeconfig(cluster))


def install_in_namespace(cluster: Cluster, namespace: str) -> Path:
    """Make an account with exactly what an operator for one namespace has there: Roles; returns its kubeconfig.

    Left out is the ClusterRole, which is for the configuration of a webhook of its own.
    """
    files = (SINGLE_NAMESPACE / name for name in ("serviceaccount.yaml", "rbac.yaml"))
    text = "---\n".join(file.read_text() for file in files)
    text = text.replace(f"namespace: {NAMESPACE}", f"namespace: {namespace}")
    objects = [obj for obj in yaml.safe_load_all(text) if not obj["kind"].startswith("Cluster")]
    manifest = cluster.state / f"operator-{namespace}.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    cluster.kubectl("apply", "--server-side", "-f", manifest)
    kubeconfig = cluster.state / f"operator-{namespace}.kubeconfig"
    _sign_in(cluster, namespace, kubeconfig)
    return kubeconfig


def _sign_in(cluster: Cluster, namespace: str, path: Path) -> None:
    """Write a kubeconfig for the operator's account in a namespace."""
    token = cluster.kubectl(
        "--namespace", namespace, "create", "token", ACCOUNT, f"--duration={TOKEN_HOURS}h"
    )  # fmt: skip
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token.strip()}
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))


def _kubeconfig(cluster: Cluster) -> Path:
    return cluster.state / "operator.kubeconfig"


def install_guards(cluster: Cluster, port: int) -> None:
    """Install the webhook's configuration and the policy; the Service leads out of the cluster, to `port` of the host."""
    where = cluster.state / "webhook.json"
    where.write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": _service(cluster.host_ip, port)})
    )
    for manifest in (where, *GUARDS):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", manifest)


def _service(address: str, port: int) -> list[dict[str, object]]:
    metadata = {"name": WEBHOOK, "namespace": NAMESPACE}
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": WEBHOOK}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    ]


def _start(cluster: Cluster) -> None:
    install(cluster)
    _stop(cluster)
    log = cluster.state / "log" / "operator"
    port = free_port()
    install_guards(cluster, port)
    webhook = {
        "DBUPGRADE_WEBHOOK_ENABLED": "true",
        "DBUPGRADE_WEBHOOK_PORT": str(port),
        "DBUPGRADE_WEBHOOK_CONFIGURATION": WEBHOOK,
        "DBUPGRADE_WEBHOOK_SECRET": f"{WEBHOOK}-cert",
    }
    launch = launch_for(cluster, log, **webhook)
    operator = Operator.start(replace(launch, prefix=(*launch.prefix, *_AGAIN)))
    _pid_file(cluster).write_text(str(operator.pid))
    cluster.write_env()
    with (cluster.state / "env").open("a") as env:
        env.write(f"export OPERATOR_METRICS_URL={operator.metrics_url}\n")
    print(f"the operator runs from this checkout; its log: {log}")


def _stop(cluster: Cluster) -> None:
    """End the operator of `make up`, if it still runs."""
    path = _pid_file(cluster)
    if not path.exists():
        return
    group = int(path.read_text())
    deadline = time.monotonic() + STOP_SECONDS
    sent = signal.SIGTERM
    while _is_operator(group):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, sent)
        if time.monotonic() > deadline:
            sent = signal.SIGKILL
        time.sleep(POLL_SECONDS)
    path.unlink()


def _is_operator(group: int) -> bool:
    """Whether the process group is still the one that was started, and not a later process of that number."""
    with contextlib.suppress(OSError):
        return b"dbupgrade" in Path(f"/proc/{group}/cmdline").read_bytes()
    return False


def _pid_file(cluster: Cluster) -> Path:
    return cluster.state / "operator.pid"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m e2e.operator")
    parser.add_argument("command", choices=("start", "stop"))
    parser.add_argument("--state", type=Path, default=Path(".local"))
    given = parser.parse_args()
    try:
        cluster = Cluster.load(given.state)
        (_start if given.command == "start" else _stop)(cluster)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
