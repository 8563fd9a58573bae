"""A TCP load balancer in front of replicas, as a Service is: new connections go to those that are in it, old ones stay."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Balancer:
    """Use it as an async context manager; `port` is where clients connect."""

    def __init__(self, *backends: int) -> None:
        self._backends = list(backends)
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def remove(self, backend: int) -> None:
        """Send no new connection to this port."""
        self._backends.remove(backend)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._turn += 1
        backend = self._backends[self._turn % len(self._backends)]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", backend)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        except OSError:
            writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
