"""The HTTP endpoints of every replica: /metrics on one port, /healthz and /readyz on another."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_HOST = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
Checks = Mapping[str, Callable[[], bool]]


class CannotListenError(Exception):
    """A port of the settings is taken, or may not be used."""


@asynccontextmanager
async def serve_metrics(port: int) -> AsyncIterator[int]:
    """Serve /metrics on `port` (0: any free one); yields the port."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async with _serve([web.get("/metrics", metrics)], port) as bound:
        yield bound


@asynccontextmanager
async def serve_health(port: int, ready: Checks) -> AsyncIterator[int]:
    """Serve /healthz (the loop turns) and /readyz (every check in `ready` holds) on `port`; yields the port."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        failing = [name for name, holds in ready.items() if not holds()]
        text = f"not ready: {', '.join(failing)}\n" if failing else "ok\n"
        return web.Response(text=text, status=503 if failing else 200)

    async with _serve([web.get("/healthz", healthz), web.get("/readyz", readyz)], port) as bound:
        yield bound


@asynccontextmanager
async def _serve(routes: list[web.RouteDef], port: int) -> AsyncIterator[int]:
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise CannotListenError(f"port {port} cannot be used: {error.strerror}") from error
        address = runner.addresses[0]
        yield int(address[1])
    finally:
        await runner.cleanup()
