"""`plan`, and `apply` of a plan that needs approval, on a real PostgreSQL."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod import plan as documents
from dbupgrade.pod.message import read
from tests.integration.toolkit.conftest import PASSWORD, Toolkit

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.api.plan import Plan
    from dbupgrade.pod.report import Report

IMAGE = "sha256:" + "a" * 64
ALWAYS = {"MIGRATE_APPROVAL": "Always", "MIGRATE_PLAN_FOR": "shop/orders", "MIGRATE_IMAGE_DIGEST": IMAGE}
FINDINGS = {**ALWAYS, "MIGRATE_APPROVAL": "OnFindings"}
HISTORY = "select nspname from pg_namespace where nspname like 'atlas%'"


def plan(toolkit: Toolkit, *arguments: str, **variables: str) -> Plan:
    """The plan that the command prints, as the operator would read it."""
    done = toolkit.run("plan", *arguments, **variables)
    assert done.code in (0, 13), done.text
    line = next(line for line in done.text.splitlines() if line.startswith('{"event": "plan"'))
    found = documents.read(done.text, documents.sha256(line))
    assert found
    return found


def apply(toolkit: Toolkit, tmp_path: Path, **variables: str) -> tuple[int, Report]:
    path = tmp_path / "report"
    path.write_text("")
    done = toolkit.run("apply", "--report", str(path), **variables)
    report = read(path.read_text())
    assert report
    if report.plan:
        found = documents.read(done.text, report.plan.line)
        assert found
        assert found.digest == report.plan.digest
    return done.code, report


def approved(digest: str, **changes: str) -> dict[str, str]:
    return {**ALWAYS, "MIGRATE_APPROVED_PLANS": digest, **changes}


def start(toolkit: Toolkit) -> None:
    """A database with a history, and two files that it has not."""
    toolkit.write(
        v1="create table a (id int primary key, note text); create table b (id int);",
    )
    assert toolkit.run("apply").code == 0
    toolkit.write(
        v2="alter table a add column size int;\ncreate index on a (size);", v3="create table c (id int);"
    )


def test_a_plan_reads_only_and_says_what_would_happen(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);", v2="insert into a values (1), (2);")
    first = plan(toolkit, **ALWAYS)
    assert (first.file_count, first.statement_count, first.from_version, first.to_version) == (
        2,
        2,
        None,
        "2",
    )
    assert toolkit.fetch(HISTORY) == []
    assert toolkit.tables() == set()

    assert toolkit.run("apply").code == 0
    toolkit.write(v3="create table b (id int);")
    found = plan(toolkit, **ALWAYS)
    assert (found.from_version, found.to_version, found.file_count) == ("2", "3", 1)
    assert toolkit.tables() == {"a"}


def test_a_plan_with_a_baseline_has_what_would_be_applied(toolkit: Toolkit) -> None:
    toolkit.write(
        v1="create table a (id int);", v2="alter table a add column b int;", v3="create table c (id int);"
    )
    baseline = {**ALWAYS, "MIGRATE_BASELINE_VERSION": "1"}
    assert {file.name for file in plan(toolkit, **baseline).files} == {"1_x.sql", "2_x.sql", "3_x.sql"}
    toolkit.execute("create table a (id int)")
    adopted = plan(toolkit, **baseline)
    assert {file.name for file in adopted.files} == {"2_x.sql", "3_x.sql"}
    done = toolkit.run("apply", **{**baseline, **approved(adopted.digest)})
    assert done.code == 0, done.text
    assert "3 applied (2 of 2)" in done.text
    assert toolkit.tables() == {"a", "c"}


def test_a_baseline_behind_which_nothing_is_left_is_recorded(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);")
    toolkit.execute("create table a (id int)")
    done = toolkit.run("apply", MIGRATE_BASELINE_VERSION="1")
    assert (done.code, done.event("finished")["applied"], done.event("finished")["version"]) == (0, 0, "1")
    toolkit.write(v2="create table b (id int);")
    assert toolkit.run("apply").event("finished")["applied"] == 1


def test_nobody_is_asked_about_a_plan_that_could_not_be_carried_out(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int);", v2="create table b (id int);")
    toolkit.execute("create table a (id int)")
    for baseline, failure, code in (("", Failure.NOT_CLEAN, 6), ("7", Failure.BASELINE_NOT_FOUND, 2)):
        variables = {**ALWAYS, "MIGRATE_BASELINE_VERSION": baseline}
        assert toolkit.run("plan", **variables).code == code
        ended, report = apply(toolkit, tmp_path, **variables)
        assert (ended, report.failure, report.plan) == (code, failure, None)
    assert "found table" in toolkit.run("plan", **ALWAYS).text
    assert toolkit.tables() == {"a"}


def test_locks_sizes_and_findings_are_told_the_worst_first(toolkit: Toolkit) -> None:
    start(toolkit)
    toolkit.execute("insert into a select g, 'x' from generate_series(1, 1000) g", "analyze a")
    found = plan(toolkit, **FINDINGS)
    assert [file.name for file in found.files] == ["2_x.sql", "3_x.sql"]
    add, build = sorted(found.files[0].notable, key=lambda each: each.line)
    assert [(lock.table, lock.mode, lock.effect, lock.rows) for lock in add.locks] == [
        ("public.a", "ACCESS EXCLUSIVE", "", 1000)
    ]
    assert [(lock.mode, lock.effect) for lock in build.locks] == [("SHARE", "scans")]
    assert [each.rule for each in build.findings][:1] == ["require-concurrent-index-creation"]
    assert found.asks == "Lint finds 1 error: 2_x.sql line 2 builds an index on a"


def test_a_copy_a_read_only_server_and_the_database_itself_have_one_digest(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    start(toolkit)
    copy = Toolkit(toolkit.server, f"{toolkit.database}_copy", tmp_path / "copy")
    shutil.copytree(toolkit.folder, copy.folder)
    toolkit.server.execute("postgres", f"create database {copy.database} template {toolkit.database}")
    copy.execute("insert into a select g, 'x' from generate_series(1, 10000) g", "analyze a")
    toolkit.server.execute(
        "postgres", f"alter database {copy.database} set default_transaction_read_only = on"
    )
    digest = plan(toolkit, **ALWAYS).digest
    assert plan(copy, "--for", "shop/orders", "--image-digest", IMAGE).digest == digest
    assert plan(copy, "--for", "shop/others", "--image-digest", IMAGE).digest != digest
    assert apply(toolkit, tmp_path, **approved(digest))[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        "alter table a add column other int",
        "alter table a alter column note set not null",
        "alter table a alter column note set default 'x'",
        "create index on a (note)",
        "alter table a add constraint positive check (id > 0)",
        "create function f() returns trigger language plpgsql as 'begin return new; end';"
        " create trigger t before insert on a for each row execute function f()",
        "alter table a alter column note type varchar(10)",
        "insert into atlas_schema_revisions.atlas_schema_revisions select '0', description, type, applied, total,"
        " executed_at, execution_time, error, error_stmt, hash, partial_hashes, operator_version"
        " from atlas_schema_revisions.atlas_schema_revisions",
    ],
)
def test_a_database_that_changed_needs_another_approval(
    toolkit: Toolkit, tmp_path: Path, change: str
) -> None:
    start(toolkit)
    digest = plan(toolkit, **ALWAYS).digest
    toolkit.execute(change)
    code, report = apply(toolkit, tmp_path, **approved(digest))
    assert (code, report.failure, report.applied) == (13, Failure.APPROVAL_PENDING, None)
    assert report.error == "approval is Always; the approval is for a different plan"
    assert "c" not in toolkit.tables()
    assert report.plan
    assert report.plan.digest != digest
    assert apply(toolkit, tmp_path, **approved(f"{digest} {report.plan.digest}"))[0] == 0
    assert "c" in toolkit.tables()


@pytest.mark.parametrize(
    "change",
    [
        "create table elsewhere (id int)",
        "insert into a select g, 'x' from generate_series(1, 1000) g",
        "alter table b add column x int",
        "analyze a",
    ],
)
def test_what_has_nothing_to_do_with_the_files_changes_no_plan(toolkit: Toolkit, change: str) -> None:
    start(toolkit)
    digest = plan(toolkit, **ALWAYS).digest
    toolkit.execute(change)
    assert plan(toolkit, **ALWAYS).digest == digest


def test_other_files_and_another_image_are_another_plan(toolkit: Toolkit, tmp_path: Path) -> None:
    start(toolkit)
    digest = plan(toolkit, **ALWAYS).digest
    code, report = apply(toolkit, tmp_path, **approved(digest, MIGRATE_IMAGE_DIGEST="sha256:" + "b" * 64))
    assert (code, report.failure) == (13, Failure.APPROVAL_PENDING)
    code, report = apply(toolkit, tmp_path, **approved(digest, MIGRATE_PLAN_FOR="shop/others"))
    assert (code, report.failure) == (13, Failure.APPROVAL_PENDING)
    toolkit.write(v3="create table c (id bigint);")
    code, report = apply(toolkit, tmp_path, **approved(digest))
    assert (code, report.failure) == (13, Failure.APPROVAL_PENDING)
    toolkit.write(v3="create table c (id int);")
    assert apply(toolkit, tmp_path, **approved(digest))[0] == 0


def test_nothing_pending_needs_no_approval(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int);")
    assert toolkit.run("apply").code == 0
    code, report = apply(toolkit, tmp_path, **ALWAYS)
    assert (code, report.failure, report.plan) == (0, None, None)
    assert plan(toolkit, **ALWAYS).asks == ""


def test_only_findings_and_large_tables_ask(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1="create table a (id int, note text);")
    assert apply(toolkit, tmp_path, **FINDINGS)[0] == 0
    toolkit.write(v2="alter table a add column b int;")
    toolkit.execute("insert into a select g, repeat('x', 100) from generate_series(1, 10000) g")
    code, report = apply(toolkit, tmp_path, **FINDINGS, MIGRATE_APPROVAL_ABOVE="1Mi")
    assert code == 13
    assert "blocks writes to public.a" in str(report.error)
    assert apply(toolkit, tmp_path, **FINDINGS)[0] == 0
    toolkit.write(v3="alter table a drop column note;")
    code, report = apply(toolkit, tmp_path, **FINDINGS)
    assert (code, report.error) == (13, "Lint finds 1 error: 3_x.sql line 1 drops column a.note")
    (toolkit.folder / ".atlas.hcl").write_text("lint {\n  destructive {\n    error = false\n  }\n}\n")
    assert apply(toolkit, tmp_path, **FINDINGS, MIGRATE_LINT_FLOOR="true")[0] == 13


def test_a_secret_in_a_name_is_in_no_plan(toolkit: Toolkit, tmp_path: Path) -> None:
    toolkit.write(v1=f'create table "{PASSWORD}" (id int);')
    assert toolkit.run("apply").code == 0
    toolkit.write(v2=f'drop table "{PASSWORD}";')
    for asking in (ALWAYS, FINDINGS):
        code, report = apply(toolkit, tmp_path, **asking)
        assert code == 13
        assert report.plan
        assert PASSWORD not in repr(report)


def test_a_large_table_among_many_asks(toolkit: Toolkit, tmp_path: Path) -> None:
    names = [f"t{number}" for number in range(30)]
    toolkit.write(v1="".join(f"create table {name} (id int, note text);" for name in names))
    assert toolkit.run("apply").code == 0
    toolkit.execute("insert into t29 select g, repeat('x', 100) from generate_series(1, 20000) g")
    for version, sql in {
        "v2": f"lock table {', '.join(names)} in exclusive mode;",
        "v3": "\n".join(f"alter table {name} add column b int;" for name in names),
    }.items():
        toolkit.write(**{version: sql})
        found = plan(toolkit, **FINDINGS, MIGRATE_APPROVAL_ABOVE="1Mi")
        assert "blocks writes to public.t29" in found.asks
        code, _ = apply(toolkit, tmp_path, **FINDINGS, MIGRATE_APPROVAL_ABOVE="1Mi")
        assert code == 13


def test_text_and_markdown(toolkit: Toolkit) -> None:
    start(toolkit)
    text = toolkit.run("plan", "--format", "text").text
    assert "2 files, 3 statements, from 1 to 3" in text
    assert "locks public.a" in text
    document = toolkit.run("plan", "--format", "markdown").text
    assert "## Migration plan" in document
    assert "| `2_x.sql` | | 2 statements |" in document


def test_psql_makes_plans_too(toolkit: Toolkit, tmp_path: Path) -> None:
    psql = {**ALWAYS, "MIGRATE_ENGINE": "Psql"}
    (toolkit.folder / "001.sql").write_text("create table a (id int, note text);\n\\echo done\n")
    assert plan(toolkit, **psql).file_count == 1
    assert toolkit.tables() == set()
    code, report = apply(toolkit, tmp_path, **psql)
    assert (code, report.failure, toolkit.tables()) == (13, Failure.APPROVAL_PENDING, set())
    assert report.plan
    assert apply(toolkit, tmp_path, **psql, MIGRATE_APPROVED_PLANS=report.plan.digest)[0] == 0

    (toolkit.folder / "002.sql").write_text("\\echo drop\nalter table a drop column note;\n")
    found = plan(toolkit, **psql)
    assert (found.from_version, found.to_version, found.statement_count, found.errors) == ("001", "002", 1, 1)
    assert [lock.table for lock in found.files[0].notable[0].locks] == ["public.a"]
    toolkit.execute("alter table a add column x int")
    code, report = apply(toolkit, tmp_path, **psql, MIGRATE_APPROVED_PLANS=found.digest)
    assert (code, report.failure) == (13, Failure.APPROVAL_PENDING)
    assert report.plan
    assert apply(toolkit, tmp_path, **psql, MIGRATE_APPROVED_PLANS=report.plan.digest)[0] == 0
