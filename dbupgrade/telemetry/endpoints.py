"""The HTTP endpoints of every replica: /metrics on one port, /healthz and /readyz on another."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_HOST = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
Checks = Mapping[str, Callable[[], bool]]


@dataclass(frozen=True)
class Guard:
    """TLS, and what decides by a client's token whether it gets an answer."""

    context: ssl.SSLContext
    decide: Callable[[str], Awaitable[HTTPStatus]]


class CannotListenError(Exception):
    """A port of the settings is taken, or may not be used."""


@asynccontextmanager
async def serve_metrics(port: int, guard: Guard | None = None) -> AsyncIterator[int]:
    """Serve /metrics on `port` (0: any free one), to those whom the `guard` lets in; yields the port."""

    async def metrics(request: web.Request) -> web.Response:
        if guard and (status := await guard.decide(_token(request))) != HTTPStatus.OK:
            return web.Response(status=status, text=f"{status.phrase}\n")
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    context = guard.context if guard else None
    async with _serve([web.get("/metrics", metrics)], port, context) as bound:
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


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@asynccontextmanager
async def _serve(
    routes: list[web.RouteDef], port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _HOST, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise CannotListenError(f"port {port} cannot be used: {error.strerror}") from error
        address = runner.addresses[0]
        yield int(address[1])
    finally:
        await runner.cleanup()
