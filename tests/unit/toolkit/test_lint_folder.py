"""The lint on whole folders: what earlier files did, suppressions, settings, and how it answers."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

import pytest

from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.lint import formats, settings
from dbupgrade.toolkit.lint.findings import Known, findings, skipped
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.lint.world import Database, Size
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name
from tests.lint.examples import FOUND

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.toolkit.lint.rule import Finding


def look(*texts: str, known: Known | None = None, chosen: int | None = None) -> list[Finding]:
    """The findings in the last of these files, or in the last `chosen` ones."""
    files = [File(f"{number:03d}_x.sql", text) for number, text in enumerate(texts, 1)]
    return findings(files, {file.name for file in files[-(chosen or 1) :]}, known)


def short(found: list[Finding]) -> list[str]:
    return [f"{each.line} {each.level} {each.rule.name}" for each in found]


NOT_NULL = "alter table t alter a set not null;"
CHECK = "alter table t add constraint c check (a is not null) not valid;"


@pytest.mark.parametrize(
    ("before", "last", "expected"),
    [
        # What a file before did counts, whether or not it made the table.
        ([CHECK, "alter table t validate constraint c;"], f"{NOT_NULL} alter table t drop constraint c;", []),
        ([CHECK], NOT_NULL, ["1 error adding-not-nullable-field"]),
        ([CHECK, "alter table t validate constraint c;", "alter table t drop constraint c;"], NOT_NULL, ["1 error adding-not-nullable-field"]),
        (["alter table s.t add constraint c check (a is not null);"], NOT_NULL, ["1 error adding-not-nullable-field"]),
        (["alter table t add constraint c check (a is not null or b is null);"], NOT_NULL, ["1 error adding-not-nullable-field"]),
        (["alter table t add constraint c check (a is not null and b > 1);"], NOT_NULL, []),
        (["create table t (a int not null);"], NOT_NULL, []),
        (["create table t (a int not null);", "alter table t alter a drop not null;"], NOT_NULL, ["1 error adding-not-nullable-field"]),
        (["create table if not exists t (a int not null);"], NOT_NULL, ["1 error adding-not-nullable-field"]),
        (["create table t (a int); create unique index concurrently u on t (a);"], "alter table t add primary key using index u;", ["1 error adding-not-nullable-field"]),
        (["create table t (a int not null); create unique index concurrently u on t (a);"], "alter table t add primary key using index u;", []),
        # Types that need no writing.
        (["create table t (a varchar(10));"], "alter table t alter a type varchar(20);", []),
        (["create table t (a varchar(10));"], "alter table t alter a type text;", []),
        (["create table t (a varchar(10));"], "alter table t alter a type varchar(5);", ["1 error changing-column-type"]),
        (["create table t (a int);"], "alter table t alter a type text;", ["1 error changing-column-type"]),
        (["create table t (a numeric(8, 2));"], "alter table t alter a type numeric(12, 2);", []),
        (["create table t (a numeric(8, 2));"], "alter table t alter a type numeric(12, 3);", ["1 error changing-column-type"]),
        (["create table t (a text);"], "alter table t alter a type text using upper(a);", ["1 error changing-column-type"]),
        # Tables made long ago are somebody's.
        (["create table t (a int);"], "create index i on t (a);", ["1 error require-concurrent-index-creation"]),
        (["create table t (a int);"], "drop table t;", ["1 error ban-drop-table"]),
        # Doubt is danger.
        ([], "create table if not exists t (a int); drop table t;", ["1 error ban-drop-table"]),
        ([], "drop table if exists t; create table if not exists t (a int); create index i on t (a);", ["1 error ban-drop-table"]),
        ([], "create table s.t (a int); drop table t;", ["1 error ban-drop-table"]),
        ([], "create table t (a int); set search_path = s; drop table t;", ["1 error ban-drop-table"]),
        ([], "set search_path = s, public; create table public.t (a int); drop table t;", ["1 error ban-drop-table"]),
        ([], "create schema s; set search_path = s, public; create table public.t (a int); drop table t;", []),
        (["set search_path = s;"], "create table t (a int); drop table public.t;", []),
        ([], "do $$ begin create table t (a int); end $$; drop table t;", ["1 error ban-drop-table"]),
        ([], "create table t (a int); alter table t rename to u; drop table t;", ["1 error ban-drop-table"]),
        ([], "create table t (a int); drop table t; drop table t;", ["1 error ban-drop-table"]),
        # Partitions.
        (["create table p (a int) partition by range (a); create table one (a int);"], "alter table p attach partition one for values from (1) to (9);", ["1 error attach-partition-without-check"]),
        (["create table one (a int); alter table one add constraint c check (a > 0);"], "alter table p attach partition one for values from (1) to (9);", []),
        (["create table t (a int);"], "create index i on only t (a);", ["1 error require-concurrent-index-creation"]),
        (["create table p (a int) partition by range (a);"], "create index i on only p (a);", []),
        (["create table p (a int) partition by range (a); create index i on only p (a);"], "drop index i;", []),
        (["create table one (a int); alter table one add constraint c check (a > 0);"], "alter table p attach partition one for values from (1) to (9); alter table one drop constraint c;", []),
        ([], "alter table t add column note text; create view v as select 1; alter view v rename to w;", []),
        # Transactions.
        ([], "-- atlas:txmode none\n\nalter table t add constraint c check (a > 0) not valid;\nalter table t validate constraint c;", []),
        ([], "-- atlas:txmode none\n\ndrop view v;\ncreate view v as select 1;", ["3 error drop-object"]),
        ([], "alter type mood add value 'ok';\nselect 'ok';", ["2 error enum-value-in-same-transaction"]),
        (["alter type mood add value 'ok';"], "select 'ok';", []),
    ],
)  # fmt: skip
def test_the_whole_folder_is_known(before: list[str], last: str, expected: list[str]) -> None:
    assert short(look(*before, last)) == expected


def test_files_that_are_applied_together_share_their_new_tables() -> None:
    texts = ("create table t (a int);", "create index i on t (a);\nalter table t alter a type bigint;")
    assert short(look(*texts, chosen=2, known=Known(together=True))) == []
    assert len(look(*texts, chosen=2)) == len(look(*texts, known=Known(together=True))) == 2


def test_without_a_lock_timeout_the_first_wait_of_a_file_is_told() -> None:
    known = Known(has_timeout=False)
    text = "alter table t add column b int;\nalter table t add column c int;"
    assert short(look(text, known=known)) == ["1 warning require-timeout-settings"]
    assert look(f"set lock_timeout = '2s';\n{text}", known=known) == []
    assert short(look(f"set lock_timeout = 0;\n{text}", known=known)) == [
        "2 warning require-timeout-settings"
    ]
    assert look("create table t (a int); alter table t add column b int;", known=known) == []


def test_the_statement_that_would_be_right_is_written_out() -> None:
    assert [
        each.instead for each in look('create unique index if not exists i on "S".t (lower(a)) where b;')
    ] == ['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON "S".t (lower(a)) WHERE b;']
    assert look("alter table t add constraint f foreign key (a) references p (id) on delete cascade;")[
        0
    ].instead == (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE NOT VALID;\n"
        "-- in a later file: ALTER TABLE t VALIDATE CONSTRAINT f;"
    )
    assert look('alter table "order" add unique (a, "B");')[0].instead == (
        'CREATE UNIQUE INDEX CONCURRENTLY "order_a_B_key" ON "order" (a, "B");\n'
        '-- in a later file: ALTER TABLE "order" ADD CONSTRAINT "order_a_B_key" UNIQUE USING INDEX "order_a_B_key";'
    )


RENAMES = ("renaming-table", "renaming-object", "set-schema")
ADVICE = [each for each in FOUND if each.rule != "syntax-error"]


@pytest.mark.parametrize("example", ADVICE, ids=lambda example: f"{example.rule}: {example.sql[:60]}")
def test_no_alarm_on_its_own_advice(example: object) -> None:
    """What the lint says to write, written as it says, is no finding."""
    for finding in look(example.sql):  # type: ignore[attr-defined]
        if not finding.instead or "…" in finding.instead:
            continue
        files = [
            re.sub(r"^-- (in a later file|in an earlier file|then): ", "", line)
            for line in finding.instead.splitlines()
        ]
        for count in range(1, len(files) + 1):
            again = [each for each in look(*files[:count]) if each.rule.name == finding.rule.name]
            # A rename stays one: its view is what makes it bearable, and the suppression says so.
            assert again == [] or finding.rule.name in RENAMES, files[:count]


@pytest.mark.parametrize(
    ("before", "text", "instead"),
    [
        ("create table t (id int primary key, a int);", "update t set a = 1;", "UPDATE t SET a = 1 WHERE id BETWEEN … AND …;  -- batch by batch"),
        ("create table t (a numeric(8, 2));", "alter table t rename a to b;", "ALTER TABLE t ADD COLUMN b numeric(8, 2);"),
        ("", "alter table s.t set schema r;", "ALTER TABLE s.t SET SCHEMA r;\nCREATE VIEW s.t AS SELECT * FROM r.t;"),
        ("", "alter view v rename to w;", "ALTER VIEW v RENAME TO w;\nCREATE VIEW v AS SELECT * FROM w;"),
        ("", "alter domain d add check (value > 0);", "ALTER DOMAIN d ADD CONSTRAINT d_check CHECK (value > 0) NOT VALID;\n-- in a later file: ALTER DOMAIN d VALIDATE CONSTRAINT d_check;"),
        ("", "alter type mood add value 'it''s'; insert into m values ('it''s');", "-- in an earlier file: ALTER TYPE mood ADD VALUE 'it''s';"),
        ("", "alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c;", "-- in a later file: ALTER TABLE t VALIDATE CONSTRAINT c;"),
    ],
)  # fmt: skip
def test_for_this_very_table(before: str, text: str, instead: str) -> None:
    assert instead in [each.instead for each in look(before, text)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("-- dbupgrade:lint-ignore ban-drop-table: nobody uses it since 1.4\ndrop table t;", []),
        ("-- dbupgrade:lint-ignore destructive\ndrop table t;", []),
        ("-- atlas:nolint destructive\ndrop table t;", []),
        ("-- atlas:nolint DS102\ndrop table t;", []),
        ("-- atlas:nolint\ndrop table t;", []),
        ("-- squawk-ignore ban-drop-table\ndrop table t;", []),
        ("-- squawk-ignore-file\nselect 1;\ndrop table t;", []),
        ("-- dbupgrade:lint-ignore drop_table\ndrop table t;", []),
        (
            "-- dbupgrade:lint-ignore truncate\ndrop table t;",
            ["1 warning unused-suppression", "2 error ban-drop-table"],
        ),
        ("-- dbupgrade:lint-ignore\ndrop table t;", ["2 error ban-drop-table"]),
        ("-- dbupgrade:lint-ignore truncate\ntruncate t;\ntruncate u;", ["3 error truncate"]),
        ("-- dbupgrade:lint-ignore truncate\n\ntruncate t;\ntruncate u;", []),
        ("select '-- atlas:nolint';\ntruncate t;", ["2 error truncate"]),
        (
            "-- dbupgrade:lint-ignore truncate: a reason\ndo $$\nbegin\n  truncate t;\nend $$;\ntruncate u;",
            ["6 error truncate"],
        ),
        ("select 1;\n-- dbupgrade:lint-ignore ban-drop-tabel: oh\nselect 2;", ["2 warning unused-suppression"]),
        ("-- squawk-ignore prefer-text-field\ncreate table t (a int);", []),
        ("-- squawk-ignore ban-drop-table\ncreate table t (a int);", ["1 warning unused-suppression"]),
        ("-- atlas:nolint\ncreate table t (a int);", ["1 warning unused-suppression"]),
        ("-- dbupgrade:lint-ignore truncate, ban-drop-table: x\n\ntruncate t;\nselect 1;", ["1 warning unused-suppression"]),
    ],
)  # fmt: skip
def test_suppression_by_comments(text: str, left: list[str]) -> None:
    found = [each for each in look(text) if each.rule.name != "several-locks"]
    assert short(found) == left


HCL = r"""
lint {
  latest = 2
  threshold = "100MB"
  destructive  { error = false }
  data_depend  { error = true }
  modify_check { error = true }
  naming {
    error = true
    match = "^[a-z_]+$"
    index {
      match   = "^.+_idx\\d?$"
      message = "an index ends with _idx"
    }
  }
  git { base = "develop" }
}
env "ci" { url = getenv("DATABASE_URL") }
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop table t;", ["1 warning ban-drop-table"]),
        ("update t set a = 1;", ["1 error update-without-where"]),
        ("alter table t add constraint c check (a > 1);", ["1 error constraint-missing-not-valid"]),
        (
            'create table "T" ("B" bigint);',
            ["names table T: must match ^[a-z_]+$", "names column B: must match ^[a-z_]+$"],
        ),
        ("create index concurrently t_a_idx2 on t (a);", []),
        ("create index concurrently t_a on t (a);", ["names index t_a: an index ends with _idx"]),
        (
            'alter table t add constraint "X" foreign key (a) references u not valid;',
            ["names foreign key X: must match ^[a-z_]+$"],
        ),
    ],
)
def test_the_settings_of_an_atlas_hcl(text: str, expected: list[str]) -> None:
    asked = settings.read(HCL, ".atlas.hcl")
    assert (asked.latest, asked.git_base, asked.threshold) == (2, "develop", 100 << 20)
    found = look(text, known=Known(asked))
    assert [each.what if each.rule.name == "naming" else short([each])[0] for each in found] == expected


