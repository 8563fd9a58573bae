"""What a lock on a table is, and what is done while it is held."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from dbupgrade.toolkit.sql.names import Name


class LockMode(IntEnum):
    """The table-level locks of PostgreSQL, weakest first, with the numbers of its source."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        """As SQL has it."""
        return self.name.replace("_", " ")

    @property
    def blocks_reads(self) -> bool:
        """Whether a plain SELECT waits."""
        return self is LockMode.ACCESS_EXCLUSIVE

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait."""
        return self >= LockMode.SHARE


@dataclass(frozen=True)
class TableLock:
    """The strongest lock that a statement takes on a table, and the work that it does under it."""

    table: Name
    """With its schema, as far as that is known; of an index whose table is not known, the index."""
    mode: LockMode
    rewrites: bool = False
    """Whether all rows are written again, or may be."""
    scans: bool = False
    """Whether all rows are read, or may be: to check them, to build an index, or because a condition is missing."""

    def __str__(self) -> str:
        """For people."""
        done = [word for word, so in (("rewrites", self.rewrites), ("scans", self.scans)) if so]
        return f"{self.mode} on {self.table}" + (f" ({', '.join(done)})" if done else "")


def strongest(locks: Iterable[TableLock]) -> tuple[TableLock, ...]:
    """One lock for each table, in the order in which the tables are first locked."""
    found: dict[Name, TableLock] = {}
    for lock in locks:
        before = found.get(lock.table, lock)
        found[lock.table] = TableLock(
            lock.table,
            max(before.mode, lock.mode),
            before.rewrites or lock.rewrites,
            before.scans or lock.scans,
        )
    return tuple(found.values())
