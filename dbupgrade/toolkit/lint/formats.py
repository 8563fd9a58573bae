"""Findings for people and for machines."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dbupgrade.api import status
from dbupgrade.toolkit.lint.findings import Finding
from dbupgrade.toolkit.lint.rules import RULES


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
                "what": finding.rule.what,
                "detail": finding.detail,
                "why": finding.rule.why,
                "safer": finding.rule.safer,
            }
            for finding in found
        ],
    }


def as_status(finding: Finding) -> status.Finding:
    """For the operator: no names but those of file and rule, as its status is seen by many."""
    return status.Finding(
        file=finding.file,
        line=finding.line,
        level=finding.level.value,
        rule=finding.rule.name,
        what=finding.rule.what,
        safer=finding.rule.safer,
    )


def as_text(finding: Finding) -> str:
    """For people."""
    detail = f" ({finding.detail})" if finding.detail else ""
    return (
        f"{finding.file}:{finding.line}: {finding.level}: {finding.rule.what}{detail} [{finding.rule.name}]\n"
        f"    why: {finding.rule.why}\n    safer: {finding.rule.safer}"
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
                        "rules": [
                            {
                                "id": name,
                                "shortDescription": {"text": f"A migration {RULES[name].what}"},
                                "fullDescription": {"text": RULES[name].why},
                                "help": {"text": f"Safer: {RULES[name].safer}"},
                                "defaultConfiguration": {"level": RULES[name].level.value},
                            }
                            for name in rules
                        ],
                    }
                },
                "results": [
                    {
                        "ruleId": finding.rule.name,
                        "ruleIndex": rules.index(finding.rule.name),
                        "level": finding.level.value,
                        "message": {"text": finding.message},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": quote(f"{prefix}{finding.file}")},
                                    "region": {"startLine": finding.line},
                                }
                            }
                        ],
                    }
                    for finding in found
                ],
            }
        ],
    }
