"""The lint of files that the database has not: `lint --pending`, and `apply` with MIGRATE_LINT as the operator calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbupgrade.api.failure import Failure
from dbupgrade.pod.message import read
from e2e.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.pod.report import Report
    from tests.integration.toolkit.conftest import Toolkit

HISTORY = "select nspname from pg_namespace where nspname like 'atlas%'"


def look(toolkit: Toolkit, *arguments: str, **variables: str) -> tuple[int, int, list[str]]:
    """Exit code, number of files that were looked at, and what was found."""
    done = toolkit.run("lint", "--pending", *arguments, **variables)
    event = done.event("lint")
    return done.code, len(event["files"]), [_line(each) for each in event["findings"]]


def refused(toolkit: Toolkit, **variables: str) -> tuple[int, str, str]:
    """Exit code, class and words of a lint that could not look."""
    done = toolkit.run("lint", "--pending", **variables)
    event = done.event("failed")
    return done.code, event.get("failure", ""), event["message"]


def apply(toolkit: Toolkit, tmp_path: Path, **variables: str) -> tuple[int, Report]:
    """Exit code and report."""
    path = tmp_path / "report"
    path.write_text("")  # as the kubelet makes it
    done = toolkit.run("apply", "--report", str(path), **variables)
    text = path.read_text()
    assert not [secret for secret in ("hunter2", "p%40ss", "p@ss") if secret in text]
    report = read(text)
    assert report
    return done.code, report


def _line(finding: dict[str, Any]) -> str:
    return f"{finding['file']}:{finding['line']} {finding['level']} {finding['rule']}"


def test_only_files_that_the_database_has_not_are_looked_at(toolkit: Toolkit) -> None:
    toolkit.write(
        v1="create table a (id int, note text default 'hunter2');", v2="alter table a drop column id;"
    )
    assert look(toolkit) == (0, 0, [])  # nothing is there that could break
    assert toolkit.fetch(HISTORY) == []  # it only reads
    assert toolkit.run("apply").code == 0
    assert look(toolkit) == (0, 0, [])

    toolkit.write(v3="alter table a add check (note <> 'x');\nalter table a drop column note;")
    found = ["3_x.sql:1 warning constraint-missing-not-valid", "3_x.sql:2 error ban-drop-column"]
    assert look(toolkit) == (10, 1, found)
    assert look(toolkit, "--policy", "warn") == (0, 1, found)
    assert toolkit.fetch("select note from a") == []

    (toolkit.folder / ".atlas.hcl").write_text("lint {\n  destructive {\n    error = false\n  }\n}\n")
    assert look(toolkit)[0] == 0
    (toolkit.folder / ".atlas.hcl").unlink()
    toolkit.write(
        v3="-- dbupgrade:lint-ignore ban-drop-column: unused since 1.4\nalter table a drop column note;"
    )
    assert look(toolkit) == (0, 1, [])

    assert toolkit.run("apply").code == 0
    toolkit.write(
        **{"v2.5": "-- dbupgrade:lint-ignore skipped-file: it is wanted\ncreate table late (id int);"}
    )
    assert look(toolkit) == (10, 0, ["2.5_x.sql:1 error skipped-file"])  # Atlas would say that all is done


def test_a_baseline_counts_as_applied(toolkit: Toolkit) -> None:
    toolkit.execute("create table a (id int, note text)")
    toolkit.write(v1="alter table a drop column old;", v2="alter table a drop column note;")
    assert look(toolkit, MIGRATE_BASELINE_VERSION="1") == (10, 1, ["2_x.sql:1 error ban-drop-column"])
    assert look(toolkit)[0] == 0  # it is not clean, which is for Atlas to say


def test_in_one_schema_what_the_files_make_is_nobodys_and_all_else_is_somebodys(toolkit: Toolkit) -> None:
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
    code, _, found = look(toolkit, **parts)
    assert (code, found) == (10, ["4_x.sql:1 error ban-drop-table"])


def test_what_keeps_it_from_looking_is_said(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);")
    away = f"postgres://admin:hunter2@127.0.0.1:{free_port()}/x?sslmode=disable"
    assert refused(toolkit, DATABASE_URL=away)[:2] == (75, Failure.DATABASE_UNREACHABLE)
    wrong = toolkit.server.url(toolkit.database, "hunter2")
    assert refused(toolkit, DATABASE_URL=wrong)[:2] == (5, Failure.AUTHENTICATION)
    code, _, words = refused(toolkit, DATABASE_URL="mysql://admin:hunter2@127.0.0.1/x")
    assert (code, "supports PostgreSQL only" in words) == (2, True)
    (toolkit.folder / ".atlas.hcl").write_text("lint { hunter2")
    code, _, words = refused(toolkit)
    assert (code, ".atlas.hcl cannot be read as HCL" in words) == (2, True)
    (toolkit.folder / "1_x.sql").write_text("create table changed (id int);")
    (toolkit.folder / ".atlas.hcl").unlink()
    assert refused(toolkit)[:2] == (3, Failure.CHECKSUM)


def test_an_apply_that_lints_applies_nothing_when_there_are_errors(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int, note text default 'hunter2');")
    assert apply(toolkit, tmp_path, MIGRATE_LINT="error")[0] == 0
    toolkit.write(v2="create table b (id int);", v3="alter table a drop column note;")
    code, report = apply(toolkit, tmp_path, MIGRATE_LINT="error")
    assert (code, report.failure, report.failed_file) == (10, Failure.LINT, "3_x.sql")
    assert "drops column a.note" in (report.error or "")
    assert report.lint
    assert (report.lint.files, report.lint.errors, len(report.lint.findings)) == (2, 1, 1)
    assert toolkit.fetch("select note from a") == []
    code, report = apply(toolkit, tmp_path, MIGRATE_LINT="warn")
    assert (code, report.failure, report.applied, report.to_version) == (0, None, 2, "3")
    assert report.lint
    assert report.lint.errors == 1


LOOSE = 'lint { destructive { error = false } }\nlint { threshold = "100GB" }'


def test_under_the_operators_floor_the_image_cannot_loosen_the_lint(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int, note text);")
    (toolkit.folder / ".atlas.hcl").write_text(LOOSE)
    assert apply(toolkit, tmp_path)[0] == 0
    toolkit.write(v2="-- atlas:nolint\nalter table a drop column note;")
    code, report = apply(toolkit, tmp_path, MIGRATE_LINT="error", MIGRATE_LINT_FLOOR="true")
    assert (code, report.failure, report.failed_file) == (10, Failure.LINT, "2_x.sql")
    toolkit.write(
        v2="-- dbupgrade:lint-ignore ban-drop-column: nobody reads it\nalter table a drop column note;"
    )
    code, report = apply(toolkit, tmp_path, MIGRATE_LINT="error", MIGRATE_LINT_FLOOR="true")
    assert (code, report.failure, report.applied) == (0, None, 1)
    assert report.lint
    assert (report.lint.errors, report.lint.suppressed) == (0, 1)


def test_an_apply_that_cannot_lint_applies_nothing(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int);")
    (toolkit.folder / ".atlas.hcl").write_text("lint { hunter2")
    code, report = apply(toolkit, tmp_path, MIGRATE_LINT="warn")
    assert (code, report.failure) == (1, Failure.LINT_UNUSABLE)
    assert toolkit.fetch(HISTORY) == []


def test_every_end_leaves_a_report(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id nope);")
    code, report = apply(toolkit, tmp_path)
    assert (code, report.failure, report.failed_file) == (7, Failure.SQL, "2_x.sql")
    assert (report.applied, report.pending, report.to_version) == (1, 1, "1")
    away = f"postgres://admin:hunter2@127.0.0.1:{free_port()}/x?sslmode=disable"
    code, report = apply(toolkit, tmp_path, DATABASE_URL=away, MIGRATE_WAIT_TIMEOUT="0s")
    assert (code, report.failure) == (75, Failure.DATABASE_UNREACHABLE)
    code, report = apply(toolkit, tmp_path, DATABASE_URL="mongodb://admin:hunter2@127.0.0.1/x")
    assert (code, report.failure) == (2, Failure.CONNECTION_SETTINGS)
    code, report = apply(toolkit, tmp_path, MIGRATION_DIR=str(tmp_path / "absent"))
    assert (code, report.failure) == (11, Failure.EMPTY_FOLDER)
    code, report = apply(toolkit, tmp_path, ATLAS_BIN=str(tmp_path / "absent"))
    assert (code, report.failure) == (2, Failure.ATLAS_UNUSABLE)


def test_a_lint_block_of_an_environment_is_said_not_to_be_read(toolkit: Toolkit) -> None:
    toolkit.write(v1="drop table a;")
    block = 'env "ci" {\n  lint {\n    destructive {\n      error = false\n    }\n  }\n}\n'
    (toolkit.folder / ".atlas.hcl").write_text(block)
    done = toolkit.run("lint", "--all", DATABASE_URL="")
    assert done.code == 10
    warning = done.event("not_read")
    assert (warning["level"], 'lint block in env "ci" is not read' in warning["message"]) == ("warning", True)
