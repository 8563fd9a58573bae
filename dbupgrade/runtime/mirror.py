"""A mirror brings a store to the state that a list or a watch tells of, and says what changed.

The handler is called after the store changed, with (None, new), (old, new) or (old, None). An object deleted and made
again under its name is no update: the handler gets (old, None), then (None, new). News that is none stays unsaid.
"""

from collections.abc import Callable

import structlog

from dbupgrade.objects import Key, Object, key_of, uid_of, version_of
from dbupgrade.runtime.failures import describe
from dbupgrade.runtime.store import Store

_log = structlog.get_logger()

OnChange = Callable[[Object | None, Object | None], None]


class Mirror:
    """Writes one source's objects to a store.

    It deletes only what it put: stores may be shared by sources that have no object in common.
    """

    def __init__(self, kind: str, store: Store, on_change: OnChange) -> None:
        self._kind = kind
        self._store = store
        self._on_change = on_change
        self._keys: set[Key] = set()

    def put(self, obj: Object) -> Key:
        """Take over an object, which is ours from now on, and return its key."""
        obj["metadata"].pop("managedFields", None)  # often half of an object, and nobody here reads it
        key = key_of(obj)
        old = self._store.get(key)
        if old is not None and uid_of(old) != uid_of(obj):
            self._remove(key)
            old = None
        if old is None or version_of(old) != version_of(obj):
            self._store.put(obj)
            self._keys.add(key)
            self._tell(old, obj)
        return key

    def delete(self, obj: Object) -> None:
        """Take note of a deletion; one of an earlier object of that name is old news."""
        key = key_of(obj)
        old = self._store.get(key)
        if old is not None and uid_of(old) == uid_of(obj):
            self._remove(key)

    def keep_only(self, keys: set[Key]) -> None:
        """Take note that of all objects only these exist."""
        for key in self._keys - keys:
            self._remove(key)

    def _remove(self, key: Key) -> None:
        self._keys.discard(key)
        old = self._store.remove(key)
        if old is not None:
            self._tell(old, None)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        try:
            self._on_change(old, new)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end the watch
            _log.error("change_handler_failed", kind=self._kind, **describe(error))