def test_below_the_threshold_what_hurts_large_tables_is_a_warning() -> None:
    small, large = Size(1 << 20, 9_000), Size(214 << 30, 1_200_000_000)
    text = "create index i on orders (day);\ncreate index j on parcels (day);\ndrop table orders;"
    sizes = {Name("public", "orders"): small, Name("public", "parcels"): large}
    asked = LintSettings(threshold=100 << 20)
    found = look(text, known=Known(asked, Database(sizes=sizes), asked=True))
    assert [each for each in short(found) if "locks" not in each] == [
        "1 warning require-concurrent-index-creation",
        "2 error require-concurrent-index-creation",
        "3 error ban-drop-table",
    ]
    assert found[0].why == "writes to orders (1 MB, about 9 thousand rows) wait while it is built"
    assert "parcels (214 GB, about 1.2 billion rows)" in "".join(each.why for each in found)


def test_settings_that_cannot_be_read_and_where_they_are_looked_for(tmp_path: Path) -> None:
    broken = (
        "lint {",
        'lint { naming { match = "(" } }',
        'lint { latest = "x" }',
        'lint { threshold = "big" }',
    )
    for text in broken:
        with pytest.raises(BadEnvironmentError, match=r"x\.hcl"):
            settings.read(text, "x.hcl")
    assert settings.find(None, [tmp_path]) == LintSettings()
    (tmp_path / ".atlas.hcl").write_text("lint { destructive { error = false } }")
    assert settings.find(None, [tmp_path]).errors == {"destructive": False}
    with pytest.raises(BadEnvironmentError, match="there is no such file"):
        settings.find(tmp_path / "none.hcl", [tmp_path])


