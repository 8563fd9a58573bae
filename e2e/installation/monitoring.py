"""kube-state-metrics and Prometheus as processes of this machine."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from e2e.cluster import debian, tools
from e2e.operator import REPOSITORY
from e2e.ports import free_port
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from e2e.cluster import Cluster

CONFIGURATION = REPOSITORY / "deploy/monitoring/kube-state-metrics.yaml"
ALERTS = REPOSITORY / "deploy/helm/dbupgrade-operator/files/alerts.yaml"
SERIES = re.compile(r"(kube_customresource_\w+)(\{.*\}) (\S+)")


@contextlib.contextmanager
def kube_state_metrics(cluster: Cluster) -> Iterator[str]:
    """Run it with our configuration; yields the URL of its metrics."""
    port, telemetry = free_port(), free_port()
    command: list[str | Path] = [
        tools.binary("kube-state-metrics"),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--custom-resource-state-config-file={CONFIGURATION}",
        "--custom-resource-state-only",
        "--host=127.0.0.1", f"--port={port}",
        "--telemetry-host=127.0.0.1", f"--telemetry-port={telemetry}",
    ]  # fmt: skip
    with (cluster.state / "log" / "kube-state-metrics").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        wait_until(lambda: read(url) != "", "kube-state-metrics answers")
        yield url
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def prometheus(folder: Path, addresses: Sequence[str]) -> Iterator[str]:
    """Run a Prometheus that scrapes the operators at addresses (host:port) every second, with alerts that fire at once; yields its URL."""
    jobs = [{"job_name": "operator", "honor_labels": True, "static_configs": [{"targets": list(addresses)}]}]
    alerts = folder / "alerts.yaml"
    alerts.write_text(re.sub(r"^    for: .*\n", "", ALERTS.read_text(), flags=re.MULTILINE))
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    file = folder / "prometheus.json"
    file.write_text(json.dumps({"global": every, "scrape_configs": jobs, "rule_files": [str(alerts)]}))
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        debian.unpacked("prometheus") / "usr/bin/prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: read(f"http://{address}/-/ready") != "", "Prometheus is ready")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def found_by(url: str, query: str) -> list[dict[str, Any]]:
    """What a Prometheus finds for a query now."""
    answer = json.loads(read(f"{url}/api/v1/query?{urlencode({'query': query})}") or "{}")
    found: list[dict[str, Any]] = answer["data"]["result"] if answer.get("status") == "success" else []
    return found


def read(url: str) -> str:
    """The metrics; nothing while there are none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own URL
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def series(text: str, namespace: str) -> dict[str, float]:
    """The series about a namespace, written as in an expression, and their values."""
    found = [match.groups() for match in map(SERIES.match, text.splitlines()) if match]
    return {
        f"{name}{labels}": float(value)
        for name, labels, value in found
        if f'namespace="{namespace}"' in labels
    }
