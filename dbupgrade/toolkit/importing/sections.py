"""Files that hold both directions of a migration, parted by comments. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of a file, and the comment before it."""

    head: re.Match[str]
    start: int
    """Where the part begins, behind the comment."""
    end: int


def sections(text: str, pattern: re.Pattern[str]) -> Sequence[Section]:
    """The parts that begin with a line of `pattern`; what stands before the first one is no part."""
    heads = list(pattern.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [Section(head, head.end(), end) for head, end in zip(heads, ends, strict=False)]
