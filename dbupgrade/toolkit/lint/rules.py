"""The rules of `lint`: what breaks production, why, and the safer way. Pure data.

The names are those of squawk where it finds the matter, and the categories those of Atlas's `lint` settings.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How grave a finding is: only errors make the command fail."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Rule:
    """One rule."""

    name: str
    category: str
    level: Level
    what: str
    why: str
    safer: str


_NOT_VALID = "add it NOT VALID, and VALIDATE CONSTRAINT in a later file"
_TWO_STEPS = (
    "stop using it in one release, and drop it in a later one; then suppress this finding with the reason"
)

RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "ban-drop-table",
            "destructive",
            Level.ERROR,
            "drops a table",
            "its rows are gone, and versions of the application that still run use it",
            _TWO_STEPS,
        ),
        Rule(
            "ban-drop-column",
            "destructive",
            Level.ERROR,
            "drops a column",
            "its values are gone, and versions of the application that still run select it",
            _TWO_STEPS,
        ),
        Rule(
            "ban-drop-schema",
            "destructive",
            Level.ERROR,
            "drops a schema",
            "whatever is in it is gone",
            "drop what is in it, step by step, when nothing uses it any more",
        ),
        Rule(
            "ban-drop-database",
            "destructive",
            Level.ERROR,
            "drops a database",
            "everything in it is gone",
            "leave it to whoever runs the server",
        ),
        Rule(
            "truncate",
            "destructive",
            Level.ERROR,
            "empties a table",
            "all its rows are gone, and it is locked against reads",
            "delete what must go, with a WHERE, in batches",
        ),
        Rule(
            "delete-without-where",
            "destructive",
            Level.ERROR,
            "deletes all rows of a table",
            "all its rows are gone",
            "say with WHERE which rows must go",
        ),
        Rule(
            "update-without-where",
            "data_depend",
            Level.WARNING,
            "changes all rows of a table",
            "every row is locked and written anew, in one transaction",
            "in batches, with a WHERE, or by a job of the application",
        ),
        Rule(
            "changing-column-type",
            "incompatible",
            Level.ERROR,
            "changes a column's type",
            "the table is locked against reads while it is written anew, and versions that still run may not know the type",
            "a new column, filled in batches, that the application changes over to",
        ),
        Rule(
            "adding-not-nullable-field",
            "data_depend",
            Level.ERROR,
            "sets a column NOT NULL",
            "it fails when a row has no value, and the table is locked against reads while all rows are looked at",
            "CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT in a later file, then SET NOT NULL, which needs no look",
        ),
        Rule(
            "adding-required-field",
            "data_depend",
            Level.ERROR,
            "adds a NOT NULL column without a default",
            "it fails when the table has rows, and inserts of versions that still run fail",
            "with a DEFAULT; or nullable, filled in batches, then constrained",
        ),
        Rule(
            "adding-field-with-default",
            "incompatible",
            Level.WARNING,
            "adds a column with a default that must be computed for each row",
            "the table is locked against reads while it is written anew",
            "add it without, set the default after, and fill in batches",
        ),
        Rule(
            "require-concurrent-index-creation",
            "concurrent_index",
            Level.ERROR,
            "builds an index on an existing table",
            "nobody can write to the table while it is built",
            "CREATE INDEX CONCURRENTLY, which `dbupgrade migrate convert` puts into a file of its own",
        ),
        Rule(
            "require-concurrent-index-deletion",
            "concurrent_index",
            Level.WARNING,
            "drops an index",
            "the table is locked against reads until all who use it are done",
            "DROP INDEX CONCURRENTLY",
        ),
        Rule(
            "require-concurrent-reindex",
            "concurrent_index",
            Level.ERROR,
            "builds indexes anew",
            "nobody can write to the table meanwhile",
            "REINDEX … CONCURRENTLY",
        ),
        Rule(
            "renaming-table",
            "incompatible",
            Level.ERROR,
            "renames a table",
            "versions of the application that still run use the old name",
            "a view with the old name, dropped in a later release",
        ),
        Rule(
            "renaming-column",
            "incompatible",
            Level.ERROR,
            "renames a column",
            "versions of the application that still run use the old name",
            "a new column, filled and kept equal, that the application changes over to",
        ),
        Rule(
            "constraint-missing-not-valid",
            "modify_check",
            Level.WARNING,
            "adds a constraint to an existing table",
            "it fails when a row breaks it, and the table is locked while all rows are looked at",
            _NOT_VALID,
        ),
        Rule(
            "adding-foreign-key-constraint",
            "data_depend",
            Level.WARNING,
            "adds a foreign key to an existing table",
            "both tables are locked against writes while all rows are looked at",
            _NOT_VALID,
        ),
        Rule(
            "disallowed-unique-constraint",
            "data_depend",
            Level.ERROR,
            "adds a UNIQUE constraint to an existing table",
            "it fails when values repeat, and the table is locked against reads while its index is built",
            "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX",
        ),
        Rule(
            "naming",
            "naming",
            Level.WARNING,
            "has a name that the naming rule does not allow",
            "the lint settings of this repository say so",
            "a name that fits",
        ),
        Rule(
            "skipped-file",
            "order",
            Level.ERROR,
            "has a version below the one that the database is at, and was never applied",
            "Atlas passes it over for ever, and says that all is done",
            "give it a higher version",
        ),
        Rule(
            "syntax-error",
            "syntax",
            Level.ERROR,
            "cannot be read by PostgreSQL's parser",
            "the database will refuse it, and nothing in the file could be looked at",
            "correct it",
        ),
    )
}
