"""`rollback`: there is none; explains how to write a reverse migration."""

import sys

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call

ROLLBACK = """\
There is no rollback: a migration that was applied has changed data, and no tool knows how to get it back.

Write a new migration that takes the change back, and apply it like any other:
  1. a file with a higher version than all others, for example VERSION_revert_NAME.sql, with the reverse statements
     (CREATE INDEX: DROP INDEX CONCURRENTLY; ADD COLUMN: DROP COLUMN, once no running version uses it);
  2. dbupgrade migrate hash, lint and validate; commit the file and atlas.sum;
  3. dbupgrade migrate apply.
What a statement has deleted comes back from a backup only. The version before of your application goes on working
when each migration suits it (docs/migrations.md): then `helm rollback` needs no change of the database.
"""


def run(_: Call) -> int:
    """Print the explanation."""
    print(ROLLBACK, file=sys.stderr, end="")  # noqa: T201 - the whole answer is for people
    return ExitCode.USAGE
