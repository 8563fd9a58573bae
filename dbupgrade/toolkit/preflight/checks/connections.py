"""Whether there are connections left for the run."""

from collections.abc import Iterator

from dbupgrade.toolkit.output import counted
from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import ERROR, WARNING, Finding
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.sql.names import quote

_NAME = "connections"


def look(facts: Facts, _: Pending | None = None) -> Iterator[Finding]:
    """A limit that no run can keep to, and one that is reached right now."""
    if facts.is_pooled:
        return  # the pooler has a limit of its own, and shares connections
    limits, needed = facts.connections, facts.connections.needed
    user, database = facts.server.user, facts.server.database
    of_role, of_database = (
        f"ALTER ROLE {quote(user)} CONNECTION LIMIT",
        f"ALTER DATABASE {quote(database)} CONNECTION LIMIT",
    )
    for what, most, used, fix in (
        (f"user {user}", limits.most_of_role, limits.used_by_role, of_role),
        (f"database {database}", limits.most_of_database, limits.used_in_database, of_database),
    ):
        if 0 <= most < needed:
            message = f"{what} may have {counted(most, 'connection')} at once, and a run needs {needed}"
            yield Finding(check=_NAME, severity=ERROR, message=message, fix=f"{fix} {needed + 1};")
        elif most >= 0 and most - used < needed - 1:
            message = f"{what} has {used} of {most} connections in use, and the run needs {needed - 1} more"
            yield Finding(check=_NAME, severity=WARNING, message=message, fix=f"{fix} {used + needed};")
    if limits.most - limits.used < needed - 1:
        yield Finding(
            check=_NAME,
            severity=WARNING,
            message=f"{limits.used} of {limits.most} connections of the server are in use, and the run needs {needed - 1} more",
            fix="close idle connections, or raise max_connections",
        )
