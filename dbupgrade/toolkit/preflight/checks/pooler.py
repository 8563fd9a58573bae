"""Whether a connection pooler is in between. One in transaction mode is refused when the lock of the run is taken."""

from collections.abc import Iterator

from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import INFO, Finding
from dbupgrade.toolkit.preflight.pending import Pending


def look(facts: Facts, _: Pending) -> Iterator[Finding]:
    """One in session mode, which does no harm but hides what the server knows of its clients."""
    if facts.is_pooled:
        yield Finding(
            check="pooler",
            severity=INFO,
            message="a connection pooler in session mode is between the run and the server; its own limits and timeouts apply",
            fix="use the host and port of the server itself in the URL of the database",
        )