def test_under_a_floor_settings_make_the_lint_stricter_only() -> None:
    text = """
lint {
  destructive { error = false }
  concurrent_index { error = true }
  threshold = "100MB"
  naming { match = "^[a-z_]+$" }
}"""
    asked = settings.read(text, ".atlas.hcl")
    floor = asked.stricter()
    assert (floor.errors, floor.threshold, floor.naming) == ({"concurrent_index": True}, None, asked.naming)
    (told,) = floor.unread
    assert told.startswith(
        "lint.destructive.error = false, lint.threshold in the image would loosen the lint"
    )
    assert LintSettings().stricter().unread == ()
    drop = "drop table orders;"
    assert short(look(drop, known=Known(asked))) == ["1 warning ban-drop-table"]
    assert short(look(drop, known=Known(floor))) == ["1 error ban-drop-table"]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("-- dbupgrade:lint-ignore ban-drop-table: nobody reads it", ["2 info ban-drop-table"]),
        ("-- dbupgrade:lint-ignore ban-drop-table", ["2 error ban-drop-table"]),
        ("-- dbupgrade:lint-ignore ban-drop-table:  ", ["2 error ban-drop-table"]),
        ("-- atlas:nolint destructive", ["2 error ban-drop-table"]),
        ("-- squawk-ignore ban-drop-table", ["2 error ban-drop-table"]),
    ],
)
def test_under_a_floor_a_suppression_needs_a_reason_and_is_reported(
    comment: str, expected: list[str]
) -> None:
    text = f"{comment}\ndrop table orders;"
    found = look(text, known=Known(LintSettings().stricter(), asked=True))
    assert short(found) == expected
    if expected == ["2 info ban-drop-table"]:
        assert found[0].message == "drops table orders: suppressed, because nobody reads it"
    assert short(look(text, known=Known(LintSettings(), asked=True))) == []


