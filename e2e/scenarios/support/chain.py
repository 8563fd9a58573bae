"""A chain that serves metrics: a real exporter, Prometheus and prometheus-adapter behind the cluster's aggregator.

They run on the host; the cluster reaches the adapter through a Service without selector. The rules are those of the docs.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import debian, tools
from e2e.cluster.components import Component, answers
from e2e.ports import free_port
from e2e.scenarios.support.api import Api, RefusedError, path
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from e2e.cluster import Cluster

RULES = Path(__file__).parents[3] / "examples" / "checks" / "adapter-rules.yaml"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAMES = ("v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io")
SERVICE = "prometheus-adapter"
SECONDS = 240.0


@dataclass
class Chain:
    """What the exporter exports: the value of each series, a metric's name with its labels."""

    api: Api
    textfile: Path
    prometheus: str
    _values: dict[str, float] = field(default_factory=dict)

    def export(self, metric: str, value: float, **labels: str) -> None:
        """Export this value from now on, and wait until Prometheus has it."""
        text = ",".join(f'{name}="{label}"' for name, label in labels.items())
        series = f"{metric}{{{text}}}"
        self._values[series] = value
        new = self.textfile.with_suffix(".new")
        new.write_text("".join(f"{name} {number}\n" for name, number in self._values.items()))
        new.rename(self.textfile)
        wait_until(lambda: self._current(series) == value, f"Prometheus has {series} {value}", SECONDS)

    def wait_served(self, path: str, series: int) -> None:
        """Wait until the metrics API has so many series at `path`: the adapter looks for new ones now and then only."""
        wait_until(lambda: self._served(path) == series, f"{series} series at {path}", SECONDS)

    def _served(self, path: str) -> int:
        try:
            return len(self.api.request("GET", path)["items"])
        except RefusedError:
            return 0

    def _current(self, series: str) -> float | None:
        query = urllib.parse.urlencode({"query": series})
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{query}", timeout=60) as answer:  # noqa: S310 - our own
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else None


@contextlib.contextmanager
def metrics_chain(cluster: Cluster, api: Api, folder: Path, namespace: str) -> Iterator[Chain]:
    """Run the chain for the time of the block; the adapter's Service is in `namespace`. One at a time on a cluster."""
    exporter, prometheus, adapter = free_port(), free_port(), free_port()
    started: list[Component] = []
    try:
        started += [_exporter(folder, exporter), _prometheus(folder, prometheus, exporter)]
        started[-1].wait(lambda: answers(f"http://127.0.0.1:{prometheus}/-/ready"))
        started.append(_adapter(cluster, folder, adapter, prometheus))
        _register(api, namespace, cluster.host_ip, adapter)
        started[-1].wait(lambda: all(_is_available(api, name) for name in NAMES), "serve the metrics APIs")
        yield Chain(api, folder / "textfiles" / "app.prom", f"http://127.0.0.1:{prometheus}")
    finally:
        for name in NAMES:  # before the adapter goes, or the API server asks in vain
            with contextlib.suppress(RefusedError):
                api.request("DELETE", f"{API_SERVICES}/{name}")
        for component in reversed(started):
            component.process.terminate()
            component.process.wait(60)


def _exporter(folder: Path, port: int) -> Component:
    textfiles = folder / "textfiles"
    textfiles.mkdir()
    program = debian.unpacked("prometheus-node-exporter") / "usr/bin/prometheus-node-exporter"
    collect = (
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={textfiles}",
    )
    command = (program, *collect, f"--web.listen-address=127.0.0.1:{port}")
    return Component.start("exporter", folder, command)


def _prometheus(folder: Path, port: int, exporter: int) -> Component:
    scrape = {
        "job_name": "exporter",
        "honor_labels": True,  # the exporter says itself which namespace and pod a value is of
        "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}],
    }
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    program = debian.unpacked("prometheus") / "usr/bin/prometheus"
    listen = f"--web.listen-address=127.0.0.1:{port}"
    command = (program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", listen)
    return Component.start("prometheus", folder, command)


def _adapter(cluster: Cluster, folder: Path, port: int, prometheus: int) -> Component:
    kubeconfigs = [
        f"--{use}-kubeconfig={cluster.kubeconfig}" for use in ("lister", "authentication", "authorization")
    ]
    command: tuple[str | Path, ...] = (
        tools.binary("adapter"),
        *kubeconfigs,
        f"--bind-address={cluster.host_ip}",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--prometheus-url=http://127.0.0.1:{prometheus}",
        "--metrics-relist-interval=2s",
        "--metrics-max-age=1h",
        f"--config={RULES}",
    )
    return Component.start("adapter", folder, command)


def _register(api: Api, namespace: str, address: str, port: int) -> None:
    """Lead the aggregator to the adapter."""
    service = {"metadata": {"name": SERVICE}, "spec": {"ports": [{"name": "https", "port": 443}]}}
    api.request("POST", path("services", namespace), {"apiVersion": "v1", "kind": "Service", **service})
    endpoints: Mapping[str, object] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "https", "port": port}],
    }
    api.request("POST", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", endpoints)
    for name in NAMES:
        version, _, group = name.partition(".")
        spec = {
            "group": group,
            "version": version,
            "service": {"namespace": namespace, "name": SERVICE},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
        }
        kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
        api.request("POST", API_SERVICES, {**kind, "metadata": {"name": name}, "spec": spec})


def _is_available(api: Api, name: str) -> bool:
    conditions = api.request("GET", f"{API_SERVICES}/{name}").get("status", {}).get("conditions") or ()
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)
