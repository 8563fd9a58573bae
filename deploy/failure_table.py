"""The table of failures in docs/status.md, made from the table that the operator itself uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dbupgrade.decide.failures import KINDS
from deploy.marked import with_part

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "status.md"
BEGIN = "<!-- failures: generated from dbupgrade/decide/failures.py by `make manifests` -->\n"
END = "<!-- end of failures -->\n"


def files() -> Iterator[tuple[Path, str]]:
    """The page with the table as it has to be."""
    yield PAGE, with_part(PAGE, BEGIN, END, table())


def table() -> str:
    """A row for each failure, in the order of the table."""
    rows = [
        f"| `{failure}` | {_cell(kind.what)} | {_cell(kind.advise())} | {kind.retry.value} |\n"
        for failure, kind in KINDS.items()
    ]
    return "".join(["| class | what happened | what to do | retried |\n", "|---|---|---|---|\n", *rows])


def _cell(text: str) -> str:
    """`text` in a cell; an asterisk would begin emphasis."""
    return text.replace("|", "\\|").replace("*", "\\*")
