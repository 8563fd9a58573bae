"""Events (core/v1) about objects, for `kubectl describe`.

`record` only notes the event; `run`, a background task, writes it. An event that is like an earlier one (same object, reason
and message) raises that one's count. Events are best effort: one that cannot be written is logged and dropped.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import structlog

from dbupgrade.clock import SystemClock
from dbupgrade.kube.errors import KubeError, NotFound
from dbupgrade.kube.resources import EVENTS, ResourceClient
from dbupgrade.kube.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dbupgrade.clock import Clock
    from dbupgrade.kube.client import Client

MAX_PENDING = 1000
MAX_REMEMBERED = 4096
MESSAGE_LIMIT = 1024
NAME_LIMIT = 253
_SUFFIX_BYTES = 8

EventType = Literal["Normal", "Warning"]

_log = structlog.get_logger(__name__)


class _Key(NamedTuple):
    """What makes two events the same."""

    uid: str
    type: EventType
    reason: str
    message: str


@dataclass
class _Pending:
    """An event that waits to be written, and how often it has happened meanwhile."""

    involved: Mapping[str, str]
    first: datetime
    last: datetime
    count: int = 1


@dataclass
class _Written:
    """An event that the API server has."""

    namespace: str
    name: str
    count: int


class EventRecorder:
    """Records events; use it from one event loop. `run` has to run for anything to be written."""

    def __init__(self, client: Client, component: str = "dbupgrade", clock: Clock | None = None) -> None:
        self._events = ResourceClient(client, EVENTS)
        self._component = component
        self._clock = clock or SystemClock()
        self._pending: OrderedDict[_Key, _Pending] = OrderedDict()
        self._written: OrderedDict[_Key, _Written] = OrderedDict()
        self._dropped = 0
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def record(self, involved: Mapping[str, str], event_type: EventType, reason: str, message: str) -> None:
        """Note an event about `involved` (apiVersion, kind, namespace, name, uid). Returns at once, never fails."""
        key = _Key(involved["uid"], event_type, reason, message[:MESSAGE_LIMIT])
        now = self._clock.now()
        if (pending := self._pending.get(key)) is not None:
            pending.count += 1
            pending.last = now
            return
        if len(self._pending) >= MAX_PENDING:
            self._pending.popitem(last=False)
            self._dropped += 1
        self._pending[key] = _Pending(dict(involved), first=now, last=now)
        self._idle.clear()
        self._work.set()

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self._work.wait()
            while self._pending:
                key, pending = self._pending.popitem(last=False)
                await self._write(key, pending)
            self._work.clear()
            self._idle.set()

    async def flush(self, seconds: float) -> None:
        """Wait until everything recorded so far has been tried, at most `seconds`; `run` has to be running."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("events_not_written", pending=len(self._pending))

    async def _write(self, key: _Key, pending: _Pending) -> None:
        self._report_dropped()
        try:
            if not await self._raise_count(key, pending):
                await self._create(key, pending)
        except Exception as error:  # noqa: BLE001 - one event that cannot be written must not end all others
            words = error.safe_message if isinstance(error, KubeError) else type(error).__name__
            _log.warning("event_dropped", reason=key.reason, name=pending.involved["name"], error=words)

    async def _raise_count(self, key: _Key, pending: _Pending) -> bool:
        """Count `pending` on the event that is already there; False if there is none (any more)."""
        written = self._written.get(key)
        if written is None:
            return False
        count = written.count + pending.count
        patch = {"count": count, "lastTimestamp": rfc3339(pending.last)}
        try:
            await self._events.patch(written.namespace, written.name, patch)
        except NotFound:  # the API server removes events after an hour
            del self._written[key]
            return False
        written.count = count
        self._written.move_to_end(key)
        return True

    async def _create(self, key: _Key, pending: _Pending) -> None:
        event = self._event(key, pending)
        metadata = event["metadata"]
        await self._events.create(metadata["namespace"], event)
        self._written[key] = _Written(metadata["namespace"], metadata["name"], pending.count)
        if len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)

    def _event(self, key: _Key, pending: _Pending) -> dict[str, Any]:
        involved = pending.involved
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": event_name(involved["name"]),
                # The event of a cluster-scoped object has to live somewhere.
                "namespace": involved.get("namespace") or "default",
            },
            "involvedObject": dict(involved),
            "type": key.type,
            "reason": key.reason,
            "message": key.message,
            "count": pending.count,
            "firstTimestamp": rfc3339(pending.first),
            "lastTimestamp": rfc3339(pending.last),
            "source": {"component": self._component},
            "reportingComponent": self._component,
        }

    def _report_dropped(self) -> None:
        if self._dropped:
            _log.warning("events_dropped", dropped=self._dropped)
            self._dropped = 0


def event_name(involved_name: str) -> str:
    """Return a new name `<name>.<hex>`, a DNS subdomain of at most 253 characters for every legal name."""
    suffix = secrets.token_hex(_SUFFIX_BYTES)
    cut = involved_name[: NAME_LIMIT - len(suffix) - 1].rstrip("-.")
    return f"{cut}.{suffix}"
