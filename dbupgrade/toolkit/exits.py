"""How a command ends: the exit code of a failure, and the advice that goes with it."""

import re

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.pod.report import Report


class RefusedError(Exception):
    """A migration that is rejected as it is; the message says where, why, and what to write instead."""


_LOCK_ENDED = frozenset({"55P03", "40P01", "40001"})
"""SQLSTATEs of a statement that waited for a lock: a lock_timeout, a deadlock, and what MySQL says of one."""
_MYSQL_LOCK_ENDED = re.compile(r"Error 1205 \(HY000\): ")  # the state says nothing


def exit_code(failure: Failure, report: Report | None = None) -> ExitCode:
    """The code of a failed run. A statement counts as ended by a lock only by its SQLSTATE: any SQL can say such words."""
    return ExitCode.LOCK if report and _lock_ended(report) else KINDS[failure].exit_code


def _lock_ended(report: Report) -> bool:
    known = report.sqlstate in _LOCK_ENDED or _MYSQL_LOCK_ENDED.match(report.error or "")
    return report.failure is Failure.SQL and bool(known)


ADVICE = {
    ExitCode.CHECKSUM: "run `dbupgrade migrate hash` on the folder, review the change to atlas.sum and commit it",
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
