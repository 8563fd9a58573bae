"""The exit codes: scripts and charts tell failures apart by them, so a number keeps its meaning for ever."""

import re
from enum import IntEnum

from dbupgrade.api.status import Failure


class ExitCode(IntEnum):
    """What the end of the program says; the table in docs/toolkit.md has the same rows."""

    OK = 0
    OTHER = 1
    USAGE = 2
    CHECKSUM = 3
    UNREACHABLE = 4
    AUTHENTICATION = 5
    NOT_CLEAN = 6
    SQL = 7
    LOCK = 8
    PENDING = 9
    LINT = 10
    FOLDER = 11


class RefusedError(Exception):
    """A migration that is not run as it is; the message says where, why, and what to write instead."""


_CODES = {
    Failure.CHECKSUM: ExitCode.CHECKSUM,
    Failure.DATABASE_UNREACHABLE: ExitCode.UNREACHABLE,
    Failure.AUTHENTICATION: ExitCode.AUTHENTICATION,
    Failure.CONNECTION_SETTINGS: ExitCode.USAGE,
    Failure.NOT_CLEAN: ExitCode.NOT_CLEAN,
    Failure.BASELINE_NOT_FOUND: ExitCode.USAGE,
    Failure.SQL: ExitCode.SQL,
    Failure.DATABASE_LOCKED: ExitCode.LOCK,
    Failure.MISSING_FOLDER: ExitCode.FOLDER,
    Failure.EMPTY_FOLDER: ExitCode.FOLDER,
}
_LOCK_ENDED = re.compile(r"due to lock timeout|Lock wait timeout|deadlock", re.IGNORECASE)


def exit_code(failure: Failure, error: str | None = None) -> ExitCode:
    """The code of a failed run; `error` is what the database said of a failed statement."""
    if failure is Failure.SQL and error and _LOCK_ENDED.search(error):
        return ExitCode.LOCK
    return _CODES.get(failure, ExitCode.OTHER)


ADVICE = {
    ExitCode.CHECKSUM: "run `dbupgrade migrate hash` on the folder, review the change of atlas.sum and commit it",
    ExitCode.UNREACHABLE: "check host, port and database name, network policies and that the server runs",
    ExitCode.AUTHENTICATION: "check user and password, and that the server lets them in (PostgreSQL: pg_hba.conf)",
    ExitCode.NOT_CLEAN: "set MIGRATE_BASELINE_VERSION, or run `dbupgrade migrate baseline VERSION`, with the version that "
    "the database is at",
    ExitCode.SQL: "correct the migration; what was applied before it stays, and the next run goes on there",
    ExitCode.LOCK: "see who holds the lock (pg_stat_activity, pg_locks), wait for it or raise MIGRATE_LOCK_TIMEOUT",
    ExitCode.PENDING: "run `dbupgrade migrate apply`",
    ExitCode.FOLDER: "check MIGRATION_DIR: the folder must hold *.sql and atlas.sum",
}
"""What to do, for the last line of the output."""
