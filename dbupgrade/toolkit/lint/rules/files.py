"""Files and names."""

from dbupgrade.toolkit.lint.rule import Level, LintRule

NAMING = LintRule(
    "naming",
    "naming",
    Level.WARNING,
    "has a name that the naming rule does not allow",
    "the lint settings of this repository forbid it",
    "a name that matches the rule",
    aliases=("NM101", "NM102", "NM103", "NM104", "NM105"),
)
SKIPPED = LintRule(
    "skipped-file",
    "order",
    Level.ERROR,
    "has a version below that of the database, and was never applied",
    "files are applied in the order of their versions, so apply rejects it",
    "give it a higher version",
)
SYNTAX = LintRule(
    "syntax-error",
    "syntax",
    Level.ERROR,
    "cannot be read by PostgreSQL's parser",
    "the database will reject it, and nothing in the file could be checked",
    "correct it",
)
UNREAD = LintRule(
    "unread-statement",
    "syntax",
    Level.INFO,
    "runs a statement that cannot be checked in advance",
    "its text is known only at run time, so it was not checked",
    "write the statement out; where that is not possible, check it yourself",
)
UNUSED = LintRule(
    "unused-suppression",
    "suppression",
    Level.WARNING,
    "has a comment that suppresses nothing",
    "the finding that it suppressed is gone, and it would hide the next one",
    "remove it",
)
