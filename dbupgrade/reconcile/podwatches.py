"""Watches on the pods of applications, only while a resource waits for them: one for a namespace and selector, shared.

Of each pod, only what a check needs is kept. Waiting resources are queued when that changes, and when it becomes known.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from dbupgrade.decide.observed import PodsSeen
from dbupgrade.decide.versions import app_pod_from
from dbupgrade.kube.errors import Expired, KubeError
from dbupgrade.kube.listwatch import Page
from dbupgrade.objects import Key, Object
from dbupgrade.runtime.reflector import ListWatch, Reflector
from dbupgrade.runtime.store import Store

_KIND = "checked-pods"
_PAGE = 100  # pods are large, and a page of them is in memory at once

Source = Callable[[str, str], ListWatch]
"""Makes the list and watch of the pods of a namespace that match a selector."""


class PodWatches:
    """All watches that are open. `wake` is called with the key of each resource that waits for what changed."""

    def __init__(self, source: Source, wake: Callable[[Key], None], clock: Callable[[], datetime]) -> None:
        self._source = source
        self._wake = wake
        self._clock = clock
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def seen(self, key: Key) -> Mapping[str, PodsSeen]:
        """What is known of the pods that `key` waits for, by selector."""
        found = {
            selector: watch.seen()
            for (namespace, selector), watch in self._watches.items()
            if namespace == key.namespace and key in watch.waiters
        }
        return {selector: seen for selector, seen in found.items() if seen}

    def want(self, key: Key, selectors: frozenset[str], refresh: frozenset[str] = frozenset()) -> None:
        """Have `key` wait for the pods of these selectors and no others; those of `refresh` are listed again."""
        for (namespace, selector), watch in list(self._watches.items()):
            if namespace != key.namespace or key not in watch.waiters:
                continue
            if selector not in selectors:
                watch.waiters.discard(key)
                self._close_unless_wanted(namespace, selector)
            elif selector in refresh:
                self._open(key.namespace, selector, self._close(namespace, selector))
        for selector in selectors:
            watch = self._watches.get((key.namespace, selector)) or self._open(key.namespace, selector, set())
            watch.waiters.add(key)

    def __len__(self) -> int:
        return len(self._watches)

    async def close(self) -> None:
        """End all watches."""
        for namespace, selector in list(self._watches):
            self._close(namespace, selector)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _open(self, namespace: str, selector: str, waiters: set[Key]) -> "_Watch":
        watch = _Watch(self._source(namespace, selector), self._wake, self._clock, waiters)
        self._watches[namespace, selector] = watch
        return watch

    def _close_unless_wanted(self, namespace: str, selector: str) -> None:
        if not self._watches[namespace, selector].waiters:
            self._close(namespace, selector)

    def _close(self, namespace: str, selector: str) -> set[Key]:
        """End a watch; returns who waited for it."""
        watch = self._watches.pop((namespace, selector))
        watch.task.cancel()
        self._ending.add(watch.task)
        watch.task.add_done_callback(self._ending.discard)
        return watch.waiters


class _Watch:
    """One watch, from its making to the end of its task. It is the reflector's source too, which keeps only what counts."""

    def __init__(
        self, pods: ListWatch, wake: Callable[[Key], None], clock: Callable[[], datetime], waiters: set[Key]
    ) -> None:
        self.waiters = waiters
        self._pods = pods
        self._wake = wake
        self._clock = clock
        self._heard: datetime | None = None
        self._problem = ""
        self._watching = False
        self._store = Store()
        reflector = Reflector(
            _KIND, self, self._store, self._changed, lambda error: isinstance(error, Expired)
        )
        self.task = asyncio.create_task(reflector.run())

    def seen(self) -> PodsSeen | None:
        """What is known; None before the first list is whole or has failed."""
        if self._problem:
            return PodsSeen(self._heard or self._clock(), problem=self._problem)
        if self._heard is None:
            return None
        return PodsSeen(self._heard, tuple(obj["app"] for obj in self._store))

    async def list_page(self, limit: int, continue_token: str) -> Page:
        """Return a page of pods, cut down; remember why it could not be had."""
        self._watching = False
        try:
            page = await self._pods.list_page(min(limit, _PAGE), continue_token)
        except KubeError as error:
            self._problem = error.safe_message
            self._wake_all()
            raise
        if not page.continue_token:  # nobody looks before the reflector has stored it: no await is between
            self._heard, self._problem = self._clock(), ""
            self._wake_all()
        return Page([_slim(pod) for pod in page.items], page.resource_version, page.continue_token)

    async def watch(
        self, resource_version: str, timeout_seconds: int
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """Yield the events, their pods cut down."""
        self._watching = True
        async with aclosing(self._pods.watch(resource_version, timeout_seconds)) as events:
            async for event, obj in events:
                self._heard = self._clock()  # events come in order: what was before this one is known
                yield event, obj if event == "BOOKMARK" else _slim(obj)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """Most changes of a pod do not change its versions; those of a list are reported at its end."""
        if self._watching and not (old and new and old["app"] == new["app"]):
            self._wake_all()

    def _wake_all(self) -> None:
        for key in self.waiters:
            self._wake(key)


def _slim(pod: Object) -> Object:
    """What a store and a check need of a pod; the same text of many pods once."""
    metadata, view = pod["metadata"], app_pod_from(pod)
    kept = {name: metadata[name] for name in ("name", "uid", "resourceVersion")}
    kept["namespace"] = sys.intern(metadata["namespace"])
    images = tuple((sys.intern(container), sys.intern(image)) for container, image in view.images)
    return {"metadata": kept, "app": replace(view, images=images)}
