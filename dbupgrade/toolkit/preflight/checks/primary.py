"""Whether the server takes writes."""

from collections.abc import Iterator

from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import ERROR, WARNING, Finding
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.sql.names import Name, quote

_NAME = "primary"
_SETTING = "default_transaction_read_only"


def look(facts: Facts, _: Pending) -> Iterator[Finding]:
    """A standby, and a server, database or user whose transactions only read."""
    server = facts.server
    if server.is_standby:
        yield Finding(
            check=_NAME,
            severity=ERROR,
            message="the server is a read-only standby (pg_is_in_recovery() is true)",
            fix="use the host of the primary in the URL of the database",
        )
    elif server.read_only is not None:
        # Only the history, where it has to be made, and files without a transaction are then written in others.
        may_do = facts.begins_read_write and _has_history(facts)
        yield Finding(
            check=_NAME,
            severity=WARNING if may_do else ERROR,
            message=f"{_SETTING} is on, set for the {_WHERE.get(server.read_only, 'server')}",
            fix=_fix(facts),
        )


def _has_history(facts: Facts) -> bool:
    """Whether there is a history already."""
    return facts.history is not None and Name(facts.history.schema, facts.history.table) in facts.relations


_WHERE = {
    "user": "user",
    "database": "database",
    "database user": "user in this database",
    "client": "connection",
}
"""What pg_settings calls the sources of a setting."""


def _fix(facts: Facts) -> str:
    user, database = quote(facts.server.user), quote(facts.server.database)
    fixes = {
        "user": f"ALTER ROLE {user} RESET {_SETTING};",
        "database": f"SET {_SETTING} = off; ALTER DATABASE {database} RESET {_SETTING};",
        "database user": f"ALTER ROLE {user} IN DATABASE {database} RESET {_SETTING};",
        "client": f"remove {_SETTING} from the URL of the database",
    }
    return fixes.get(facts.server.read_only or "", f"set {_SETTING} to off in the settings of the server")
