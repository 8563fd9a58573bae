"""What a session waits for, and how far it is: queries for the server, and words for what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbupgrade.pod.redact import mask_statement, printable, shortened
from dbupgrade.toolkit.progress.place import Place

BLOCKERS = """
SELECT blocker.pid, blocker.usename AS user, blocker.application_name AS application,
  host(blocker.client_addr) AS client, blocker.state, left(blocker.query, 2000) AS statement,
  extract(epoch FROM clock_timestamp() - blocker.xact_start)::int AS transaction_seconds,
  wanted.relation::regclass::text AS relation, wanted.mode, CURRENT_USER::text AS our_user
FROM unnest(pg_blocking_pids($1)) AS found (pid)
JOIN pg_stat_activity AS blocker ON blocker.pid = found.pid
LEFT JOIN LATERAL (
  SELECT relation, mode FROM pg_locks WHERE pid = $1 AND NOT granted LIMIT 1
) AS wanted ON true
ORDER BY blocker.xact_start NULLS LAST, blocker.pid
"""
"""The sessions that block the session with the pid $1. Without the rights of pg_read_all_stats, the server hides most columns
of others' sessions."""
PROGRESS = """
SELECT phase, (SELECT oid::regclass::text FROM pg_class WHERE oid = relid) AS relation, blocks_done AS done, blocks_total AS total, tuples_done AS rows
FROM pg_stat_progress_create_index WHERE pid = $1
UNION ALL
SELECT phase, (SELECT oid::regclass::text FROM pg_class WHERE oid = relid), heap_blks_scanned, heap_blks_total, heap_tuples_scanned
FROM pg_stat_progress_cluster WHERE pid = $1
"""
"""How far the session is in what takes long: both views are there from PostgreSQL 12 on. VACUUM FULL is one of the second.
A table that the session has made itself is not visible, and has no name."""
KNOWS_COPY = "SELECT 1 AS known WHERE to_regclass('pg_catalog.pg_stat_progress_copy') IS NOT NULL"
"""PostgreSQL has the view from 14 on."""
COPY = """
SELECT command AS phase, (SELECT oid::regclass::text FROM pg_class WHERE oid = relid) AS relation,
  bytes_processed AS done, bytes_total AS total, tuples_processed AS rows
FROM pg_stat_progress_copy WHERE pid = $1
"""
STATEMENT = """
SELECT query, extract(epoch FROM clock_timestamp() - query_start)::float8 AS seconds
FROM pg_stat_activity WHERE pid = $1 AND state = 'active'
"""
"""What a session executes, where the engine does not say so; the server keeps its beginning."""
_TEXT_BYTES = 200
_STATEMENT_BYTES = 500
_MINUTE = 60
_HOUR = 3600


@dataclass(frozen=True)
class Blocker:
    """A session that ours waits for; what the server does not show is None."""

    pid: int
    user: str | None = None
    application: str | None = None
    client: str | None = None
    state: str | None = None
    statement: str | None = None
    """Masked."""
    transaction_seconds: int | None = None
    state_seconds: int | None = None
    """How long it has been in that state, where the age of its transaction is not known."""

    @property
    def words(self) -> str:
        """Who it is, as a person would look for it."""
        since = ""
        if self.transaction_seconds is not None:
            since = f"transaction open for {span(self.transaction_seconds)}"
        elif self.state_seconds is not None:
            since = f"{self.state or 'in its state'} for {span(self.state_seconds)}"
        user = f"user {self.user}" if self.user else ""
        details = ", ".join(filter(None, (f"pid {self.pid}", user, since)))
        return f"application '{self.application}' ({details})" if self.application else details


@dataclass(frozen=True)
class Wait:
    """A lock that is waited for."""

    blockers: tuple[Blocker, ...]
    """Empty where the server does not show them."""
    relation: str | None
    mode: str | None
    advice: str | None
    """What would show more, where the server hides something."""


def wait(rows: Sequence[Mapping[str, Any]]) -> Wait | None:
    """What the rows of BLOCKERS say; None when nothing is waited for."""
    if not rows:
        return None
    blockers = tuple(_blocker(row) for row in rows)
    first = rows[0]
    hidden = any(each.state is None and each.transaction_seconds is None for each in blockers)
    advice = f'GRANT pg_read_all_stats TO "{first["our_user"]}" shows the details' if hidden else None
    return Wait(blockers, _short(first["relation"]), first["mode"], advice)


def waiting_words(place: Place, found: Wait, seconds: float) -> str:
    """That a lock is waited for, who holds it, and what would show more."""
    what = f"a lock on {found.relation}" if found.relation else "a lock"
    text = f"{place.words}: waiting {span(seconds)} for {what}"
    if found.blockers:
        others = len(found.blockers) - 1
        text += f", held by {found.blockers[0].words}{f' and {others} more' if others else ''}"
    return f"{text}; {found.advice}" if found.advice else text


def running_words(place: Place, seconds: float, row: Mapping[str, Any] | None) -> str:
    """What is executed, since when, and how far it is where the server says so."""
    what = f"statement {place.statement} of {place.statements}" if place.statement else "the file"
    text = f"{place.words}: {what} has been running for {span(seconds)}"
    if row is None:
        return text
    relation = f" of {_short(row['relation'])}" if row["relation"] else ""
    share = f", {100 * row['done'] // row['total']} %" if row["total"] else ""
    rows = f", {row['rows']} rows" if row["rows"] else ""
    return f"{text} ({row['phase']}{relation}{share}{rows})"


def span(seconds: float) -> str:
    """A length of time, for example "40 s" or "12 min"."""
    if seconds < 2 * _MINUTE:
        return f"{round(seconds)} s"
    if seconds < 2 * _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{seconds / _HOUR:.1f} h"


def _blocker(row: Mapping[str, Any]) -> Blocker:
    seconds, state = row["transaction_seconds"], row["state"]
    statement = mask_statement(row["statement"]) if state and row["statement"] else None
    return Blocker(
        pid=row["pid"],
        user=_short(row["user"]),
        application=_short(row["application"]),
        client=_short(row["client"]),
        state=_short(state),
        statement=shortened(printable(statement), _STATEMENT_BYTES) if statement else None,
        transaction_seconds=None if seconds is None else max(seconds, 0),
    )


def _short(value: str | None) -> str | None:
    return shortened(printable(value), _TEXT_BYTES) if value else None
