"""Findings for people and for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dbupgrade.api import findings
from dbupgrade.pod.redact import mask_statement
from dbupgrade.toolkit.lint.rule import Finding, Level, LintRule
from dbupgrade.toolkit.lint.rules import RULES
from dbupgrade.toolkit.output import Output

_GENERIC = "the table"


def counts(found: Sequence[Finding]) -> str:
    """How many there are of each level."""
    numbers = {level: sum(finding.level is level for finding in found) for level in Level}
    words = [
        f"{numbers[level]} {level}{'' if numbers[level] == 1 else 's'}"
        for level in (Level.ERROR, Level.WARNING)
    ]
    return ", ".join([*words, f"{numbers[Level.INFO]} to look at"] if numbers[Level.INFO] else words)


def generic(text: str) -> str:
    """A rule's words without a table."""
    return text.replace("{table}", _GENERIC)


def as_json(found: Sequence[Finding], files: Sequence[str]) -> dict[str, Any]:
    """For machines."""
    return {
        "files": list(files),
        "findings": [
            {
                "file": finding.file,
                "line": finding.line,
                "level": finding.level.value,
                "rule": finding.rule.name,
                "category": finding.rule.category,
                "what": finding.what,
                "why": finding.why,
                "safer": finding.rule.safer,
                "lock": generic(finding.rule.lock),
                "instead": finding.instead,
            }
            for finding in found
        ],
    }


def for_status(found: Sequence[Finding]) -> list[findings.Finding]:
    """Errors and warnings for the operator's status, which is short."""
    return [
        findings.Finding(
            file=finding.file,
            line=finding.line,
            level=finding.level.value,
            rule=finding.rule.name,
            what=finding.what,
            safer=finding.rule.safer,
        )
        for finding in found
        if finding.level is not Level.INFO
    ]


def tell(output: Output, finding: Finding) -> None:
    """One finding in the log of a run, which more people read than the migrations."""
    masked = replace(finding, instead=mask_statement(finding.instead))
    output.event(
        "finding",
        as_text(masked),
        level=finding.level.value,
        file=finding.file,
        line=finding.line,
        rule=finding.rule.name,
    )


def as_text(finding: Finding) -> str:
    """For people."""
    lines = [f"why: {finding.why}"]
    if finding.rule.lock:
        lines.append(f"lock: {generic(finding.rule.lock)}")
    lines.append(f"safer: {finding.rule.safer}")
    lines += [f"    {line}" for line in finding.instead.splitlines()]
    head = f"{finding.file}:{finding.line}: {finding.level}: {finding.what} [{finding.rule.name}]"
    return "\n".join([head, *(f"    {line}" for line in lines)])


def rules_as_text() -> str:
    """All rules, for people."""
    return "\n".join(
        f"{rule.name} ({rule.category}, {rule.level}): {rule.what}\n    why: {generic(rule.why)}\n"
        f"    lock: {generic(rule.lock) or 'none'}\n    safer: {rule.safer}"
        + (f"\n    also: {', '.join(rule.aliases)}" if rule.aliases else "")
        for rule in RULES.values()
    )


def rules_as_json() -> list[dict[str, Any]]:
    """All rules, for machines."""
    return [
        {
            "rule": rule.name,
            "category": rule.category,
            "level": rule.level.value,
            "what": rule.what,
            "why": generic(rule.why),
            "lock": generic(rule.lock),
            "safer": rule.safer,
            "aliases": list(rule.aliases),
        }
        for rule in RULES.values()
    ]


def rules_as_table() -> str:
    """All rules, as docs/toolkit.md has them."""
    head = "| rule | category | | what a migration does | why it hurts | lock | safer | also called |\n|---|---|---|---|---|---|---|---|\n"
    return head + "".join(_row(rule) for rule in RULES.values())


def _row(rule: LintRule) -> str:
    cells = [f"`{rule.name}`", f"`{rule.category}`", rule.level.value, rule.what, generic(rule.why)]
    cells += [generic(rule.lock), rule.safer, ", ".join(f"`{name}`" for name in rule.aliases)]
    return f"| {' | '.join(cells)} |\n"


def as_markdown(found: Sequence[Finding], files: int) -> str:
    """A summary for a pull request."""
    title = f"### Migrations: {counts(found)}\n\n" if found else "### Migrations: nothing found\n\n"
    parts = [f"{title}{files} file{'' if files == 1 else 's'} checked by `dbupgrade migrate lint`.\n"]
    if found:
        parts.append("\n| | where | what | rule |\n|---|---|---|---|\n")
    marks = {Level.ERROR: "❌", Level.WARNING: "⚠️", Level.INFO: "ℹ️"}  # noqa: RUF001
    parts += [
        f"| {marks[each.level]} | `{each.file}:{each.line}` | {_cell(each.what)} | `{each.rule.name}` |\n"
        for each in found
    ]
    parts += [_details(each) for each in found]
    return "".join(parts)


def _cell(text: str) -> str:
    """Text in a cell of a table: no name in SQL may end it, or be taken for markup."""
    return " ".join(text.translate(_MARKUP).split())


_MARKUP = {ord(character): f"&#{ord(character)};" for character in "\\`*_{}[]<>|~@#&"}


def _details(finding: Finding) -> str:
    lock = f"\nLock: {generic(finding.rule.lock)}.\n" if finding.rule.lock else ""
    fence = "```" if "```" not in finding.instead else "`````"
    instead = f"\n{fence}sql\n{finding.instead}\n{fence}\n" if finding.instead else ""
    return (
        f"\n<details><summary>{finding.file}:{finding.line} {_cell(finding.what)}</summary>\n\n"
        f"{_cell(finding.why)}.\n{lock}\nSafer: {_cell(finding.rule.safer)}.\n{instead}\n</details>\n"
    )


def as_sarif(found: Sequence[Finding], prefix: str) -> Mapping[str, Any]:
    """For code review; `prefix` is the folder as the repository knows it."""
    rules = sorted({finding.rule.name for finding in found})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "dbupgrade migrate lint",
                        "rules": [_sarif_rule(RULES[name]) for name in rules],
                    }
                },
                "results": [
                    _sarif_result(finding, rules.index(finding.rule.name), prefix) for finding in found
                ],
            }
        ],
    }


_SARIF = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}


def _sarif_rule(rule: LintRule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": f"A migration {rule.what}"},
        "fullDescription": {"text": generic(rule.why)},
        "help": {"text": f"Safer: {rule.safer}"},
        "defaultConfiguration": {"level": _SARIF[rule.level]},
    }


def _sarif_result(finding: Finding, index: int, prefix: str) -> dict[str, Any]:
    instead = f"\n\n{finding.instead}" if finding.instead else ""
    return {
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": _SARIF[finding.level],
        "message": {"text": f"{finding.message}{instead}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(f"{prefix}{finding.file}")},
                    "region": {"startLine": finding.line},
                }
            }
        ],
    }
