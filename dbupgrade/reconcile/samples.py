"""Queries the metrics APIs outside of the workers, so that a slow one delays nothing, and keeps the last responses."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from dbupgrade.decide.metric_values import Query, Sample
from dbupgrade.kube.errors import KubeError
from dbupgrade.objects import Key
from dbupgrade.runtime.failures import describe

_AT_ONCE = 16

Ask = Callable[[str, Query], Awaitable[tuple[tuple[str, str], ...]]]
"""Queries a metric in a namespace, and returns (series, value) of each series; raises a KubeError."""

_log = structlog.get_logger()


class Samples:
    """The last answer for each resource and definition. `wake` is called with the key when an answer has come."""

    def __init__(self, ask: Ask, wake: Callable[[Key], None], clock: Callable[[], datetime]) -> None:
        self._ask = ask
        self._wake = wake
        self._clock = clock
        self._wanted: dict[Key, dict[str, Sample | None]] = {}  # None: there is no answer yet
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}
        self._hands = asyncio.Semaphore(_AT_ONCE)

    def seen(self, key: Key) -> Mapping[str, Sample]:
        """The last answers for the resource, by definition."""
        wanted = self._wanted.get(key, {})
        return {definition: sample for definition, sample in wanted.items() if sample}

    def want(self, key: Key, metrics: Mapping[str, Query], ask: frozenset[str]) -> None:
        """Keep the answers to `metrics` (by definition) and no others; ask now for those of `ask`, once at a time."""
        known = self._wanted.pop(key, {})
        if metrics:
            self._wanted[key] = {definition: known.get(definition) for definition in metrics}
        for definition in sorted(ask):
            if (key, definition) not in self._asking:
                task = asyncio.create_task(self._sample(key, definition, metrics[definition]))
                self._asking[key, definition] = task

    async def close(self) -> None:
        """Give up all questions."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sample(self, key: Key, definition: str, query: Query) -> None:
        try:
            async with self._hands:
                sample = await self._answer(key.namespace, query)
        finally:
            del self._asking[key, definition]
        if definition in self._wanted.get(key, {}):
            self._wanted[key][definition] = sample
            self._wake(key)

    async def _answer(self, namespace: str, query: Query) -> Sample:
        try:
            values = await self._ask(namespace, query)
        except KubeError as error:
            return Sample(self._clock(), problem=error.safe_message)
        except Exception as error:  # noqa: BLE001 - whatever a metrics API answers, the check must say something
            _log.error("metric_not_read", **describe(error))
            return Sample(
                self._clock(),
                problem="the answer of the metrics API cannot be read: see the log of the operator",
            )
        return Sample(self._clock(), values)
