"""The lock of a run: an advisory lock in the database, held by a connection that does little else.

Every engine holds it from before it reads the history until the end of the run, in addition to the engine's own lock.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.pod.connection.limits import STATEMENT_ON_MYSQL
from dbupgrade.toolkit import address, bounds, child, trouble
from dbupgrade.toolkit.bounds import Given
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.history.atlas import AtlasError

if TYPE_CHECKING:
    from subprocess import Popen

T = TypeVar("T")
KEY = 7233473077142774116
"""Of the lock; PostgreSQL keeps those of each database apart."""
_PAUSE_SECONDS = 0.25
_BEAT_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
_CLOSE_SECONDS = 2.0
_OF_ANOTHER_SESSION = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What is raised when a prepared statement is in another session than the one that has prepared it."""
_NO_TRANSACTIONS = "statement pooling mode"
BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)
"""What is raised on a connection that is gone."""
_PATIENT = """
SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
WHERE name IN ('idle_session_timeout', 'statement_timeout')
"""
SHARED = (
    "DATABASE_URL is that of a connection pooler that does not keep one server connection for each client (transaction or "
    "statement mode), so locks and settings of a session would be lost: use the address of the server itself, or a pool "
    "in session mode"
)


_GIVEN = "SELECT setting::int, source FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'"


class Held:
    """The lock, and the connection that holds it."""

    def __init__(self, connection: asyncpg.Connection, holder: int, given: Given) -> None:
        self._connection = connection
        self.holder = holder
        """The process that holds the lock in the server."""
        self.is_pooled = holder != connection.get_server_pid()
        """Whether a pooler is in between: it gives each client a number of its own for that process."""
        self.given = given
        self._one_at_a_time = asyncio.Lock()
        self.lost = asyncio.Event()
        """Set when the connection is gone, and the lock with it."""
        connection.add_termination_listener(lambda _: self.lost.set())

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
        """Query the server periodically, to notice a connection that was lost silently."""
        while not self.lost.is_set():
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                await self.fetch("SELECT 1")
            except (*BROKEN, asyncpg.PostgresError):
                self.lost.set()


@contextlib.asynccontextmanager
async def held(url: str, seconds: float, waiting: Callable[[], None]) -> AsyncIterator[Held]:
    """Hold the lock; `waiting` is called if another session holds it. Raises AtlasError, also after `seconds`.

    The lock is polled: a session that waits for it in the server would delay every build with CONCURRENTLY.
    """
    connection = await _connect(url)
    try:
        holder = await _holder(url, connection)
        deadline, asked = time.monotonic() + seconds, False
        while not await _take(connection):
            if not asked:
                waiting()
            asked = True
            if time.monotonic() + _PAUSE_SECONDS > deadline:
                raise AtlasError(Failure.DATABASE_LOCKED)
            await asyncio.sleep(_PAUSE_SECONDS)
        lock = Held(connection, holder, Given(*(await connection.fetchrow(_GIVEN))))
        watching = asyncio.create_task(lock.watch())
        try:
            yield lock
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    finally:
        await _close(connection)


def tell(call: Call) -> None:
    """Say that the lock is waited for."""
    call.output.event(
        "waiting_for_lock", "another migration holds the lock on the database; waiting for it to finish"
    )


Fetch = Callable[..., Coroutine[Any, Any, list[asyncpg.Record]]]
"""Queries the server, as Held.fetch does."""


