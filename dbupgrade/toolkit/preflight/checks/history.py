"""Whether the engine can record what it applies."""

from collections.abc import Iterator

from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import ERROR, Finding
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.sql.names import Name, quote, quoted

_NEEDED = ("SELECT", "INSERT", "UPDATE")


def look(facts: Facts, _: Pending) -> Iterator[Finding]:
    """A history that is not there and cannot be made, or that cannot be written."""
    if facts.history is None or facts.unread:
        return
    user, name = facts.server.user, Name(facts.history.schema, facts.history.table)
    schema, table = facts.schemas.get(name.schema), facts.relations.get(name)
    if schema is None:
        if not facts.server.may_create_schemas:
            yield _finding(
                f"the history table needs schema {name.schema}, which user {user} may not create",
                f"CREATE SCHEMA {quote(name.schema)} AUTHORIZATION {quote(user)};",
            )
    elif table is None:
        if not schema.may_create:
            yield _finding(
                f"the history table {name} does not exist, and user {user} has no CREATE privilege on schema {name.schema}",
                f"GRANT CREATE ON SCHEMA {quote(name.schema)} TO {quote(user)};",
            )
    elif missing := [each for each in _NEEDED if each not in table.privileges]:
        rights = ", ".join(missing)
        yield _finding(
            f"user {user} has no {rights} privilege on {name}, the history table",
            f"GRANT {rights} ON {quoted(name)} TO {quote(user)};",
        )


def _finding(message: str, fix: str) -> Finding:
    return Finding(check="history", severity=ERROR, message=message, fix=fix)
