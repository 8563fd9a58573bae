"""What MySQL and MariaDB do to a table while others wait. What InnoDB does INSTANT, or INPLACE beside writers, is no matter."""

from dbupgrade.toolkit.lint.rule import Level, LintRule

COPIES = LintRule(
    "mysql-table-copy",
    "incompatible",
    Level.ERROR,
    "makes MySQL or MariaDB copy a table",
    "writes to {table} wait while all rows are copied",
    "a new column or table, filled in batches, that the application switches to; or a tool that copies the table while "
    "the application runs (gh-ost, pt-online-schema-change)",
    "a shared lock, while all rows are copied (ALGORITHM=COPY)",
    ("MY101",),
)
BLOCKS_WRITES = LintRule(
    "mysql-blocks-writes",
    "incompatible",
    Level.ERROR,
    "builds an index in MySQL or MariaDB in a way that blocks writes",
    "writes to {table} wait while it is built",
    "build it at a quiet time, or on a new table that is filled while the application runs",
    "a shared lock, while an index is built (LOCK=SHARED)",
)
