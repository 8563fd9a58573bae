"""The report on a file that failed, from what psql said of it. Pure."""

import re
from dataclasses import dataclass

from dbupgrade.api.failure import Failure
from dbupgrade.pod.redact import cut, mask_error, mask_statement, remove_secrets
from dbupgrade.pod.report import Report, classify, with_hint
from dbupgrade.toolkit.engines.psql.history import TABLE, TRANSACTION_CONSTRAINT
from dbupgrade.toolkit.engines.psql.transcript import Error

_NONE = "00000"
_STATE = re.compile(r"[0-9A-Z]{5}")
_RIGHTS = "permission denied"
PROBLEMS: dict[str, tuple[Failure, str]] = {
    "LockLost": (Failure.INTERRUPTED, "the connection that held the lock of the run was lost"),
    "Reconnected": (Failure.UNUSABLE_FILE, "the file uses \\connect"),
    "TransactionEnded": (Failure.UNUSABLE_FILE, "the file ends its own transaction"),
    "TransactionOpen": (Failure.PARTLY_APPLIED, "the file leaves a transaction open"),
}
"""What the scripts find wrong."""


@dataclass(frozen=True)
class Reporter:
    """Reports on one file."""

    name: str
    path: str
    """By which psql has it."""
    secrets: tuple[str, ...] = ()

    def problem(self, word: str) -> Report:
        """Something that our script found."""
        failure, why = PROBLEMS.get(word, (Failure.UNKNOWN, ""))
        return Report(failure=failure, failed_file=self.name, error=why or None)

    def not_connected(self, error: Error | None) -> Report:
        """The database, which had answered before, was not reached."""
        failure = classify(error.text if error else "")
        return Report(failure=Failure.DATABASE_UNREACHABLE if failure is Failure.UNKNOWN else failure)

    def lost(self) -> Report:
        """The session ended in the middle of the file."""
        return Report(failure=Failure.INTERRUPTED, failed_file=self.name)

    def history(self, error: Error | None) -> Report:
        """A statement of ours failed before the file."""
        return of_history(error.text if error else "", self.name)

    def statement(self, error: Error | None, state: str, file: str = "") -> Report:
        """Something in the file failed; `file` is its text where that was at its end, and no statement is to blame."""
        # psql knows the state of the last error.
        is_known = _STATE.fullmatch(state) and state != _NONE and (error is None or error.is_last)
        sqlstate = state if is_known else None
        if error is None:
            return Report(
                failure=Failure.SQL,
                failed_file=self.name,
                sqlstate=sqlstate,
                error="the file continues after an error",
            )
        if TRANSACTION_CONSTRAINT in error.text:
            return self.problem("TransactionEnded")
        in_file = error.path == self.path
        sql = error.statement.strip() if in_file else ""
        text = error.text.replace(self.path.removesuffix(self.name), "")
        where = f"line {error.line}: " if in_file else ""
        return Report(
            failure=Failure.SQL,
            failed_file=self.name,
            failed_statement=cut(remove_secrets(mask_statement(sql), self.secrets)) if sql else None,
            error=cut(with_hint(where + self._masked(text, sql or file), "`-- dbupgrade:txmode none`")),
            line=error.line if in_file else None,
            sqlstate=sqlstate,
        )

    def _masked(self, text: str, sql: str) -> str:
        return remove_secrets(mask_error(text, sql), self.secrets)


def of_history(text: str, name: str | None = None) -> Report:
    """The report on the history table, of which the server said `text`."""
    failure = Failure.AUTHENTICATION if _RIGHTS in text else Failure.SQL
    return Report(
        failure=failure, failed_file=name, error=cut(f"{TABLE}, the history table: {mask_error(text, TABLE)}")
    )
