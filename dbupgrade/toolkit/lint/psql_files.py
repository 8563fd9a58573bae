"""The lint of files for psql: of the SQL in them. What their commands run in turn is not there, and that is said."""

from collections.abc import Sequence
from dataclasses import replace

from dbupgrade.toolkit.lint import findings as sql
from dbupgrade.toolkit.lint.rule import Finding
from dbupgrade.toolkit.lint.rules import files as of_files
from dbupgrade.toolkit.sql import directives
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.psql_text import plain


def findings(files: Sequence[File], chosen: set[str], known: sql.Known) -> list[Finding]:
    """All findings in the chosen files that are not suppressed, in their order; `files` is the whole folder."""
    read = {file.name: plain(file.text) for file in files}
    known = replace(known, has_no_transaction=directives.psql_has_no_transaction)
    found = sql.findings([replace(file, text=read[file.name].text) for file in files], chosen, known)
    rule = of_files.UNREAD
    found += [
        Finding(name, line, rule, rule.level, f"runs {command}, which cannot be checked in advance", rule.why)
        for name, each in read.items()
        if name in chosen
        for line, command in each.unread
    ]
    places = {file.name: number for number, file in enumerate(files)}
    return sorted(found, key=lambda finding: (places[finding.file], finding.line))
