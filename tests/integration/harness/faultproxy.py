"""A proxy in front of the API server that misbehaves as tests tell it.

    proxy.inject(Fault(Match("PATCH", r"/status$"), Answer(409, "Conflict"), times=2))
    assert [seen.status for seen in proxy.requests if seen.method == "PATCH"] == [409, 409, 200]

It speaks plain HTTP on loopback. A request's bearer token is passed on; without one it counts as the administrator's.
The first fault that matches a request and is not used up applies to it; the others stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import aiohttp
from aiohttp import web
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from tests.integration.harness.apiserver import ApiServer

_PASSED_ON = ("Accept", "Accept-Encoding", "Authorization", "Content-Type", "User-Agent")
_PASSED_BACK = ("Audit-Id", "Content-Encoding", "Content-Type", "Retry-After")


@dataclass
class Seen:
    """A request that arrived; `status` is what its sender got, None as long as nothing or when that was a reset."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int | None = None

    @property
    def watch(self) -> bool:
        return self.query.get("watch") in {"true", "1"}


@dataclass(frozen=True)
class Match:
    """Which requests a fault is for; `path` is a regular expression that is searched in the path."""

    method: str | None = None
    path: str = ""
    watch: bool | None = None

    def fits(self, seen: Seen) -> bool:
        return (
            self.method in {None, seen.method}
            and re.search(self.path, seen.path) is not None
            and self.watch in {None, seen.watch}
        )


class Action(Protocol):
    """What a fault does with a request."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse: ...


@dataclass
class Fault:
    """An action for the next `times` requests that fit (None: for all of them), after `skip` that pass unharmed."""

    match: Match
    action: Action
    times: int | None = 1
    skip: int = 0
    used: int = 0

    def takes(self, seen: Seen) -> bool:
        if (self.times is not None and self.used >= self.times) or not self.match.fits(seen):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.used += 1
        return True


@dataclass
class Exchange:
    """One request, and what actions can do with it."""

    proxy: FaultProxy
    request: web.Request
    seen: Seen
    body: bytes

    async def forward(self, event_copies: int = 1) -> web.StreamResponse:
        """Pass the request on and the answer back, as it comes."""
        async with self.upstream() as answer:
            response = await self.begin(answer)
            if self.seen.watch:
                async for line in answer.content:
                    await self.write(response, line * event_copies)
            else:
                await self.write(response, await answer.read())
            await response.write_eof()
            return response

    @contextlib.asynccontextmanager
    async def upstream(self) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {name: self.request.headers[name] for name in _PASSED_ON if name in self.request.headers}
        url = URL(self.proxy.target + self.request.raw_path, encoded=True)
        session = self.proxy.session(anonymous="Authorization" in headers)
        async with session.request(self.seen.method, url, headers=headers, data=self.body) as answer:
            try:
                yield answer
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    # A watch that is left: its orderly TLS shutdown would outlast the test's event loop.
                    answer.connection.transport.abort()

    async def begin(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await self.proxy.passing()
        await response.prepare(self.request)
        self.seen.status = answer.status
        return response

    async def write(self, response: web.StreamResponse, data: bytes) -> None:
        await self.proxy.passing()
        await response.write(data)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        transport = self.request.transport
        assert transport is not None
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


@dataclass(frozen=True)
class Answer:
    """Answers with a Status object in place of the API server, which never sees the request."""

    status: int
    reason: str = ""
    message: str = "injected"
    retry_after: int | None = None

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        exchange.seen.status = self.status
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.json_response(
            status_object(self.status, self.reason, self.message), status=self.status, headers=headers
        )


@dataclass(frozen=True)
class Reset:
    """Breaks the connection; with `applied`, after the API server has done what was asked."""

    applied: bool = False

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if self.applied:
            async with exchange.upstream() as answer:
                await answer.read()
        exchange.reset()
        return web.Response()


@dataclass(frozen=True)
class Strike:
    """Does something to the sender in place of an answer; with `applied`, after the API server has done what was asked."""

    blow: Callable[[], object]
    applied: bool = False

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if self.applied:
            async with exchange.upstream() as answer:
                await answer.read()
        self.blow()
        exchange.reset()
        return web.Response()


@dataclass(frozen=True)
class Stall:
    """Goes silent for ever, as a half-open connection does; a watch after `events` lines."""

    events: int | None = None

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if self.events is None:
            await asyncio.Event().wait()
        async with exchange.upstream() as answer:
            response = await exchange.begin(answer)
            for _ in range(self.events or 0):
                await exchange.write(response, await answer.content.readline())
            await asyncio.Event().wait()
            return response


@dataclass(frozen=True)
class Cut:
    """Ends a watch in the middle of a line, after `events` whole ones; the HTTP body looks complete."""

    events: int = 0

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        async with exchange.upstream() as answer:
            response = await exchange.begin(answer)
            for _ in range(self.events):
                await exchange.write(response, await answer.content.readline())
            line = await answer.content.readline()
            await exchange.write(response, line[: len(line) // 2])
            await response.write_eof()
            return response


@dataclass(frozen=True)
class Meanwhile:
    """Lets somebody act while the request is on its way, before the API server gets it or after it has done it."""

    act: Callable[[], Awaitable[None]]
    after: bool

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if not self.after:
            await self.act()
            return await exchange.forward()
        async with exchange.upstream() as answer:
            body = await answer.read()
            await self.act()
            response = await exchange.begin(answer)
            await exchange.write(response, body)
            await response.write_eof()
            return response


@dataclass(frozen=True)
class Delay:
    """Passes the request on after some seconds."""

    seconds: float

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await exchange.forward()


@dataclass(frozen=True)
class Duplicate:
    """Sends each event of a watch twice."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward(event_copies=2)


