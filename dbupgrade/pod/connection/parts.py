"""How each engine is told where the database is: by a URL from a Secret, or by the parts of spec.database.connection.

User, password and URL come from Secrets by reference, so that the operator makes no copy of them.
"""

from typing import Any

from dbupgrade.api.spec.database import Connection, Database, UrlSecretRef
from dbupgrade.api.spec.migrations import Engine, KeyReference

Object = dict[str, Any]

# What a key of a Secret holds.
URL, USER, PASSWORD = "database URL", "database user", "database password"
AUTHORITY = "certificates of the database's authority"
AUTHORITY_PATH, AUTHORITY_FILE = "/etc/dbupgrade-ca", "ca.crt"
URL_VARIABLE = "DATABASE_URL"
DEFAULT_PORT = 5432


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


def told(database: Database) -> str:
    """The database in words for a message, without what is in a Secret."""
    connection = database.connection
    if connection and connection.host:
        return f"{connection.host}:{connection.port or DEFAULT_PORT}"
    if connection and connection.url_secret_ref:
        return f"the server of the database URL in Secret {connection.url_secret_ref.name}"
    return "the server"


def atlas_config(connection: Connection | None) -> str:
    """Atlas's configuration. The URL must not be an argument, which every process of the node could read."""
    url = f'getenv("{URL_VARIABLE}")'
    if connection and connection.host:
        url = f'"postgres://${{{_part("DB_USER")}}}:${{{_part("DB_PASSWORD")}}}@{_address(connection)}"'
    return f'env "run" {{\n  url = {url}\n}}\n'


def _authority(connection: Connection) -> str | None:
    """Where a pod finds the certificates by which to know the server."""
    return f"{AUTHORITY_PATH}/{AUTHORITY_FILE}" if connection.ca_secret_ref else None


def _part(variable: str) -> str:
    """A variable as it stands in a URL; Atlas's function makes a space a `+`, which is one only in a query."""
    return f'join("%20", split("+", urlescape(getenv("{variable}"))))'


def _address(connection: Connection) -> str:
    host = f"[{connection.host}]" if connection.host and ":" in connection.host else connection.host
    given = {
        "sslmode": connection.ssl_mode,
        "sslrootcert": _authority(connection),
        "search_path": connection.schema_,
    }
    query = "&".join(f"{name}={value}" for name, value in given.items() if value)
    address = f"{host}:{connection.port or DEFAULT_PORT}/{connection.database}"
    return f"{address}?{query}" if query else address


def variables(connection: Connection | None, url: UrlSecretRef | None, engine: Engine) -> list[Object]:
    """The environment that leads `engine` to the database: by `url`, if there is one, else by the parts."""
    if url is not None:
        return [_from_secret(URL_VARIABLE, url.name, url.key)]
    if connection is None or connection.user_secret_ref is None or connection.password_secret_ref is None:
        raise ValueError("a run needs a connection")
    user, password = connection.user_secret_ref, connection.password_secret_ref
    prefix = "PG" if engine is Engine.PSQL else "DB_"
    credentials = [
        _from_secret(f"{prefix}USER", user.name, user.key),
        _from_secret(f"{prefix}PASSWORD", password.name, password.key),
    ]
    if engine is Engine.ATLAS:
        return credentials
    schema, authority = connection.schema_, _authority(connection)
    if engine is Engine.PSQL:
        options = schema and f'-c search_path="{schema}"'
        more = {"PGSSLMODE": connection.ssl_mode, "PGSSLROOTCERT": authority, "PGOPTIONS": options}
    else:
        more = {"DB_SCHEMA": schema, "DB_SSLMODE": connection.ssl_mode, "DB_SSLROOTCERT": authority}
    return [*_server(connection, prefix), *credentials, *_values(more)]


def toolkit(connection: Connection | None, url: UrlSecretRef | None) -> list[Object]:
    """The same for the toolkit, which has its own name for the database (docs/toolkit.md)."""
    given = variables(connection, url, Engine.COMMAND)
    other = {"DB_DATABASE": "DB_NAME", "DB_SSLROOTCERT": "PGSSLROOTCERT"}
    return [{**one, "name": other.get(one["name"], one["name"])} for one in given]


def server(connection: Connection | None, url: UrlSecretRef | None) -> list[Object]:
    """What the wait for the database needs: where the server is, without a password if it can be."""
    if url is not None:
        return [_from_secret(URL_VARIABLE, url.name, url.key)]
    return _server(connection, "PG") if connection else []


def _server(connection: Connection, prefix: str) -> list[Object]:
    port = str(connection.port or DEFAULT_PORT)
    return _values(
        {f"{prefix}HOST": connection.host, f"{prefix}PORT": port, f"{prefix}DATABASE": connection.database}
    )


def _values(values: dict[str, str | None]) -> list[Object]:
    return [{"name": name, "value": escape(str(value))} for name, value in values.items() if value]


def _from_secret(variable: str, name: str, key: str) -> Object:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def escape(text: str) -> str:
    """`text` as it must stand in arguments and values, where Kubernetes expands `$(VAR)`."""
    return text.replace("$", "$$")
