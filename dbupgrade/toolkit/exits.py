"""How a command ends: the exit code of a failure, and the advice that goes with it."""

import re

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.status import Failure
from dbupgrade.decide.failures import KINDS


class RefusedError(Exception):
    """A migration that is rejected as it is; the message says where, why, and what to write instead."""


_LOCK_ENDED = re.compile(r"due to lock timeout|Lock wait timeout|deadlock", re.IGNORECASE)


def exit_code(failure: Failure, error: str | None = None) -> ExitCode:
    """The code of a failed run; `error` is what the database said of a failed statement."""
    if failure is Failure.SQL and error and _LOCK_ENDED.search(error):
        return ExitCode.LOCK
    return KINDS[failure].exit_code


ADVICE = {
    ExitCode.CHECKSUM: "run `dbupgrade migrate hash` on the folder, review the change of atlas.sum and commit it",
    ExitCode.UNREACHABLE: "check host, port and database name, the network policies, and that the server is running",
    ExitCode.AUTHENTICATION: "check the user and the password, and that the server allows this login (PostgreSQL: pg_hba.conf)",
    ExitCode.NOT_CLEAN: "set MIGRATE_BASELINE_VERSION to the version that the database is at, or run `dbupgrade migrate "
    "baseline VERSION`",
    ExitCode.SQL: "correct the migration; what was applied before it stays applied, and the next run continues there",
    ExitCode.LOCK: "find out who holds the lock (pg_stat_activity, pg_locks), then wait for it or raise MIGRATE_LOCK_TIMEOUT",
    ExitCode.PENDING: "run `dbupgrade migrate apply`",
    ExitCode.FOLDER: "check MIGRATION_DIR: the folder must contain *.sql and atlas.sum",
}
"""What to do, for the last line of the output."""