class Keeper:
    """Holds the lock for code that is not asynchronous: the connection lives in a thread of its own."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lock", daemon=True)
        self._holding: contextlib.AsyncExitStack = contextlib.AsyncExitStack()
        self._held: Held | None = None
        self._end_beside: Callable[[], object] = lambda: None

    def ensure(self) -> None:
        """Acquire the lock again if its connection was lost. Raises AtlasError, for example if another session holds it by now."""
        if self._held is None or self._held.lost.is_set():
            self._do(self._take())

    async def _take(self) -> None:
        await self._holding.aclose()
        call = self._call
        opening = held(call.settings.database, patience(call), lambda: tell(call))
        self._held = await self._holding.enter_async_context(opening)
        limit(call, self._held)

    def wait_until_lost(self) -> None:
        """Return when the connection that holds the lock is gone."""
        if self._held is None:
            return
        waiting = asyncio.run_coroutine_threadsafe(self._held.lost.wait(), self._loop)
        try:
            waiting.result()
        finally:
            waiting.cancel()

    def run_beside(self, work: Callable[[Fetch], Coroutine[Any, Any, None]]) -> None:
        """Run `work`, which may query the server, until the lock is released."""
        self._end_beside = asyncio.run_coroutine_threadsafe(work(self._fetch), self._loop).cancel

    def ask(self, work: Callable[[Fetch], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, which queries the server. Raises what `work` raises."""
        return self._do(work(self._fetch))

    async def _fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        return await self._held.fetch(sql, *values) if self._held else []

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.ensure()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_beside()
            self._do(self._holding.aclose())
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class EngineKeeper:
    """Holds the lock in MySQL, for which we have no driver: a second process of our engine does."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._holder: Popen[str] | None = None
        self._end_beside: Callable[[], object] = lambda: None

    def ensure(self) -> None:
        """Take the lock again if it was lost. Raises AtlasError. Other engines than ours hold theirs alone."""
        if self._call.atlas.is_ours() and (self._holder is None or self._holder.poll() is not None):
            self._end_holder()
            self._holder = self._call.atlas.hold(patience(self._call), lambda: tell(self._call))

    def wait_until_lost(self) -> None:
        """Return when the process that holds the lock has ended. Raises AtlasError when an engine has none."""
        if self._holder is None:
            raise AtlasError(Failure.ATLAS_UNUSABLE, "only the built-in engine can hold the lock on MySQL")
        self._holder.wait()

    def ask(self, question: str) -> str:
        """The line with which the process answers; empty when it does not. For one thread."""
        holder = self._holder
        if holder is None or holder.stdin is None or holder.stdout is None:
            return ""
        try:
            holder.stdin.write(f"{question}\n")
            holder.stdin.flush()
            return holder.stdout.readline()
        except (OSError, ValueError):  # it has just ended
            return ""

    def run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which may ask, in a thread of its own until the lock is released."""
        loop = asyncio.new_event_loop()
        task = loop.create_task(work)
        thread = threading.Thread(target=_run_until_cancelled, args=(loop, task), name="watch", daemon=True)
        thread.start()

        def end() -> None:
            loop.call_soon_threadsafe(task.cancel)
            thread.join(_ANSWER_SECONDS)
            if thread.is_alive() and self._holder:  # it does not answer
                self._holder.kill()
            thread.join()
            loop.close()

        self._end_beside = end

    def release(self) -> None:
        """Give the lock back."""
        self._end_beside()
        self._end_holder()

    def _end_holder(self) -> None:
        if self._holder:
            child.end(self._holder)


def _run_until_cancelled(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


@contextlib.contextmanager
def of_run(call: Call) -> Iterator[Keeper | EngineKeeper]:
    """Hold the lock of a run. Raises AtlasError, and BadEnvironmentError for a limit that the database does not have.

    From then on, the limits of the statements of files are known.
    """
    settings = call.settings
    if address.is_postgresql(settings.database):
        with Keeper(call) as keeper:
            yield keeper
        return
    if settings.statement_seconds:
        raise BadEnvironmentError(f"{STATEMENT_ON_MYSQL}: remove MIGRATE_STATEMENT_TIMEOUT")
    call.bounds = bounds.of_mysql(settings.lock_seconds, settings.database)
    by_engine = EngineKeeper(call)
    try:
        by_engine.ensure()
        yield by_engine
    finally:
        by_engine.release()


def limit(call: Call, held: Held) -> None:
    """Find out the limits of the statements of files."""
    call.bounds = bounds.of_postgresql(
        call.settings.lock_seconds, call.settings.statement_seconds, held.given
    )
    call.is_pooled = held.is_pooled


def patience(call: Call) -> float:
    """How long to wait for the lock."""
    return bounds.patience(call.settings.run_lock_seconds, call.deadline - time.monotonic())


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await database.connect(url)
    except database.NOT_YET as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None


async def _holder(url: str, connection: asyncpg.Connection) -> int:
    """The connection's process in the server. Raises AtlasError for a pooler that gives it to others as well.

    A pooler gives each client a number of its own instead of the process's.
    """
    try:
        process = await _process(connection)
        if process == connection.get_server_pid():
            return process
        other = await _connect(url)
        try:
            async with other.transaction():
                shared = await _process(other) == process or await _process(connection) != process
        finally:
            await _close(other)
    except _OF_ANOTHER_SESSION:
        shared = True
    except (*BROKEN, asyncpg.PostgresError) as error:
        shared = _NO_TRANSACTIONS in str(error)
        if not shared:
            raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None
    if shared:
        raise AtlasError(Failure.CONNECTION_SETTINGS, SHARED)
    return process


async def _process(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        query = connection.fetchval("SELECT pg_catalog.pg_backend_pid()", timeout=_ANSWER_SECONDS)
        return int(await query)


async def _take(connection: asyncpg.Connection) -> bool:
    """Whether the lock is ours now. Raises AtlasError."""
    try:
        await connection.execute(_PATIENT)
        return bool(await connection.fetchval("SELECT pg_catalog.pg_try_advisory_lock($1)", KEY))
    except asyncpg.QueryCanceledError:  # a statement_timeout that is shorter than anything can be
        return False
    except BROKEN as error:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, trouble.words(error)) from None


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except BROKEN:
        connection.terminate()
