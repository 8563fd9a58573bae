"""What MySQL and MariaDB do to a table while others wait. What InnoDB does INSTANT, or INPLACE beside writers, is no matter."""

from dbupgrade.toolkit.lint.rule import Level, LintRule

COPIES = LintRule(
    "mysql-table-copy",
    "incompatible",
    Level.ERROR,
    "makes MySQL or MariaDB copy a table",
    "writes to {table} wait while all rows are copied",
    "a new column or table, filled in batches, that the application changes over to; or a tool that copies beside the "
    "application (gh-ost, pt-online-schema-change)",
    "a shared lock, while all rows are copied (ALGORITHM=COPY)",
    ("MY101",),
)
BLOCKS_WRITES = LintRule(
    "mysql-blocks-writes",
    "incompatible",
    Level.ERROR,
    "builds an index of MySQL or MariaDB beside which nobody can write",
    "writes to {table} wait while it is built",
    "at a time when few write, or on a table that is filled beside the application",
    "a shared lock, while an index is built (LOCK=SHARED)",
)
