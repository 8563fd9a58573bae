"""A connection that is given in parts leads into one schema, whatever its name is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.integration.toolkit.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Toolkit

TABLES = "select relnamespace::regnamespace || '.' || relname from pg_class where relname = 'a'"


@pytest.mark.parametrize("engine", ["Atlas", "Psql"])
@pytest.mark.parametrize(
    ("schema", "quoted"), [("app", "app"), ("MyApp", '"MyApp"'), ("my-app 1", '"my-app 1"')]
)
def test_tables_and_history_are_in_the_schema(
    toolkit: Toolkit, schema: str, quoted: str, engine: str
) -> None:
    toolkit.execute(f'create schema "{schema}"')
    toolkit.write(
        v1="create table a (n int);", v2="-- dbupgrade:txmode none\n\ncreate index concurrently a_n on a (n);"
    )
    parts = {
        "DATABASE_URL": "",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(urlsplit(toolkit.server.url(toolkit.database)).port),
        "DB_NAME": toolkit.database,
        "DB_USER": "admin",
        "DB_PASSWORD": PASSWORD,
        "DB_SSLMODE": "disable",
        "DB_SCHEMA": schema,
        "MIGRATE_ENGINE": engine,
    }
    done = toolkit.run("apply", **parts)
    assert (done.code, done.event("finished")["applied"]) == (0, 2), done.text
    assert toolkit.fetch(TABLES) == [f"{quoted}.a"]
    history = "select distinct relnamespace::regnamespace::text from pg_class where relname in ('dbupgrade_files', 'atlas_schema_revisions', 'dbupgrade_migrations')"
    assert toolkit.fetch(history) == [quoted]
    again = toolkit.run("apply", **parts)
    assert (again.code, again.event("finished")["applied"]) == (0, 0), again.text
