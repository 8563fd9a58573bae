"""The engine Command: what is told of the end of an application's own migration command.

Its output is anybody's words. The end of it is told when it failed, masked and cut; what it means is guessed only where
no connection was made, as nothing else may be tried again by itself.
"""

import re

from dbupgrade.api.status import Failure
from dbupgrade.pod.connection.libpq import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.redact import MAX_BYTES, mask_error, remove_secrets
from dbupgrade.pod.report import Report

_LOOKED_AT = 4000  # characters at the end of the log
_LINES = 20
_UNREACHABLE = re.compile(
    r"ECONNREFUSED|ENOTFOUND|EAI_AGAIN|connect (ETIMEDOUT|EHOSTUNREACH)|connection refused|no such host"
    r"|could not translate host name|name or service not known|temporary failure in name resolution"
    r"|database system is starting up",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authentication failed for user|no pg_hba\.conf entry|Access denied for user", re.IGNORECASE
)


def parse(log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
    """The report on a command that printed `log`."""
    if exit_code == 0:
        return Report()
    end = "\n".join(log[-_LOOKED_AT:].splitlines()[-_LINES:])
    failure = Failure.COMMAND
    if exit_code == UNREACHABLE_EXIT_CODE or _UNREACHABLE.search(end):
        failure = Failure.DATABASE_UNREACHABLE
    elif _REFUSED.search(end):
        failure = Failure.AUTHENTICATION
    said = mask_error(_end(remove_secrets(log, secrets)), "")
    words = f"exit code {exit_code}"
    return Report(failure=failure, error=f"{words}: {_last(said, MAX_BYTES - 64)}" if said else words)


def _end(log: str) -> str:
    """Whole lines at the end of `log`."""
    lines = log[-_LOOKED_AT:].splitlines()
    whole = lines if len(log) <= _LOOKED_AT else lines[1:]
    return "\n".join(whole[-_LINES:])


def _last(text: str, size: int) -> str:
    """The end of `text` in at most `size` bytes of UTF-8, with a mark where it was cut."""
    data = text.encode()
    return text if len(data) <= size else "…" + data[-size:].decode(errors="ignore")
