"""The environment variables by which a container gets to the database, under the names that its program reads.

User, password and URL come from Secrets by reference, so that the operator makes no copy of them.
"""

from dbupgrade.api.spec.database import Connection
from dbupgrade.objects import Object
from dbupgrade.pod.connection import DEFAULT_PORT
from dbupgrade.pod.connection.access import Access
from dbupgrade.pod.container import values

URL_VARIABLE = "DATABASE_URL"
_LIBPQ, _OURS = "PG", "DB_"


def libpq(access: Access) -> list[Object]:
    """The variables of PostgreSQL's own tools, or the URL."""
    if access.url:
        return _url(access)
    parts = _parts(access)
    options = f'-c search_path="{parts.schema_}"' if parts.schema_ else None
    more = {
        "PGSSLMODE": parts.ssl_mode,
        "PGSSLROOTCERT": access.authority_path,
        "PGOPTIONS": options,
    }
    return [*_server(parts, _LIBPQ), *_credentials(parts, _LIBPQ), *values(more)]


def command(access: Access) -> list[Object]:
    """The variables that an application's own command may rely on, or the URL."""
    if access.url:
        return _url(access)
    parts = _parts(access)
    more = {
        "DB_SCHEMA": parts.schema_,
        "DB_SSLMODE": parts.ssl_mode,
        "DB_SSLROOTCERT": access.authority_path,
    }
    return [*_server(parts, _OURS), *_credentials(parts, _OURS), *values(more)]


def toolkit(access: Access) -> list[Object]:
    """The same for the toolkit, which has its own name for the database (docs/toolkit.md)."""
    other = {"DB_DATABASE": "DB_NAME", "DB_SSLROOTCERT": "PGSSLROOTCERT"}
    return [{**one, "name": other.get(one["name"], one["name"])} for one in command(access)]


def _url(access: Access) -> list[Object]:
    return [_from_secret(URL_VARIABLE, access.url.name, access.url.key)] if access.url else []


def _parts(access: Access) -> Connection:
    if access.parts is None:
        raise ValueError("a run needs a connection")
    return access.parts


def _server(parts: Connection, prefix: str) -> list[Object]:
    port = str(parts.port or DEFAULT_PORT)
    return values({f"{prefix}HOST": parts.host, f"{prefix}PORT": port, f"{prefix}DATABASE": parts.database})


def _credentials(parts: Connection, prefix: str) -> list[Object]:
    user, password = parts.user_secret_ref, parts.password_secret_ref
    if user is None or password is None:
        raise ValueError("a run needs a connection")
    return [
        _from_secret(f"{prefix}USER", user.name, user.key),
        _from_secret(f"{prefix}PASSWORD", password.name, password.key),
    ]


def _from_secret(variable: str, name: str, key: str) -> Object:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
