"""A reflector keeps a store in step with the API server: it lists once, then watches from there, for ever.

A watch that breaks goes on where it was. Only when that cannot be (the server forgot the version, an ERROR event, or the
watch fails again and again) everything is listed again. After any failure it waits, longer each time.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dbupgrade.clock import Clock, SystemClock
from dbupgrade.objects import Key, Object, version_of
from dbupgrade.runtime import lag
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.failures import describe
from dbupgrade.runtime.mirror import Mirror, OnChange
from dbupgrade.runtime.store import Store
from dbupgrade.telemetry.metrics import INFORMER_RELISTS

_log = structlog.get_logger()

_PAGE_LIMIT = 100  # the parsed objects of a whole page are in memory at once, and that memory stays taken
_WATCH_SECONDS = (300, 600)  # random, so that watches do not all end together
_SHORT_WATCH_SECONDS = 5.0  # a watch that ends sooner is a failure, or a server that closes would be flooded
_QUIET_SECONDS = 120.0  # without a failure for so long, the next one is the first
_FAILURES_BEFORE_LIST = 5  # a list is the cure for an event that the watch never gets past


class Page(Protocol):
    """One page of a list."""

    @property
    def items(self) -> list[Object]:
        """Objects, which are the reflector's from now on."""

    @property
    def resource_version(self) -> str:
        """Version of the whole list, where a watch goes on."""

    @property
    def continue_token(self) -> str:
        """What to ask the next page with; empty on the last."""


class ListWatch(Protocol):
    """Where the objects of a kind come from. Both raise when the server does not answer with success."""

    async def list_page(self, limit: int, continue_token: str) -> Page:
        """Return the next page of at most `limit` objects; the first for an empty token."""

    def watch(self, resource_version: str, timeout_seconds: int) -> AsyncGenerator[tuple[str, Object], None]:
        """Yield (type, object): ADDED, MODIFIED, DELETED, BOOKMARK or ERROR (a Status) after that version.

        Ends when the server closes, which it is asked to do after `timeout_seconds`.
        """


@dataclass(frozen=True)
class Pace:
    """Time and chance of a reflector; tests bring their own. Waits are client-go's: 0.8 s doubling to 30 s."""

    clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.Random)

    def backoff(self) -> Backoff[str]:
        """Return the waits after failures."""
        return Backoff(base=0.8, cap=30.0, jitter=0.5, rng=self.rng)


class WatchClosedEarlyError(Exception):
    """The server closed a watch that had hardly begun."""


class WatchErrorEventError(Exception):
    """The watch brought an ERROR event, with this HTTP status: it cannot go on from its version."""

    def __init__(self, code: object) -> None:
        super().__init__()
        self.safe_message = f"code {code}"


class Reflector:
    """Mirrors `source` to `store`; `kind` names it in logs and metrics.

    `on_change` gets (old, new) of each change, see `mirror`. `is_expired` says whether an exception of the source
    means that the version or the continue token is too old (HTTP 410).
    """

    def __init__(
        self,
        kind: str,
        source: ListWatch,
        store: Store,
        on_change: OnChange,
        is_expired: Callable[[Exception], bool],
        pace: Pace | None = None,
    ) -> None:
        pace = pace or Pace()
        self.synced = asyncio.Event()
        """Set when the store holds everything, and from then on."""
        self._kind = kind
        self._source = source
        self._mirror = Mirror(kind, store, on_change)
        self._is_expired = is_expired
        self._clock = pace.clock
        self._rng = pace.rng
        self._backoff = pace.backoff()
        self._version: str | None = None  # where the watch goes on; None: list first
        self._failures = 0  # since the last event
        self._last_recovery = self._last_heard = self._clock.monotonic()

    @property
    def last_heard(self) -> float:
        """When the server was last heard of, in the clock's (monotonic) seconds."""
        return self._last_heard

    async def run(self) -> None:
        """List and watch until cancelled; no failure of the source or of `on_change` ends it."""
        with lag.reported(self._kind, self._age):
            while True:
                try:
                    await self._list_and_watch()
                except Exception as error:  # noqa: BLE001 - whatever it is, the cache must not go stale
                    await self._recover(error)

    async def _list_and_watch(self) -> None:
        if self._version is None:
            self._version = await self._list()
        started = self._clock.monotonic()
        await self._watch(self._version)
        self._heard()
        if self._clock.monotonic() - started < _SHORT_WATCH_SECONDS:
            raise WatchClosedEarlyError

    async def _list(self) -> str:
        """Bring the store in step, a page at a time, and return the list's version."""
        seen: set[Key] = set()
        page = await self._list_page(seen, "")
        while page.continue_token:
            page = await self._list_page(seen, page.continue_token)
        self._mirror.keep_only(seen)
        INFORMER_RELISTS.labels(self._kind).inc()
        _log.info("listed", kind=self._kind, objects=len(seen))
        self.synced.set()
        return page.resource_version

    async def _list_page(self, seen: set[Key], continue_token: str) -> Page:
        page = await self._source.list_page(_PAGE_LIMIT, continue_token)
        self._heard()
        seen.update(self._mirror.put(obj) for obj in page.items)
        return page

    async def _watch(self, version: str) -> None:
        async with aclosing(self._source.watch(version, self._rng.randint(*_WATCH_SECONDS))) as events:
            async for event, obj in events:
                self._heard()
                self._apply(event, obj)
                self._version = version_of(obj)
                self._failures = 0

    def _apply(self, event: str, obj: Object) -> None:
        match event:
            case "ADDED" | "MODIFIED":
                self._mirror.put(obj)
            case "DELETED":
                self._mirror.delete(obj)
            case "ERROR":
                raise WatchErrorEventError(obj.get("code"))

    async def _recover(self, error: Exception) -> None:
        """Wait, and decide whether the watch goes on or everything is listed."""
        if self._clock.monotonic() - self._last_recovery >= _QUIET_SECONDS:
            self._backoff.forget(self._kind)
            self._failures = 0
        self._failures += 1
        if self._needs_list(error):
            self._version = None
        wait = self._backoff.next(self._kind)
        _log.warning(
            "list_watch_failed",
            kind=self._kind,
            failures=self._failures,
            retry_in=round(wait, 3),
            **describe(error),
        )
        await self._clock.sleep(wait)
        self._last_recovery = self._clock.monotonic()

    def _needs_list(self, error: Exception) -> bool:
        return (
            isinstance(error, WatchErrorEventError)
            or self._is_expired(error)
            or self._failures % _FAILURES_BEFORE_LIST == 0
        )

    def _heard(self) -> None:
        self._last_heard = self._clock.monotonic()

    def _age(self) -> float:
        return self._clock.monotonic() - self._last_heard
