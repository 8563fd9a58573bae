"""A controller lets workers reconcile the keys of a queue, and decides when each comes again.

A reconcile gets a key and no event: it reads the state itself. Whatever it raises, its worker goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from dbupgrade.objects import Key
from dbupgrade.runtime.failures import describe
from dbupgrade.runtime.workqueue import ShutDown, WorkQueue
from dbupgrade.telemetry import metrics

_log = structlog.get_logger()


@dataclass(frozen=True)
class Result:
    """When to reconcile the key again, apart from its changes.

    `backoff`: after the key's back-off, which then goes on growing; goes before `requeue_after`.
    `requeue_after`: in that many seconds. Neither: not before something changes.
    """

    requeue_after: float | None = None
    backoff: bool = False


class Controller:
    """Workers on one queue. `name` is the `controller` label of the metrics.

    Exceptions of the classes in `requeue_quietly` are no errors: the key comes again after its back-off.
    Any other that has `retry_after` (seconds) brings the key back after that, else after its back-off.
    """

    def __init__(
        self,
        name: str,
        queue: WorkQueue[Key],
        reconcile: Callable[[Key], Awaitable[Result]],
        workers: int,
        requeue_quietly: tuple[type[Exception], ...] = (),
    ) -> None:
        self._name = name
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._requeue_quietly = requeue_quietly
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`; a cancellation ends the workers too."""
        async with asyncio.TaskGroup() as group:
            self._tasks = [group.create_task(self._work()) for _ in range(self._workers)]

    async def stop(self, drain_seconds: float) -> None:
        """Begin no reconcile, let the running ones end, and cancel those that did not within the limit.

        Keys still queued are left: whoever leads next lists everything anyway, and should not wait for them.
        """
        self._stopping = True
        self._queue.shut_down()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=drain_seconds)
        if late:
            _log.warning("reconciles_cancelled", controller=self._name, count=len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late)

    async def _work(self) -> None:
        while not self._stopping:
            try:
                key = await self._queue.get()
            except ShutDown:
                return
            try:
                with structlog.contextvars.bound_contextvars(namespace=key.namespace, name=key.name):
                    await self._process(key)
            finally:
                self._queue.done(key)

    async def _process(self, key: Key) -> None:
        with metrics.RECONCILE_SECONDS.labels(self._name).time():
            label = await self._attempt(key)
        metrics.RECONCILE_TOTAL.labels(self._name, label).inc()

    async def _attempt(self, key: Key) -> str:
        """Reconcile once, plan the next time, and return the result's label."""
        try:
            return self._plan(key, await self._reconcile(key))
        except self._requeue_quietly:
            self._queue.add_rate_limited(key)
            return "requeue"
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            return self._fail(key, error)  # the reconcile awaited something that others cancelled
        except Exception as error:  # noqa: BLE001 - a bug in one reconcile must not end the worker
            return self._fail(key, error)

    def _plan(self, key: Key, result: Result) -> str:
        if result.backoff:
            self._queue.add_rate_limited(key)
            return "requeue"
        self._queue.forget(key)
        if result.requeue_after is None:
            return "success"
        self._queue.add_after(key, result.requeue_after)
        return "requeue_after"

    def _fail(self, key: Key, error: BaseException) -> str:
        _log.error("reconcile_failed", controller=self._name, **describe(error))
        metrics.RECONCILE_ERRORS.labels(self._name).inc()
        retry_after = getattr(error, "retry_after", None)
        if isinstance(retry_after, int | float) and retry_after > 0:  # a server's 0 would make a hot loop
            self._queue.add_after(key, retry_after)
        else:
            self._queue.add_rate_limited(key)
        return "error"


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
