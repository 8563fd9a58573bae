"""What one client may take of the webhook's memory: bodies that are being read or judged, values in a body, connections.

Any client that reaches the port may send anything. A review from the API server arrives within milliseconds and is answered at
once, so what is old and unfinished is what gives way.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

MAX_BODY_BYTES = 7 * 512 * 1024
"""A review holds an object twice, and etcd takes requests of up to 1.5 MiB."""
MAX_BODIES_BYTES = 8 * 1024 * 1024
"""Of all bodies together."""
MAX_VALUES = 120_000
"""In one body. A value of two bytes can take 230 in memory, so their number counts and not only the body's size."""
MAX_CONNECTIONS = 640
"""An API server works on at most 600 requests at once by default."""
READ_SECONDS = 10.0
"""For a handshake and for a body; the API server does not wait longer for the answer."""


class TooLargeError(Exception):
    """The body, or what is in it, is over a limit; the message is for the caller."""


class BusyError(Exception):
    """All memory for bodies is taken by reviews that are being judged."""


@dataclass(eq=False)
class Body:
    """A body that is being read until `deadline`, or judged (None)."""

    deadline: asyncio.Timeout | None = None
    size: int = 0


class Bodies:
    """The bodies in memory, oldest first."""

    def __init__(self) -> None:
        self._bodies: dict[Body, None] = {}

    @contextmanager
    def one(self) -> Iterator[Body]:
        """Room for the body of one request, for as long as it is in memory."""
        body = Body()
        self._bodies[body] = None
        try:
            yield body
        finally:
            del self._bodies[body]

    async def read(self, body: Body, request: web.Request) -> bytes:
        """Read the body. Raises TooLargeError, BusyError, or TimeoutError for one that is late or had to give way."""
        data = bytearray()
        async with asyncio.timeout(READ_SECONDS) as body.deadline:
            async for piece in request.content.iter_any():
                data += piece
                body.size = len(data)
                if body.size > MAX_BODY_BYTES:
                    raise TooLargeError(f"the body is over {MAX_BODY_BYTES} bytes")
                self._make_room(body)
        body.deadline = None
        _count_values(data)
        return bytes(data)

    def _make_room(self, body: Body) -> None:
        """Give up the bodies that have been read for longest while all together are too large. Raises BusyError."""
        excess = sum(each.size for each in self._bodies) - MAX_BODIES_BYTES
        for other in [each for each in self._bodies if each is not body and each.deadline]:
            if excess <= 0:
                return
            _give_up(other)
            excess -= other.size
            other.size = 0
        if excess > 0:
            raise BusyError


def _give_up(body: Body) -> None:
    """Let the reader of `body` time out now."""
    if body.deadline is not None and not body.deadline.expired():
        body.deadline.reschedule(asyncio.get_running_loop().time())


def _count_values(data: bytearray) -> None:
    """Raise TooLargeError for JSON with more values than a DBUpgrade can have; a bound, as texts count too."""
    if data.count(b"{") + data.count(b"[") + data.count(b",") > MAX_VALUES:
        raise TooLargeError(f"the body has more than {MAX_VALUES} values")


def make_room(connections: list[RequestHandler], answering: set[RequestHandler]) -> None:
    """Close the oldest connections on which no request is being answered, while there are too many (oldest first)."""
    is_open = [each for each in connections if each.transport and not each.transport.is_closing()]
    excess = len(is_open) - MAX_CONNECTIONS + 1
    idle = [each for each in is_open if each not in answering] if excess > 0 else []
    for each in idle[: max(excess, 0)]:
        transport = each.transport
        each.force_close()
        if isinstance(transport, asyncio.Transport):
            transport.abort()  # closing TLS in order would wait for the other side