@dataclass(frozen=True)
class Slow:
    """Passes the events of a watch on one after the other, each only after some seconds."""

    seconds: float

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        async with exchange.upstream() as answer:
            response = await exchange.begin(answer)
            async for line in answer.content:
                await asyncio.sleep(self.seconds)
                await exchange.write(response, line)
            await response.write_eof()
            return response


@dataclass(frozen=True)
class ErrorEvent:
    """Answers a watch with 200 and an ERROR event, then ends it."""

    code: int
    reason: str = ""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        exchange.seen.status = 200
        event = {"type": "ERROR", "object": status_object(self.code, self.reason, "injected")}
        return web.json_response(text=json.dumps(event) + "\n")


@dataclass
class FaultProxy:
    """Use it as an async context manager."""

    api: ApiServer
    requests: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.target = self.api.url
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        contexts = self.api.client_context(), ssl.create_default_context(cafile=str(self.api.ca_file))
        self._sessions = [await self._stack.enter_async_context(_session(context)) for context in contexts]
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def inject(self, fault: Fault) -> Fault:
        """Add a fault; `fault.used` tells how often it has struck."""
        self.faults.append(fault)
        return fault

    def freeze(self) -> None:
        """Let nothing pass any more, on open connections too, without closing any."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def passing(self) -> None:
        await self._flowing.wait()

    def session(self, *, anonymous: bool) -> aiohttp.ClientSession:
        return self._sessions[1 if anonymous else 0]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        url = request.rel_url
        seen = Seen(request.method, url.path, dict(url.query))
        self.requests.append(seen)
        body = await request.read()
        await self.passing()
        exchange = Exchange(self, request, seen, body)
        fault = next((fault for fault in self.faults if fault.takes(seen)), None)
        try:
            return await (fault.action.apply(exchange) if fault else exchange.forward())
        except (aiohttp.ClientError, OSError):
            exchange.reset()  # the API server is down, or the sender has gone
            return web.Response()


def status_object(code: int, reason: str, message: str) -> dict[str, object]:
    kind = {"apiVersion": "v1", "kind": "Status", "status": "Failure"}
    return {**kind, "code": code, "reason": reason, "message": message}


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=2**22,
    )
