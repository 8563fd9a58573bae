"""A page of which one part is generated, between two comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def with_part(page: Path, begin: str, end: str, part: str) -> str:
    """The text of `page` with `part` between the lines `begin` and `end`."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{part}{end}{after}"
