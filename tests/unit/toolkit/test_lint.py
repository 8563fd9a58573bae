"""What the lint finds, with PostgreSQL's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbupgrade.toolkit.lint.findings import Known, findings
from dbupgrade.toolkit.lint.formats import rules_as_table
from dbupgrade.toolkit.lint.rules import RULES
from dbupgrade.toolkit.lint.suppression import NAMES
from dbupgrade.toolkit.sql.concurrently import File
from tests.lint.examples import FOUND, NOT_FOUND, Found

NOT_OF_THE_DATABASE = {
    "naming",
    "skipped-file",
    "unused-suppression",
    "require-timeout-settings",
    "mysql-table-copy",
    "mysql-blocks-writes",
}
"""Rules that are no matter of what PostgreSQL does; they have tests of their own."""


def found(*texts: str, known: Known | None = None) -> list[str]:
    """What is found in the last of these files."""
    files = [File(f"{number}_x.sql", text) for number, text in enumerate(texts, 1)]
    return [f"{each.line} {each.rule.name}: {each.what}" for each in findings(files, {files[-1].name}, known)]


@pytest.mark.parametrize("example", FOUND, ids=lambda example: f"{example.rule}: {example.sql[:60]}")
def test_what_must_be_found(example: Found) -> None:
    files = [File("0_x.sql", example.knows), File("1_x.sql", example.sql)]
    hits = findings(files, {"1_x.sql"})
    assert [each.what for each in hits if each.rule.name == example.rule] == [example.what]
    others = {each.rule.name for each in hits if each.rule.level == "error"} - {example.rule, *example.also}
    assert others == set(), "an example of one rule breaks another rule by mistake"


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_must_not_be_found(text: str) -> None:
    assert found(text) == []


def test_every_rule_has_an_example_and_its_words() -> None:
    assert {example.rule for example in FOUND} == set(RULES) - NOT_OF_THE_DATABASE
    for rule in RULES.values():
        assert all((rule.name, rule.category, rule.what, rule.why, rule.safer))
    names = [name for rule in RULES.values() for name in (rule.name, *rule.aliases)]
    assert len(names) == len(set(names)) == len(NAMES)


@pytest.mark.parametrize("example", FOUND, ids=lambda example: f"{example.rule}: {example.sql[:60]}")
def test_where_a_statement_stands_in_the_text_changes_nothing(example: Found) -> None:
    """Each word on a line of its own, but for what may not be broken."""
    if example.rule in {"syntax-error", "transaction-left-open"}:
        spread = example.sql
    else:
        spread = "".join("\n" if each == " " else each for each in example.sql.replace("' || '", "'||'"))
    compare = [text.split(" ", 1)[1] for text in found(example.knows, spread)]
    assert compare == [text.split(" ", 1)[1] for text in found(example.knows, example.sql)]


def test_the_page_has_the_rules() -> None:
    """`dbupgrade migrate lint --rules --format markdown` prints them."""
    page = Path(__file__).parents[3].joinpath("docs/toolkit.md").read_text()
    assert rules_as_table() in page
