"""From where to where a plan goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dbupgrade.toolkit.history.atlas import State


@dataclass(frozen=True)
class Span:
    """The versions of a plan, as the history of the engine has them."""

    current: str | None
    """That of the database; None without a history."""
    last: str | None
    """That of the last file that would be applied; None where there is none."""
    applied: Sequence[str]

    @classmethod
    def of_atlas(cls, state: State) -> Self:
        """As Atlas's history has them."""
        last = max((file.version for file in state.pending), default=None)
        return cls(state.current or None, last, [revision.version for revision in state.applied])
