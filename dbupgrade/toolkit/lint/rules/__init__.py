"""The rules: each module has the rows of the table and the checks that find them."""

from dbupgrade.toolkit.lint.rule import LintRule
from dbupgrade.toolkit.lint.rules import (
    columns,
    constraints,
    destructive,
    files,
    indexes,
    mysql,
    partitions,
    renames,
    session,
    tables,
)

_MODULES = (destructive, columns, constraints, indexes, partitions, renames, tables, session, files, mysql)

RULES: dict[str, LintRule] = {
    value.name: value for module in _MODULES for value in vars(module).values() if isinstance(value, LintRule)
}
"""The one table: docs, `--rules` and the names in suppressions come from it."""
