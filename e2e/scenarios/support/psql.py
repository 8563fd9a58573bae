"""Images with plain SQL files, and the connection in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

PSQL = {"engine": "Psql"}
USERS = {"001_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text);\n"}


def sql_image(world: World, files: dict[str, str]) -> str:
    """An image with these files."""
    return world.push({f"/migrations/{name}": text.encode() for name, text in files.items()})


def parts(world: World, **changes: Any) -> dict[str, Any]:
    """The connection in parts, with user and password in a Secret of their own."""
    world.api.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "credentials"},
            "stringData": {"username": world.database.name, "password": world.database.password},
        },
        "secrets",
        world.namespace,
    )
    host, _, port = world.database.server.partition(":")
    connection = {
        "host": host,
        "port": int(port or 5432),
        "database": world.database.name,
        "userSecretRef": {"name": "credentials"},
        "passwordSecretRef": {"name": "credentials"},
        "sslMode": "disable",
        **changes,
    }
    return {"type": "selfHosted", "connection": connection}
