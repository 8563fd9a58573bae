"""Claims: which resource uses which database. Never two at once; those that wait are served by age.

Claims live in the leader's memory. `busy` and `settle` are called without an await between them, so that no other
worker can come between check and claim. After a restart, the Jobs and pods that have not ended hold their databases.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from dbupgrade.objects import Key


class Claimant(NamedTuple):
    """A resource that wants a database; sorts by age, and by uid among equals."""

    created: str
    uid: str
    key: Key


@dataclass
class _Database:
    holder: Claimant | None = None
    waiting: set[Claimant] = field(default_factory=set)


class Claims:
    """Holders and waiters of each database, which is any text: those of two namespaces are never the same."""

    def __init__(self) -> None:
        self._databases: dict[str, _Database] = defaultdict(_Database)
        self._of: dict[str, str] = {}  # uid -> the database that it holds or waits for

    def busy(self, database: str, claimant: Claimant) -> str:
        """Who comes before `claimant`, for the message; empty when the database is its to take."""
        entry = self._databases.get(database)
        if entry is None:
            return ""
        if entry.holder and entry.holder.uid != claimant.uid:
            return f"{entry.holder.key.name} is migrating it"
        first = min(entry.waiting | {claimant})
        if first.uid != claimant.uid and entry.holder is None:
            return f"{first.key.name} has waited longer"
        return ""

    def settle(self, database: str, claimant: Claimant, *, holds: bool, waits: bool) -> set[Key]:
        """Note what `claimant` now does with `database`; returns whose turn it may be now.

        A resource that claims a database which another one holds only waits for it: both were active before a restart.
        """
        woken = self._leave(claimant, unless=database if holds or waits else "")
        if not (holds or waits):
            return woken
        entry = self._databases[database]
        self._of[claimant.uid] = database
        if holds and (entry.holder is None or entry.holder.uid == claimant.uid):
            entry.holder = claimant
            entry.waiting = {waiter for waiter in entry.waiting if waiter.uid != claimant.uid}
            return woken
        if entry.holder and entry.holder.uid == claimant.uid:
            entry.holder = None
            woken |= _first(entry.waiting)
        entry.waiting.add(claimant)
        return woken

    def forget(self, claimant: Claimant) -> set[Key]:
        """The resource is gone; returns whose turn it may be now."""
        return self._leave(claimant, unless="")

    def next(self, database: str) -> set[Key]:
        """The key of the first that waits for `database`: the others would find that it has waited longer."""
        entry = self._databases.get(database)
        return _first(entry.waiting) if entry else set()

    def _leave(self, claimant: Claimant, *, unless: str) -> set[Key]:
        database = self._of.get(claimant.uid)
        if database is None or database == unless:
            return set()
        del self._of[claimant.uid]
        entry = self._databases[database]
        if entry.holder and entry.holder.uid == claimant.uid:
            entry.holder = None
        entry.waiting = {waiter for waiter in entry.waiting if waiter.uid != claimant.uid}
        if entry.holder is None and not entry.waiting:
            del self._databases[database]
        return _first(entry.waiting) if entry.holder is None else set()


def _first(waiting: set[Claimant]) -> set[Key]:
    return {min(waiting).key} if waiting else set()
