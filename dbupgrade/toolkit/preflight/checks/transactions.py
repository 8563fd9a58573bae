"""Whether other sessions hold locks on tables that the pending files use."""

from collections.abc import Iterator

from dbupgrade.toolkit.preflight.facts import Facts, OpenTransaction
from dbupgrade.toolkit.preflight.finding import INFO, WARNING, Finding, listed
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.sql.names import Name, quote

_NAME = "transactions"
_OLD_SECONDS = 60.0


def look(facts: Facts, pending: Pending) -> Iterator[Finding]:
    """Sessions whose transaction is older than a minute, the oldest first; what cannot be seen is said once."""
    touched = [each for each in facts.transactions if _is_named(each.table, facts.path, pending)]
    sessions: dict[int, list[OpenTransaction]] = {}
    for each in sorted(touched, key=lambda each: -(each.seconds or 0)):
        if each.seconds is not None and each.seconds >= _OLD_SECONDS:
            sessions.setdefault(each.pid, []).append(each)
    for pid, found in sessions.items():
        yield Finding(
            check=_NAME,
            severity=WARNING,
            message=f"{_who(found[0])} has had a transaction open for {_age(found[0].seconds or 0)} that holds locks on "
            f"{listed([str(each.table) for each in found])}, which the pending files use",
            fix=f"SELECT pg_terminate_backend({pid});",
        )
    if hidden := list(dict.fromkeys(str(each.table) for each in touched if each.seconds is None)):
        yield Finding(
            check=_NAME,
            severity=INFO,
            message=f"other sessions hold locks on {listed(hidden)}; user {facts.server.user} may not see for how long",
            fix=f"GRANT pg_read_all_stats TO {quote(facts.server.user)};",
        )


def _is_named(table: Name, path: tuple[str, ...], pending: Pending) -> bool:
    """Whether a file names that table, with its schema or by the search path."""
    return table in pending.relations or (table.schema in path and Name("", table.name) in pending.relations)


def _who(session: OpenTransaction) -> str:
    application = f"{session.application} " if session.application else ""
    return f"{application}(user {session.user}, process {session.pid})"


def _age(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004