@pytest.mark.parametrize("expression", ["^(a|aa)+$", "^(a|a)*$"])
def test_an_expression_that_never_ends_is_given_up(expression: str) -> None:
    asked = settings.read(f'lint {{ naming {{ match = "{expression}" }} }}', ".atlas.hcl")
    with pytest.raises(BadEnvironmentError, match="takes too long"):
        look(f"create table {'a' * 60}1 (id int);", known=Known(asked))


def test_settings_that_are_huge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEnvironmentError, match="at most 1000 characters"):
        settings.read(f'lint {{ naming {{ match = "{"a" * 1001}" }} }}', ".atlas.hcl")
    (tmp_path / ".atlas.hcl").write_text("#" * 70_000)
    with pytest.raises(BadEnvironmentError, match="larger than 64 KiB"):
        settings.find(None, [tmp_path])


def test_sarif_keeps_to_its_format() -> None:
    """What the schema of 2.1.0 asks of us, and what it cannot say: a path is a URI, and an index leads to its rule."""
    files = [File(f"{number:03d}_a b%.sql", each.sql) for number, each in enumerate(FOUND)]
    report = json.loads(
        json.dumps(formats.as_sarif(findings(files, {file.name for file in files}), "db/mig rations/"))
    )
    run = report["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert (report["version"], len({rule["id"] for rule in rules})) == ("2.1.0", len(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert "safer: " in result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert re.fullmatch(r"db/mig%20rations/\d{3}_a%20b%25\.sql", place["artifactLocation"]["uri"])


def test_a_summary_in_markdown_cannot_be_broken_by_a_name() -> None:
    found = look('drop table "a|b<script>`x`"; create index i on t (a);')
    text = formats.as_markdown(found, 1)
    assert text.startswith("### Migrations: 2 errors, 1 warning\n")
    rows = [line for line in text.splitlines() if line.startswith("| ❌")]
    assert all(len(re.findall(r"\|", row)) == 5 for row in rows)
    assert "<script>" not in text
    assert html.unescape(rows[0].split("|")[3]).strip() == "drops table a|b<script>`x`"
    assert "CREATE INDEX CONCURRENTLY i ON t (a);" in text
    assert formats.as_markdown([], 3).startswith("### Migrations: nothing found\n")


def test_what_a_file_before_cannot_be_read_for_is_not_told_of_the_next() -> None:
    assert short(look("create tabl t (a int);", "drop table t;")) == ["1 error ban-drop-table"]


def test_skipped_files_are_told() -> None:
    found = skipped(["2_x.sql"], "3")
    assert [(each.file, each.rule.name, each.what) for each in found] == [
        (
            "2_x.sql",
            "skipped-file",
            "has a version below 3, the version of the database, and was never applied",
        )
    ]


def test_a_name_in_dynamic_sql_is_shown_as_computed() -> None:
    text = "do $$ begin\nexecute format('alter table %I.%I drop column c', 's', 't');\nexecute 'drop table ' || x;\nend $$;"
    found = [each for each in look(text) if each.rule.name != "several-locks"]
    assert [(each.line, each.what) for each in found] == [(2, "drops column ….….c"), (3, "drops table …")]
