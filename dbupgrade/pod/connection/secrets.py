"""Which keys of Secrets a connection takes, and what it is called in messages."""

from dbupgrade.api.spec.database import Connection, Database
from dbupgrade.api.spec.migrations import KeyReference
from dbupgrade.pod.connection import DEFAULT_PORT

# What a key of a Secret holds.
URL, USER, PASSWORD = "database URL", "database user", "database password"
AUTHORITY = "certificates of the database's authority"


def secret_references(connection: Connection) -> tuple[tuple[str, KeyReference], ...]:
    """The keys of Secrets that a connection needs, each with what it holds."""
    url, user, password = (
        connection.url_secret_ref,
        connection.user_secret_ref,
        connection.password_secret_ref,
    )
    if url:
        return ((URL, KeyReference(name=url.name, key=url.key)),)
    if user and password:
        authority = connection.ca_secret_ref
        return (
            (USER, KeyReference(name=user.name, key=user.key)),
            (PASSWORD, KeyReference(name=password.name, key=password.key)),
            *(((AUTHORITY, KeyReference(name=authority.name, key=authority.key)),) if authority else ()),
        )
    return ()


def described(database: Database) -> str:
    """The database's server in words for a message, without what is in a Secret."""
    connection = database.connection
    if connection and connection.host:
        return f"{connection.host}:{connection.port or DEFAULT_PORT}"
    if connection and connection.url_secret_ref:
        return f"the server of the database URL in Secret {connection.url_secret_ref.name}"
    return "the server"
