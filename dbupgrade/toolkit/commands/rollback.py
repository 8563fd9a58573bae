"""`rollback`: there is none; explains how to write a reverse migration."""

import sys

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit.call import Call

ROLLBACK = """\
There is no rollback: a migration that was applied has changed data, and no tool can restore it automatically.

Write a new migration that reverts the change, and apply it like any other:
  1. create a file with a higher version than all others, for example VERSION_revert_NAME.sql, with the reverse statements
     (CREATE INDEX: DROP INDEX CONCURRENTLY; ADD COLUMN: DROP COLUMN, once no running version uses it);
  2. run dbupgrade migrate hash, lint and validate, and commit the file and atlas.sum;
  3. run dbupgrade migrate apply.
Deleted data can only be restored from a backup. If each migration is compatible with the previous version of your
application (docs/migrations.md), `helm rollback` needs no change of the database.
"""


def run(_: Call) -> int:
    """Print the explanation."""
    print(ROLLBACK, file=sys.stderr, end="")  # noqa: T201 - the whole answer is for people
    return ExitCode.USAGE
