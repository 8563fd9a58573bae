"""One thing that was examined, what it should be and what it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Holds when what was seen equals what was wanted."""

    what: str
    wanted: object
    seen: object

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.wanted == self.seen
