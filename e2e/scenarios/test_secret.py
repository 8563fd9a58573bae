"""The Secret with the database URL: missing, incomplete, malformed, and put right later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE, held

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

NOT_FOUND = held("SecretNotFound")
INVALID = held("InvalidSpec")


def test_a_missing_secret_is_told_and_the_migration_runs_once_it_is_there(world: World) -> None:
    world.upgrade(world.image(THREE))
    upgrade = world.wait_for(NOT_FOUND)
    assert upgrade.message.startswith(f"Secret database not found in namespace {world.namespace}")
    assert upgrade.run == {}
    world.wait_events({"SecretNotFound": 1})
    assert world.created_jobs() == []

    world.secret()
    world.wait_for(DONE)
    world.wait_events({"SecretNotFound": 1, "MigrationStarted": 1, "MigrationSucceeded": 1})


def test_a_missing_key_is_told_and_the_migration_runs_once_it_is_there(world: World) -> None:
    world.secret(key="uri")
    world.upgrade(world.image(THREE))
    upgrade = world.wait_for(NOT_FOUND)
    assert upgrade.message.startswith("Secret database has no key url")
    assert world.created_jobs() == []

    world.secret(key="url")
    world.wait_for(DONE)


def test_a_key_of_another_name_is_used_when_the_spec_names_it(world: World) -> None:
    world.secret(name="logins", key="app.url")
    reference = {"name": "logins", "key": "app.url", "optional": True}
    database = {"type": "selfHosted", "connection": {"urlSecretRef": reference}}
    world.upgrade(world.image(THREE), database=database)
    world.wait_for(DONE)


def test_a_malformed_url_is_refused_without_repeating_it(world: World) -> None:
    password = "hunter2-%zz-secret"
    world.secrets |= {password, "hunter2", "zz-secret"}
    server, image = world.database.server, world.image(THREE)
    urls = {
        "escape": world.database.url(password=password),
        "space": f"postgres://app:hunter2 secret@{server}/app",
        "scheme": f"oracle://app:hunter2@{server}/app",
        "port": "postgres://app:hunter2@db.example:port/app",
        "host": "postgres://app:hunter2@/app",
        "empty": " ",
    }
    for name, url in urls.items():
        world.secret(url, name=name)
        connection = {"urlSecretRef": {"name": name}}
        world.upgrade(image, name, database={"type": "selfHosted", "connection": connection})
    for name in urls:
        upgrade = world.wait_for(INVALID, name)
        assert upgrade.message.startswith(f"the database URL in key url of Secret {name} cannot be used: ")
    assert world.created_jobs() == []
