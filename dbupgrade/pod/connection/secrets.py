"""Which keys of Secrets a connection takes, and what it is called in messages."""

from dbupgrade.api.spec.database import Connection, Database
from dbupgrade.api.spec.migrations import Engine, KeyReference
from dbupgrade.api.spec.policy import Policy
from dbupgrade.pod.connection import DEFAULT_PORT, limits
from dbupgrade.pod.connection import url as database_url

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


def problem(value: str, what: str, schemes: tuple[str, ...], engine: Engine, policy: Policy) -> str:
    """What is wrong with the `value` of a key that holds `what`, in words that hold none of it; empty when nothing is."""
    if what == URL:
        return database_url.problem(value, schemes) or limits.problem(value, engine, policy)
    if what == AUTHORITY:
        return "" if "-----BEGIN CERTIFICATE-----" in value else "they are not in PEM format"
    if not value:
        return "it is empty"
    return "it ends with a line break" if value.endswith(("\n", "\r")) else ""


def unusable(what: str, secret: str, key: str, problem: str) -> str:
    """The message for a value with that problem."""
    return f"the {what} in key {key} of Secret {secret} cannot be used: {problem}"
