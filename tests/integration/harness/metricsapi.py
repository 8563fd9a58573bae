"""A small metrics API behind the real aggregator: custom and external metrics as a test wants them, and their faults."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dbupgrade.kube.errors import NotFound
from dbupgrade.kube.resources import ResourceClient, ResourceKind
from e2e.cluster.pki import Authority
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dbupgrade.kube.client import Client

API_SERVICES = ResourceKind("apiregistration.k8s.io", "v1", "apiservices")
SERVICES = ResourceKind("", "v1", "services")
ENDPOINTS = ResourceKind("", "v1", "endpoints")
SLICES = ResourceKind("discovery.k8s.io", "v1", "endpointslices")
CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
NAME = "metrics-api"
_HANGS_SECONDS = 60


@dataclass
class MetricsApi:
    """What it answers: the values of each metric's series, or a failure; and what it was asked, (path, query)."""

    series: dict[str, list[str]] = field(default_factory=dict)
    failure: int | None = None
    hangs: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    transports: set[asyncio.Transport] = field(default_factory=set)
    """Of the connections that asked."""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer discovery, which the aggregator asks all the time, and queries."""
        if request.transport:
            self.transports.add(request.transport)
        if not request.path.startswith("/apis/"):
            raise web.HTTPNotFound
        group, version, *rest = request.path.removeprefix("/apis/").split("/")
        if not rest:
            kind = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
            return web.json_response({**kind, "resources": []})
        self.asked.append((request.path, dict(request.query)))
        if self.hangs:
            await asyncio.sleep(_HANGS_SECONDS)
        metric = rest[-1]
        if self.failure:
            return _status(self.failure, "ServiceUnavailable", "the adapter is restarting")
        if metric not in self.series:
            return _status(404, "NotFound", f"the server could not find the metric {metric} for pods")
        items = [_item(group, number, value) for number, value in enumerate(self.series[metric])]
        return web.json_response(
            {"kind": "MetricValueList", "apiVersion": f"{group}/{version}", "items": items}
        )


def _item(group: str, number: int, value: str) -> dict[str, Any]:
    if group == EXTERNAL:
        return {"metricLabels": {"shard": str(number)}, "value": value}
    return {"describedObject": {"kind": "Pod", "name": f"web-{number}"}, "value": value}


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return web.json_response({**body, "code": code}, status=code)


@contextlib.asynccontextmanager
async def metrics_api(
    admin: Client, namespace: str, directory: Path, *, custom_version: str = "v1beta2"
) -> AsyncIterator[MetricsApi]:
    """Serve a metrics API and register it with the API server, for the time of the block."""
    served = MetricsApi()
    runner = web.AppRunner(_application(served), shutdown_timeout=0.1)
    await runner.setup()
    address = _own_address()
    site = web.TCPSite(runner, address, 0, ssl_context=_tls(directory, address))
    await site.start()
    port = runner.addresses[0][1]
    services = ResourceClient(admin, API_SERVICES)
    names = [f"{custom_version}.{CUSTOM}", f"v1beta1.{EXTERNAL}"]
    try:
        await _create_service(admin, namespace, address, port)
        for name in names:
            await services.create("", _api_service(name, namespace))
        for name in names:
            await eventually(partial(_is_available, services, name), what=f"{name} is available")
            group, _, version = name.partition(".")[::-1]
            await eventually(
                partial(admin.request, "GET", f"/apis/{group}/{version}"),
                what=f"{name} is asked through the API server",
            )
        yield served
    finally:
        for name in names:
            with contextlib.suppress(NotFound):
                await services.delete("", name, propagation="Background")
        # The end of TLS would have to be answered by the other side, which may be after that of the event loop.
        for transport in served.transports:
            transport.abort()
        await runner.cleanup()


def _application(served: MetricsApi) -> web.Application:
    application = web.Application()
    application.router.add_get("/{path:.*}", served.answer)
    return application


async def _create_service(admin: Client, namespace: str, address: str, port: int) -> None:
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    await ResourceClient(admin, SERVICES).create(
        namespace, {"metadata": {"name": NAME}, "spec": {"ports": [{**ports[0], "port": 443}]}}
    )
    # The aggregator of Kubernetes 1.30 looks for Endpoints, newer ones for EndpointSlices; no controller makes one of the other here.
    subsets = [{"addresses": [{"ip": address}], "ports": ports}]
    await ResourceClient(admin, ENDPOINTS).create(namespace, {"metadata": {"name": NAME}, "subsets": subsets})
    labels = {"kubernetes.io/service-name": NAME}
    endpoints = [{"addresses": [address], "conditions": {"ready": True}}]
    slice_ = {
        "metadata": {"name": NAME, "labels": labels},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }
    await ResourceClient(admin, SLICES).create(namespace, slice_)


def _api_service(name: str, namespace: str) -> dict[str, Any]:
    version, _, group = name.partition(".")
    spec = {
        "group": group,
        "version": version,
        "service": {"namespace": namespace, "name": NAME, "port": 443},
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
    }
    return {"metadata": {"name": name}, "spec": spec}


async def _is_available(services: ResourceClient, name: str) -> bool:
    conditions = (await services.get("", name)).get("status", {}).get("conditions") or ()
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)


def _own_address() -> str:
    """An address of this machine that is not loopback's, which an EndpointSlice may not have. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        address: str = probe.getsockname()[0]
        return address


def _tls(directory: Path, address: str) -> ssl.SSLContext:
    certificate = Authority.create(NAME).issue(NAME, ips=[address])
    files = (directory / "metrics-api.pem", directory / "metrics-api-key.pem")
    for file, content in zip(files, (certificate.cert_pem, certificate.key_pem), strict=True):
        file.write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context
