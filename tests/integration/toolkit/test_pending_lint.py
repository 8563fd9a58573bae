"""`lint --pending`, as the operator's Job calls it: the files that the database has not, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.status import Failure
from dbupgrade.pod.steps import lint
from e2e.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.toolkit.conftest import Toolkit

    Look = Callable[..., tuple[int, lint.Told]]

HISTORY = "select nspname from pg_namespace where nspname like 'atlas%'"


@pytest.fixture
def look(toolkit: Toolkit, tmp_path: Path) -> Look:
    """Exit code and report."""
    report = tmp_path / "report"

    def call(*arguments: str, **variables: str) -> tuple[int, lint.Told]:
        report.write_text("")  # as the kubelet makes it
        done = toolkit.run("lint", "--pending", "--report", str(report), *arguments, **variables)
        text = report.read_text()
        assert not [secret for secret in ("hunter2", "p%40ss", "p@ss") if secret in text]
        return done.code, lint.parse(text)

    return call


def found(told: lint.Told) -> list[str]:
    assert told.lint
    return [f"{each.file}:{each.line} {each.level} {each.rule}" for each in told.lint.findings]


def test_only_files_that_the_database_has_not_are_looked_at(toolkit: Toolkit, look: Look) -> None:
    toolkit.write(
        v1="create table a (id int, note text default 'hunter2');", v2="alter table a drop column id;"
    )
    code, told = look()
    assert (code, told.lint and told.lint.files) == (0, 0)  # nothing is there that could break
    assert toolkit.fetch(HISTORY) == []  # it only reads
    assert toolkit.run("apply").code == 0
    assert look() == (0, lint.told(0, [], refuse=True))

    toolkit.write(v3="alter table a add check (note <> 'hunter2');\nalter table a drop column note;")
    code, told = look()
    assert (code, told.failure) == (10, Failure.LINT)
    assert found(told) == [
        "3_x.sql:2 error ban-drop-column",
        "3_x.sql:1 warning constraint-missing-not-valid",
    ]
    code, told = look("--policy", "warn")
    assert (code, told.failure, len(found(told))) == (0, None, 2)
    assert toolkit.fetch("select note from a") == []

    (toolkit.folder / ".atlas.hcl").write_text("lint {\n  destructive {\n    error = false\n  }\n}\n")
    assert look()[0] == 0
    (toolkit.folder / ".atlas.hcl").unlink()
    toolkit.write(
        v3="-- dbupgrade:lint-ignore ban-drop-column: unused since 1.4\nalter table a drop column note;"
    )
    assert look() == (0, lint.told(1, [], refuse=True))

    assert toolkit.run("apply").code == 0
    toolkit.write(
        **{"v2.5": "-- dbupgrade:lint-ignore skipped-file: it is wanted\ncreate table late (id int);"}
    )
    code, told = look()
    assert (code, found(told)) == (10, ["2.5_x.sql:1 error skipped-file"])  # Atlas would say that all is done


def test_a_baseline_counts_as_applied(toolkit: Toolkit, look: Look) -> None:
    toolkit.execute("create table a (id int, note text)")
    toolkit.write(v1="alter table a drop column old;", v2="alter table a drop column note;")
    code, told = look(MIGRATE_BASELINE_VERSION="1")
    assert (code, found(told)) == (10, ["2_x.sql:1 error ban-drop-column"])
    assert look()[0] == 0  # it is not clean, which is for Atlas to say


def test_in_one_schema_what_the_files_make_is_nobodys_and_all_else_is_somebodys(
    toolkit: Toolkit, look: Look
) -> None:
    toolkit.execute("create schema tenant", "create table public.b (id int)")
    toolkit.write(
        v1="create table a (id int);",
        v2="create index i on a (id);",
        v3="drop table a;",
        v4="drop table public.b;",
    )
    parts = {
        "DATABASE_URL": "",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(toolkit.server.port),
        "DB_USER": "admin",
        "DB_PASSWORD": "p@ss:w/rd#?% hunter2",
        "DB_NAME": toolkit.database,
        "DB_SSLMODE": "disable",
        "DB_SCHEMA": "tenant",
    }
    code, told = look(**parts)
    assert (code, found(told)) == (10, ["4_x.sql:1 error ban-drop-table"])


def test_what_keeps_it_from_looking_is_told_as_a_class(toolkit: Toolkit, look: Look) -> None:
    toolkit.write(v1="create table a (id int);")
    away = f"postgres://admin:hunter2@127.0.0.1:{free_port()}/x?sslmode=disable"
    assert look(DATABASE_URL=away) == (4, lint.Told(failure=Failure.DATABASE_UNREACHABLE))
    refused = toolkit.server.url(toolkit.database, "hunter2")
    assert look(DATABASE_URL=refused) == (5, lint.Told(failure=Failure.AUTHENTICATION))
    code, told = look(DATABASE_URL="mysql://admin:hunter2@127.0.0.1/x")
    assert (code, told.failure) == (2, Failure.LINT_UNUSABLE)
    assert "PostgreSQL's SQL only" in (told.error or "")
    (toolkit.folder / ".atlas.hcl").write_text("lint { hunter2")
    code, told = look()
    assert (code, told.failure) == (2, Failure.LINT_UNUSABLE)
    assert ".atlas.hcl cannot be read as HCL" in (told.error or "")
    (toolkit.folder / "1_x.sql").write_text("create table changed (id int);")
    (toolkit.folder / ".atlas.hcl").unlink()
    assert look() == (3, lint.Told(failure=Failure.CHECKSUM))


def test_a_lint_block_of_an_environment_is_said_not_to_be_read(toolkit: Toolkit) -> None:
    toolkit.write(v1="drop table a;")
    block = 'env "ci" {\n  lint {\n    destructive {\n      error = false\n    }\n  }\n}\n'
    (toolkit.folder / ".atlas.hcl").write_text(block)
    done = toolkit.run("lint", "--all", DATABASE_URL="")
    assert done.code == 10
    warning = done.event("not_read")
    assert (warning["level"], 'lint block in env "ci" is not read' in warning["message"]) == ("warning", True)
