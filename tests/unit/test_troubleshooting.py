"""docs/troubleshooting.md quotes messages for people who search for them: each still is what the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
MESSAGES = [
    line for block in re.findall(r"```message\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
SHORTEST = 8
"""Characters of a text that count as quoted; shorter ones would make any sentence."""
# What stands in the messages of the page for something of the reader's, what a database says, and what is too short.
EXAMPLES = re.compile(
    r"shop-database|shop-[0-9a-f]{10}(-\w{5})?|registry\.example\.com/shop:[\w.]+|\d{14}_\w+\.sql"
    r'|pq: relation "customers" does not exist|ALTER TABLE customers ADD COLUMN name text'
    r'|table "orders"|schema "?public"?|(shop|orders|psql|reporting|migrate|url|off|error)\b|42P01|ON SCHEMA|(fix|GRANT|CREATE|TO|pid|in|is|of|s|the|for|key|pod|name|user|image|public|database URL|Job|Secret|DBUpgrade)\b|[^A-Za-z]'
)


def _literals() -> list[str]:
    """The pieces of all texts in the code, between what is filled in."""
    found: set[str] = set()
    for path in (
        *ROOT.glob("dbupgrade/**/*.py"),
        *ROOT.glob("images/atlas/*.go"),
        *ROOT.glob("dbupgrade/**/*.sh"),
    ):
        source = path.read_text()
        if path.suffix == ".py":
            nodes = ast.walk(ast.parse(source))
            texts = [
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
        else:
            texts = re.findall(r'"([^"\n]*)"', source)
        for text in texts:
            found |= set(re.split(r"\{[^{}]*\}|%[a-z]|[\"']", text))
    return [piece for piece in found if len(piece) >= SHORTEST]


LITERALS = _literals()


def _unknown(message: str) -> str:
    """What follows the longest beginning of a message that texts of the code and examples make; empty if that is all of it."""
    reached = {0}
    for start in range(len(message)):
        if start in reached:
            rest = message[start:].rstrip(".")
            if len(rest) >= SHORTEST and any(piece.startswith(rest) for piece in LITERALS):
                return ""
            reached |= {start + len(piece) for piece in LITERALS if message.startswith(piece, start)}
            reached |= {found.end() for found in [EXAMPLES.match(message, start)] if found}
    return message[max(reached) :]


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_says(message: str) -> None:
    assert not _unknown(message)


def test_the_page_has_messages() -> None:
    assert len(MESSAGES) > 30
    assert _unknown("the database cannot be reached: it is away") == "it is away"
