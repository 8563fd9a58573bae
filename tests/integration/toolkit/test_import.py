"""Databases that other tools have migrated, taken over: nothing is applied twice, and the next file is.

Folders and dumps in `histories` are those of the real tools; the first line of a dump says of which, and how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.toolkit.conftest import Server, Toolkit

ROOT = Path(__file__).parents[3]
HISTORIES = Path(__file__).parent / "histories"


@dataclass(frozen=True)
class Adopted:
    """What is expected of a tool."""

    tool: str
    table: str
    baseline: str
    after: str
    """The version of a new file."""
    repeated: tuple[str, ...] = ()
    """What is applied once more, since it is made for that."""

    def __str__(self) -> str:
        return self.tool


TOOLS = [
    Adopted("dbmate", "schema_migrations", "20250113093000", "20250801090000"),
    Adopted("flyway", "flyway_schema_history", "000010.000", "000012.000", ("000011.000",)),
    Adopted("golang-migrate", "schema_migrations", "000003", "000004"),
    Adopted("goose", "goose_db_version", "000003", "000004"),
    Adopted("liquibase", "databasechangelog", "000006", "000007"),
]
COLUMNS = """
SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name NOT IN ('{table}', 'databasechangeloglock')
UNION ALL SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('customers', 'orders')
ORDER BY 1
"""


def take_over(toolkit: Toolkit, tool: Adopted, **variables: str) -> Any:
    found = toolkit.run("import", "--from", tool.tool, str(HISTORIES / tool.tool), **variables)
    assert found.code == 0, found.text
    return found


def add(toolkit: Toolkit, tool: Adopted) -> None:
    (toolkit.folder / f"{tool.after}_new.sql").write_text("CREATE TABLE new (id int);\n")
    assert toolkit.run("hash").code == 0


def restored(toolkit: Toolkit, tool: Adopted) -> None:
    toolkit.execute((HISTORIES / f"{tool.tool}.sql").read_text())


@pytest.mark.parametrize("tool", TOOLS, ids=str)
@pytest.mark.parametrize("engine", ["Atlas", "Psql"])
def test_nothing_is_applied_twice(toolkit: Toolkit, tool: Adopted, engine: str) -> None:
    restored(toolkit, tool)
    history = f"SELECT t::text FROM {tool.table} t ORDER BY 1"  # noqa: S608 - a name of this file
    before = toolkit.fetch(history)
    found = take_over(toolkit, tool, MIGRATE_ENGINE=engine)
    assert found.event("baseline")["baseline"] == tool.baseline
    assert found.event("baseline")["pending"] == len(tool.repeated)
    assert (toolkit.folder / "atlas.sum").exists() == (engine == "Atlas")
    (toolkit.folder / f"{tool.after}_new.sql").write_text("CREATE TABLE new (id int);\n")
    if engine == "Atlas":
        assert toolkit.run("hash").code == 0
    settings = {"MIGRATE_ENGINE": engine, "MIGRATE_BASELINE_VERSION": tool.baseline}
    applied = toolkit.run("apply", **settings)
    versions = [event["version"] for event in applied.events if event["event"] == "applied"]
    assert (applied.code, versions) == (0, [*tool.repeated, tool.after])
    assert toolkit.run("status", **settings).code == 0
    assert toolkit.fetch(history) == before


@pytest.mark.parametrize("tool", TOOLS, ids=str)
def test_a_new_database_becomes_the_same(toolkit: Toolkit, server: Server, tool: Adopted) -> None:
    take_over(toolkit, tool, DATABASE_URL="")
    assert toolkit.run("apply", MIGRATE_BASELINE_VERSION=tool.baseline).code == 0
    server.execute("postgres", f"create database {toolkit.database}_old")
    server.execute(f"{toolkit.database}_old", (HISTORIES / f"{tool.tool}.sql").read_text())
    columns = COLUMNS.format(table=tool.table)
    assert toolkit.fetch(columns) == server.fetch(f"{toolkit.database}_old", columns)


@pytest.mark.parametrize("tool", TOOLS[1:], ids=str)
def test_the_guide_shows_what_is_printed(toolkit: Toolkit, tool: Adopted) -> None:
    restored(toolkit, tool)
    page = {"goose": "other-tools"}.get(tool.tool, f"from-{tool.tool}")
    shown = (ROOT / f"docs/guides/{page}.md").read_text()
    printed = take_over(toolkit, tool, MIGRATE_FORMAT="text").text
    missing = [line for line in printed.splitlines() if line not in shown]
    # How long it took, and where the files are, differ.
    assert [line.split()[0] for line in missing] == [
        "connected",
        str(len(list(toolkit.folder.glob("*.sql")))),
    ]


def test_the_baseline_recorded_by_hand(toolkit: Toolkit) -> None:
    tool = TOOLS[2]
    restored(toolkit, tool)
    take_over(toolkit, tool)
    add(toolkit, tool)
    assert toolkit.run("baseline", tool.baseline).code == 0
    assert toolkit.run("status").event("status")["pending"] == ["000004_new.sql"]
    assert toolkit.run("apply").event("finished")["applied"] == 1


def test_it_can_be_repeated_for_the_next_database(toolkit: Toolkit) -> None:
    tool = TOOLS[2]
    take_over(toolkit, tool, DATABASE_URL="")
    add(toolkit, tool)
    restored(toolkit, tool)
    again = take_over(toolkit, tool)
    assert (again.event("written")["written"], again.event("baseline")["baseline"]) == (0, tool.baseline)
    assert toolkit.run("validate").code == 0


REFUSED = [
    pytest.param(
        "UPDATE schema_migrations SET dirty = true",
        "version 3 is dirty",
        id="a migration has failed",
    ),
    pytest.param(
        "UPDATE schema_migrations SET version = 4",
        "applied, but not in the folder: 4.",
        id="a newer database",
    ),
    pytest.param(
        "DROP TABLE schema_migrations", "the database has no table schema_migrations", id="no history"
    ),
    pytest.param(
        "ALTER TABLE schema_migrations RENAME dirty TO clean",
        "the table schema_migrations is not one of golang-migrate",
        id="another tool's table",
    ),
    pytest.param(
        "CREATE SCHEMA old; CREATE TABLE old.schema_migrations (version bigint, dirty boolean)",
        "say which one, for example --history old.schema_migrations",
        id="two of them",
    ),
]


@pytest.mark.parametrize(("sql", "text"), REFUSED)
def test_a_history_that_is_refused(toolkit: Toolkit, sql: str, text: str) -> None:
    restored(toolkit, TOOLS[2])
    toolkit.execute(sql)
    found = toolkit.run("import", "--from", "golang-migrate", str(HISTORIES / "golang-migrate"))
    assert found.code == 12
    assert text in found.event("failed")["message"]
    assert not list(toolkit.folder.iterdir())


def test_a_table_with_another_name(toolkit: Toolkit) -> None:
    restored(toolkit, TOOLS[2])
    toolkit.execute(
        "CREATE SCHEMA own",
        "ALTER TABLE schema_migrations SET SCHEMA own",
        'ALTER TABLE own.schema_migrations RENAME TO "Done"',
    )
    found = toolkit.run(
        "import", "--from", "golang-migrate", str(HISTORIES / "golang-migrate"), "--history", "own.Done"
    )
    assert found.event("baseline")["baseline"] == "000003"


def test_a_history_without_a_row(toolkit: Toolkit) -> None:
    toolkit.execute("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
    found = take_over(toolkit, TOOLS[2])
    assert "has applied nothing" in found.event("baseline")["message"]


def test_a_folder_that_is_in_use(toolkit: Toolkit) -> None:
    (toolkit.folder / "000001_create_customers.sql").write_text("CREATE TABLE other (id int);")
    found = toolkit.run(
        "import", "--from", "golang-migrate", str(HISTORIES / "golang-migrate"), DATABASE_URL=""
    )
    assert (found.code, "import into an empty folder" in found.text) == (11, True)
    assert (toolkit.folder / "000001_create_customers.sql").read_text() == "CREATE TABLE other (id int);"
