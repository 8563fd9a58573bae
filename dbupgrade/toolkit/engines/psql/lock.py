"""The lock of a run: an advisory lock in the database, held by a connection that does little else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import asyncpg

from dbupgrade.api.status import Failure
from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.history.atlas import AtlasError

KEY = 7233473077142774116
"""Of the lock; PostgreSQL keeps those of each database apart."""
_PAUSE_SECONDS = 0.25
_BEAT_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
_CLOSE_SECONDS = 2.0
BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)
"""What is raised on a connection that is gone."""
_PATIENT = """
SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
WHERE name IN ('idle_session_timeout', 'statement_timeout')
"""


class Held:
    """The lock, and the connection that holds it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()
        self.lost = asyncio.Event()
        """Set when the connection is gone, and the lock with it."""
        connection.add_termination_listener(lambda _: self.lost.set())

    @property
    def holder(self) -> int:
        """The process that holds the lock in the server."""
        return int(self._connection.get_server_pid())

    async def fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a query. Raises one of BROKEN, or a PostgresError."""
        async with self._one_at_a_time:
            return list(await self._connection.fetch(sql, *values, timeout=_ANSWER_SECONDS))

    async def change(self, sql: str, for_each: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute `sql` once, and `for_each` with each of `rows`, in one transaction."""
        async with self._one_at_a_time, self._connection.transaction():
            await self._connection.execute(sql)
            await self._connection.executemany(for_each, rows)

    async def watch(self) -> None:
        """Ask the server now and then, so that a connection that is gone without a word is noticed."""
        while not self.lost.is_set():
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                await self.fetch("SELECT 1")
            except (*BROKEN, asyncpg.PostgresError):
                self.lost.set()


@contextlib.asynccontextmanager
async def held(url: str, seconds: float, waiting: Callable[[], None]) -> AsyncIterator[Held]:
    """Hold the lock; `waiting` is called when somebody else has it. Raises AtlasError, after `seconds` too.

    It is asked for again and again: who waits in the server keeps every build with CONCURRENTLY waiting.
    """
    connection = await _connect(url)
    try:
        deadline, asked = time.monotonic() + seconds, False
        while not await _take(connection):
            if time.monotonic() + _PAUSE_SECONDS > deadline:
                raise AtlasError(Failure.DATABASE_LOCKED)
            if not asked:
                waiting()
            asked = True
            await asyncio.sleep(_PAUSE_SECONDS)
        lock = Held(connection)
        watching = asyncio.create_task(lock.watch())
        try:
            yield lock
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    finally:
        await _close(connection)


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await database.connect(url)
    except database.NOT_YET as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, type(error).__name__) from None


async def _take(connection: asyncpg.Connection) -> bool:
    """Whether the lock is ours now. Raises AtlasError."""
    try:
        await connection.execute(_PATIENT)
        return bool(await connection.fetchval("SELECT pg_catalog.pg_try_advisory_lock($1)", KEY))
    except asyncpg.QueryCanceledError:  # a statement_timeout that is shorter than anything can be
        return False
    except BROKEN as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, type(error).__name__) from None


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except BROKEN:
        connection.terminate()
