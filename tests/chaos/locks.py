"""Runs that wait for locks in the database: some say so in their logs, and some end without having got one."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from tests.integration.harness.faultproxy import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.harness.faultproxy import Exchange

SECONDS = 60
"""How long a container that has started is at work already, so that the operator looks at what it does."""
_BLOCKED = {
    "event": "blocked",
    "file": "1_a.sql",
    "number": 1,
    "of": 1,
    "statement": 1,
    "message": "1_a.sql (1 of 1): waiting 40 s for a lock on orders, held by pid 812",
}
_NO_LOG = Answer(404, "NotFound")


@dataclass
class Logs:
    """An action that answers a request for a log: one that waits, one that is at work, or that there is none."""

    events: Iterator[str | None] = field(
        default_factory=lambda: itertools.cycle(("blocked", "running", None))
    )

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Answer it."""
        event = next(self.events)
        if event is None:
            return await _NO_LOG.apply(exchange)
        exchange.seen.status = 200
        return web.Response(text=json.dumps({**_BLOCKED, "event": event}) + "\n")


def failed(pod: str) -> Report:
    """How the run of a pod fails: by a statement, by the lock of another run, or by one that a statement did not get."""
    failure = random.Random(pod).choice((Failure.SQL, Failure.LOCK_TIMEOUT, Failure.DATABASE_LOCKED))
    return Report(failure=failure, failed_file="1_a.sql", error="division by zero", applied=0, pending=1)


def broken(status: dict[str, Any]) -> str:
    """What a status says of a lock that cannot be; empty when it can."""
    run = status.get("run") or {}
    active = bool(run) and "finishedAt" not in run
    if "progress" in run and not active:
        return "a run that has ended has progress"
    return "waits for a lock without a run that does" if waits(status) and "progress" not in run else ""


def waits(status: dict[str, Any]) -> bool:
    """Whether the status says that a lock is waited for."""
    conditions = status.get("conditions") or ()
    return any(each["reason"] == Reason.WAITING_FOR_LOCK for each in conditions)
