"""A store holds the last known state of the objects of one kind, and finds them by key or by index.

It belongs to the event loop's thread. What it returns is shared: nobody changes an object that is in it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

import orjson

from dbupgrade.objects import Key, Object, key_of

Indexer = Callable[[Object], Iterable[str]]
"""Says under which values an object is found; asked again when the object leaves, so it must be pure."""


class Packed(MutableMapping[Key, Object]):
    """Objects as JSON, a quarter of their size as dicts: for many of which few are looked at. Each look makes a new one."""

    def __init__(self) -> None:
        self._json: dict[Key, str] = {}

    def __getitem__(self, key: Key) -> Object:
        obj: Object = orjson.loads(self._json[key])
        return obj

    def __setitem__(self, key: Key, obj: Object) -> None:
        self._json[key] = orjson.dumps(obj).decode()  # bytes of orjson keep the room that they grew into

    def __delitem__(self, key: Key) -> None:
        del self._json[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)


class Store:
    """Objects by key, and by the value of each named indexer.

    `objects` is where they are kept, and `keep` says what of each: a pure function to an object with the same key.
    """

    def __init__(
        self,
        indexers: Mapping[str, Indexer] = {},
        objects: MutableMapping[Key, Object] | None = None,
        keep: Callable[[Object], Object] = lambda obj: obj,
    ) -> None:
        self._keep = keep
        self._indexers = dict(indexers)
        self._objects = {} if objects is None else objects
        self._indices: dict[str, dict[str, dict[Key, Object]]] = {name: {} for name in self._indexers}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        """Go through the objects, one at a time; the store may change meanwhile."""
        for key in tuple(self._objects):
            obj = self._objects.get(key)
            if obj is not None:
                yield obj

    def get(self, key: Key) -> Object | None:
        """Return the object of that key."""
        return self._objects.get(key)

    def values(self) -> list[Object]:
        """Return all objects; the list is the caller's, the objects are not."""
        return list(self._objects.values())

    def by_index(self, index: str, value: str) -> list[Object]:
        """Return the objects that have this value in that index; KeyError when there is no such index."""
        return list(self._indices[index].get(value, {}).values())

    def put(self, obj: Object) -> Object | None:
        """Take in an object and return the one that it replaces.

        When an indexer raises, that error passes and the store is as it was.
        """
        obj = self._keep(obj)
        key = key_of(obj)
        places = self._places(obj)
        previous = self.remove(key)
        self._objects[key] = obj
        for index, value in places:
            self._indices[index].setdefault(value, {})[key] = obj
        return previous

    def remove(self, key: Key) -> Object | None:
        """Forget an object and return it; None when it was not there."""
        previous = self._objects.pop(key, None)
        if previous is not None:
            for index, value in self._places(previous):
                self._unindex(index, value, key)
        return previous

    def _places(self, obj: Object) -> set[tuple[str, str]]:
        return {(index, value) for index, indexer in self._indexers.items() for value in indexer(obj)}

    def _unindex(self, index: str, value: str, key: Key) -> None:
        keys = self._indices[index][value]
        del keys[key]
        if not keys:  # values come and go with the objects; empty ones would pile up
            del self._indices[index][value]
