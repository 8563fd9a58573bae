"""How the demo speaks: headlines, events with their time, tables, findings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from e2e.demo.findings import Finding

WIDTH = 100


def headline(text: str) -> None:
    """Begin a new part."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def text(words: str) -> None:
    """Print a paragraph."""
    print(textwrap.fill(" ".join(words.split()), WIDTH), flush=True)


def event(seconds: float, what: str) -> None:
    """Print what happened, so many seconds after the change."""
    print(f"  {seconds:6.1f} s  {what}", flush=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under titles, each column as wide as its widest cell."""
    cells = [list(titles), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def findings(found: Iterable[Finding]) -> None:
    """Print what was examined, each with its verdict; of what differs, both values."""
    for finding in found:
        print(f"  {'ok      ' if finding.holds else 'DIFFERS '}{finding.what}")
        if not finding.holds:
            print(f"            wanted {finding.wanted}\n            found  {finding.seen}")
