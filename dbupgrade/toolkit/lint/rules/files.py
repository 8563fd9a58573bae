"""Files and names."""

from dbupgrade.toolkit.lint.rule import Level, LintRule

NAMING = LintRule(
    "naming",
    "naming",
    Level.WARNING,
    "has a name that the naming rule does not allow",
    "the lint settings of this repository say so",
    "a name that fits",
    aliases=("NM101", "NM102", "NM103", "NM104", "NM105"),
)
SKIPPED = LintRule(
    "skipped-file",
    "order",
    Level.ERROR,
    "has a version below that of the database, and was never applied",
    "files are applied in the order of their versions: apply refuses to go on",
    "give it a higher version",
)
SYNTAX = LintRule(
    "syntax-error",
    "syntax",
    Level.ERROR,
    "cannot be read by PostgreSQL's parser",
    "the database will refuse it, and nothing in the file could be checked",
    "correct it",
)
UNREAD = LintRule(
    "unread-statement",
    "syntax",
    Level.INFO,
    "runs a statement that cannot be read beforehand",
    "what it does is known only when it runs: it was not checked",
    "write the statement out; where that is not possible, check it yourself",
)
UNUSED = LintRule(
    "unused-suppression",
    "suppression",
    Level.WARNING,
    "has a comment that suppresses nothing",
    "what it suppressed is gone, and it would hide the next finding",
    "take it out",
)
