"""What happened to the objects of a namespace: every version of each of them, in the order of the changes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from e2e.scenarios.support.api import Api, Json, Stream, path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KINDS = ("dbupgrades", "jobs", "pods", "events")
T = TypeVar("T")


class Record:
    """Watches a namespace from its beginning, one thread a kind; `close` ends them."""

    def __init__(self, api: Api, namespace: str, kinds: Sequence[str] = KINDS) -> None:
        self._api = api
        self._namespace = namespace
        self._news = threading.Condition()
        self._latest: dict[str, dict[str, Json]] = defaultdict(dict)
        self._changes: dict[str, list[tuple[str, Json]]] = defaultdict(list)
        self._streams: dict[str, Stream] = {}
        self._closed = False
        for kind in kinds:
            version = api.request("GET", path(kind, namespace))["metadata"]["resourceVersion"]
            self._streams[kind] = api.watch(kind, namespace, version)
        self._threads = [threading.Thread(target=self._follow, args=(kind,), daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closed = True
        for stream in self._streams.values():
            stream.interrupt()
        for thread in self._threads:
            thread.join()

    def latest(self, kind: str) -> dict[str, Json]:
        """The objects that exist, by name."""
        with self._news:
            return dict(self._latest[kind])

    def changes(self, kind: str) -> list[tuple[str, Json]]:
        """ADDED, MODIFIED or DELETED, with the object, oldest first."""
        with self._news:
            return list(self._changes[kind])

    def wait(self, look: Callable[[], T | None], what: str, seconds: float) -> T:
        """Call `look` after each change until it finds something. Raises an AssertionError when it does not in time."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                if (found := look()) is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what}: not within {seconds:.0f} s")
                self._news.wait(left)

    def _follow(self, kind: str) -> None:
        stream = self._streams[kind]
        for event in stream:
            self._note(kind, event["type"], event["object"])
        stream.close()
        with self._news:
            if not self._closed:
                self._changes[kind].append(("BROKEN", {}))

    def _note(self, kind: str, change: str, obj: Json) -> None:
        with self._news:
            self._changes[kind].append((change, obj))
            name = obj.get("metadata", {}).get("name", "")
            if change == "DELETED":
                self._latest[kind].pop(name, None)
            else:
                self._latest[kind][name] = obj
            self._news.notify_all()
