"""What is known of a run's end, and the classes of what servers and engines say in words."""

import re
from dataclasses import dataclass

from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Lint, PreflightFinding
from dbupgrade.api.plan import PlanNote

MARK = "dbupgrade-report:"
"""How the line begins that an engine leaves as its report in the log."""


@dataclass(frozen=True)
class Report:
    """What is known of a run's end, free of credentials. Without `failure` it succeeded.

    `line`, from 1, and `sqlstate`, five characters, are those of the failed statement.
    """

    failure: Failure | None = None
    from_version: str | None = None
    to_version: str | None = None
    applied: int | None = None
    pending: int | None = None
    failed_file: str | None = None
    failed_statement: str | None = None
    error: str | None = None
    line: int | None = None
    sqlstate: str | None = None
    lint: Lint | None = None
    plan: PlanNote | None = None
    """The plan that was made, where the run needs one that is approved."""
    preflight: tuple[PreflightFinding, ...] = ()
    """What was found before anything was applied, as much of it as a report has room for, errors first."""
    raised: bool | None = None
    """Whether SQL raised the error itself, in words of its own, where that is known."""
    said: str | None = None
    """The last words of a program that knows no reports."""


_NEEDS_NO_TRANSACTION = "cannot run inside a transaction block"


def with_hint(error: str, header: str) -> str:
    """`error`, and how a file opts out of its transaction if that is what the statement wants."""
    return f"{error} (let the file begin with {header})" if _NEEDS_NO_TRANSACTION in error else error


_CLASSES: tuple[tuple[Failure, str], ...] = (
    (Failure.PARTLY_APPLIED, r"unknown whether statement \d+ of \d+ took effect"),
    (Failure.UNUSABLE_FILE, r"sql/migrate: .* line \d+, cannot be applied: "),
    (Failure.INTERRUPTED, r"(?m:^)(Error: )?interrupted: "),
    (Failure.CHECKSUM, r"checksum (mismatch|file not found|file format invalid)"),
    (Failure.NOT_CLEAN, r"is not clean"),
    # Atlas 0.13 asks PostgreSQL for settings that version 16 removed.
    (Failure.ATLAS_UNUSABLE, r"postgres: unexpected number of rows"),
    (Failure.BASELINE_NOT_FOUND, r"baseline version .* not found"),
    (Failure.MISSING_FOLDER, r"sql/migrate: stat .*no such file or directory|sql/migrate: .*not a dir"),
    (
        Failure.DATABASE_LOCKED,
        r"acquiring (database )?lock|lock is already held|timeout.*\block\b|\block\b.*timeout",
    ),
    (
        Failure.CONNECTION_SETTINGS,
        r"parse open url|unknown driver|no opener was register|SSL is not enabled|does not support TLS|x509:|tls:"
        r"|authentication plugin is not supported|server does not support SSL|root certificate|certificate verify failed"
        r"|invalid [a-z_]+ value|unsupported sslmode|the URL of the database has parameters",
    ),
    (
        Failure.AUTHENTICATION,
        r"password authentication failed|authentication failed|no pg_hba\.conf entry|Access denied for user"
        r"|role .* does not exist|is not permitted to log in|Error 1045|permission denied for database"
        r"|is not allowed to connect to this|account is locked|must (reset|SET) (your|PASSWORD)",
    ),
    (
        Failure.DATABASE_UNREACHABLE,
        r"connection refused|no such host|i/o timeout|no route to host|network is unreachable|connection reset"
        r"|broken pipe|unexpected EOF|\bEOF\b|starting up|shutting down|too many (clients|connections)"
        r"|remaining connection slots|server misbehaving|database .* does not exist|Unknown database|(bad|invalid) connection"
        r"|context deadline exceeded|in recovery mode|terminating connection",
    ),
    (Failure.HISTORY_DIVERGED, r"history|revision .*(not found|missing)|out of order|added before"),
)


# The first characters of an SQLSTATE of a server that lets nobody in.
_STATES: tuple[tuple[Failure, tuple[str, ...]], ...] = (
    (Failure.AUTHENTICATION, ("28", "42501")),
    (Failure.DATABASE_UNREACHABLE, ("08", "3D000", "53300", "57P")),
)
_STATE = re.compile(r"\(([0-9A-Z]{5})\)\s*\Z")
_CLASSIFIED = (
    4096  # characters: patterns take longer than the text is long, and Atlas's own last words are short
)


def classify(text: str) -> Failure:
    """The class of output that is no report; a line of a report that was cut may hold SQL, and says nothing."""
    text = "\n".join(line for line in text.split("\n") if not line.startswith(MARK))[-_CLASSIFIED:]
    if (state := _STATE.search(text)) and (failure := _of_state(state[1])):
        return failure
    for failure, pattern in _CLASSES:
        if re.search(pattern, text, re.IGNORECASE):
            return failure
    return Failure.UNKNOWN


def _of_state(state: str) -> Failure | None:
    return next((failure for failure, begins in _STATES if state.startswith(begins)), None)
