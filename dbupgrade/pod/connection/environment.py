"""The environment variables by which a container gets to the database, under the names that its program reads.

User, password and URL come from Secrets by reference, so that the operator makes no copy of them.
"""

from dbupgrade.api.spec.database import Connection
from dbupgrade.objects import Object
from dbupgrade.pod.connection import DEFAULT_PORT
from dbupgrade.pod.connection.access import Access
from dbupgrade.pod.container import values

URL_VARIABLE = "DATABASE_URL"


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
    return [*_server(parts), *_credentials(parts), *values(more)]


def toolkit(access: Access) -> list[Object]:
    """The same for the toolkit, which has its own name for the database (docs/toolkit.md)."""
    other = {"DB_DATABASE": "DB_NAME", "DB_SSLROOTCERT": "PGSSLROOTCERT"}
    return [{**one, "name": other.get(one["name"], one["name"])} for one in command(access)]


def _url(access: Access) -> list[Object]:
    return [from_secret(URL_VARIABLE, access.url.name, access.url.key)] if access.url else []


def _parts(access: Access) -> Connection:
    if access.parts is None:
        raise ValueError("a run needs a connection")
    return access.parts


def _server(parts: Connection) -> list[Object]:
    port = str(parts.port or DEFAULT_PORT)
    return values({"DB_HOST": parts.host, "DB_PORT": port, "DB_DATABASE": parts.database})


def _credentials(parts: Connection) -> list[Object]:
    user, password = parts.user_secret_ref, parts.password_secret_ref
    if user is None or password is None:
        raise ValueError("a run needs a connection")
    return [
        from_secret("DB_USER", user.name, user.key),
        from_secret("DB_PASSWORD", password.name, password.key),
    ]


def from_secret(variable: str, name: str, key: str, *, optional: bool = False) -> Object:
    """A variable with the value of a key of a Secret; unless it is optional, no container starts without it."""
    reference: Object = {"name": name, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
