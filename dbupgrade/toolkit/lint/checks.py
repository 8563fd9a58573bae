"""How a check is registered, and what it receives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dbupgrade.toolkit.lint.rule import Hit
from dbupgrade.toolkit.lint.world import Table, World
from dbupgrade.toolkit.sql.names import Name


@dataclass(frozen=True)
class At:
    """Where a statement stands, and what is known there."""

    world: World
    transactional: bool = True
    """Whether its file runs in one transaction."""
    number: int = 0
    """Which statement of the file it is."""
    made: Mapping[tuple[str, Name], int] = field(default_factory=dict)
    """What the file makes, by kind and name, with the number of the last statement that does."""
    enum_values: frozenset[str] = field(default_factory=frozenset)
    """Values that the file has added to types before."""

    def is_new(self, name: Name) -> bool:
        """Whether a table or an index is new, so that no other session uses it."""
        return self.world.is_new(name)

    def is_new_column(self, table: Name, column: str) -> bool:
        """Whether a column is new, so that no other session uses it."""
        known = self.table(table).columns.get(column)
        return known is not None and self.world.is_of_now(known.made)

    def table(self, name: Name) -> Table:
        """What is known of a table."""
        return self.world.table(name)

    def is_remade(self, kind: str, name: Name) -> bool:
        """Whether the transaction creates it again: no other session sees it missing."""
        return self.transactional and self.made.get((kind, self.world.home(name)), -1) > self.number


Check = Callable[[Any, At], Iterator[Hit]]
CHECKS: dict[type, list[Check]] = {}


def on(*types: type) -> Callable[[Check], Check]:
    """Enter a check for statements of these types."""

    def enter(check: Check) -> Check:
        for each in types:
            CHECKS.setdefault(each, []).append(check)
        return check

    return enter
