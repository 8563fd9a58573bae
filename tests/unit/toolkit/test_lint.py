"""What `lint` finds, with the real squawk and PostgreSQL's parser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.lint import findings as lint
from dbupgrade.toolkit.lint import formats, squawk
from dbupgrade.toolkit.lint import settings as lint_settings
from dbupgrade.toolkit.lint.rules import RULES
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.sql.concurrently import File

CASES = [
    ("drop table t;", ["1 error ban-drop-table"]),
    (
        "drop table if exists t;\ncreate table t (a int);",
        ["1 error ban-drop-table"],
    ),  # the rows of before are gone
    ("truncate t;\ncreate table if not exists t (a int);", ["1 error truncate (t)"]),
    (
        "create table t (a int);\ncreate index i on t (a);\ndrop index i;\nalter table t rename to u;\ndrop table u;",
        [],
    ),
    ("select 1;\ndrop table if exists t cascade;", ["2 error ban-drop-table"]),
    ("create table t (a int);\ndrop table t;", []),
    ("create temp table x as select 1 a;\ndelete from x;\ndrop table x;", []),
    ("alter table t drop column a;", ["1 error ban-drop-column"]),
    ("drop schema s cascade;", ["1 error ban-drop-schema"]),
    ("truncate a, b;", ["1 error truncate (a)", "1 error truncate (b)"]),
    ("delete from t;", ["1 error delete-without-where (t)"]),
    ("delete from t where a = 1;", []),
    ("with gone as (delete from s.t returning *) select 1;", ["1 error delete-without-where (s.t)"]),
    ("update t set a = 1;", ["1 warning update-without-where (t)"]),
    ("alter table t alter column a type bigint;", ["1 error changing-column-type"]),
    ("alter table t alter a set not null;", ["1 error adding-not-nullable-field"]),
    ("alter table t add column a bigint not null;", ["1 error adding-required-field"]),
    ("alter table t add column a bigint not null default 0;", []),
    ("create index i on t (a);", ["1 error require-concurrent-index-creation"]),
    ("create table t (a bigint);\ncreate index i on t (a);", []),
    ("create materialized view v as select 1 a;\ncreate unique index on v (a);", []),
    ("create index concurrently i on t (a);", []),
    ("drop index i;", ["1 warning require-concurrent-index-deletion"]),
    ("reindex table t;", ["1 error require-concurrent-reindex"]),
    ("reindex (concurrently) table t;", []),
    ("alter table t rename to u;", ["1 error renaming-table"]),
    ("alter table t rename column a to b;", ["1 error renaming-column"]),
    (
        "alter table t add constraint c check (a > 1);",
        ["1 warning constraint-missing-not-valid"],
    ),
    ("alter table t add constraint c check (a > 1) not valid;", []),
    (
        "alter table t add unique (a);",
        ["1 warning constraint-missing-not-valid", "1 error disallowed-unique-constraint"],
    ),
    # In blocks, with the line of the file.
    ("select 1;\ndo $$\nbegin\n  drop table t;\nend\n$$;", ["4 error ban-drop-table"]),
    ("do $$ begin if true then truncate t; end if; end $$;", ["1 error truncate (t)"]),
    (
        "do $x$\nbegin\nfor i in 1..2 loop\n  delete from t;\nend loop;\nend $x$;",
        ["4 error delete-without-where (t)"],
    ),
    ("do $$ begin\nexecute 'drop table t';\nend $$;", ["2 error ban-drop-table"]),
    ("do $$ begin\nexecute 'drop table ' || quote_ident('t');\nend $$;", ["2 error ban-drop-table"]),
    (
        "do $$ begin\nexecute format('alter table %I.%I drop column c', 's', 't');\nend $$;",
        ["2 error ban-drop-column"],
    ),
    ("do $$ begin perform 1; exception when others then\ndrop table t;\nend $$;", ["2 error ban-drop-table"]),
    # Nothing in comments and strings.
    ("-- drop table t;\n/* truncate t; */ select 'delete from t;', 'drop table t';", []),
    ("do $$ begin raise notice 'drop table t'; end $$;", []),
    ("create function f() returns void language sql as 'delete from t';", []),
    ("create tabl hunter2;", ["1 error syntax-error (line 1)"]),
]


def found(text: str, tmp_path: Path, settings: LintSettings | None = None) -> list[lint.Finding]:
    files = [File("1_x.sql", text)]
    looked_at = lint.texts(files)
    return lint.findings(files, looked_at, squawk.look(looked_at, tmp_path), settings or LintSettings())


def short(findings: list[lint.Finding]) -> list[str]:
    return [f"{f.line} {f.level} {f.rule.name}" + (f" ({f.detail})" if f.detail else "") for f in findings]


def test_what_breaks_production(tmp_path: Path) -> None:
    """All cases in one call of squawk, each a file."""
    files = [File(f"{number:03d}_x.sql", text) for number, (text, _) in enumerate(CASES)]
    looked_at = lint.texts(files)
    findings = lint.findings(files, looked_at, squawk.look(looked_at, tmp_path), LintSettings())
    for file, (text, expected) in zip(files, CASES, strict=True):
        assert (text, short([f for f in findings if f.file == file.name])) == (text, expected)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("-- dbupgrade:lint-ignore ban-drop-table: nobody uses it since 1.4\ndrop table t;", []),
        ("-- dbupgrade:lint-ignore destructive\ndrop table t;", []),
        ("-- atlas:nolint destructive\ndrop table t;", []),
        ("-- atlas:nolint\ndrop table t;", []),
        ("-- squawk-ignore ban-drop-table\ndrop table t;", []),
        ("-- dbupgrade:lint-ignore truncate\ndrop table t;", ["2 error ban-drop-table"]),
        ("-- dbupgrade:lint-ignore\ndrop table t;", ["2 error ban-drop-table"]),
        ("-- dbupgrade:lint-ignore truncate\ntruncate t;\ntruncate u;", ["3 error truncate (u)"]),
        ("-- dbupgrade:lint-ignore truncate\n\ntruncate t;\ntruncate u;", []),
        ("select '-- atlas:nolint';\ntruncate t;", ["2 error truncate (t)"]),
        (
            "-- dbupgrade:lint-ignore truncate: a reason\ndo $$\nbegin\n  truncate t;\nend $$;\ntruncate u;",
            ["6 error truncate (u)"],
        ),
    ],
)
def test_suppression_by_comments(text: str, left: list[str], tmp_path: Path) -> None:
    assert short(found(text, tmp_path)) == left


HCL = r"""
lint {
  latest = 2
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
        ("update t set a = 1;", ["1 error update-without-where (t)"]),
        ("alter table t add constraint c check (a > 1);", ["1 error constraint-missing-not-valid"]),
        (
            'create table "T" ("B" bigint);',
            ["column B: must match ^[a-z_]+$", "table T: must match ^[a-z_]+$"],
        ),
        ("create index concurrently t_a_idx2 on t (a);", []),
        ("create index concurrently t_a on t (a);", ["index t_a: an index ends with _idx"]),
        (
            'alter table t add constraint "X" foreign key (a) references u not valid;',
            ["foreign key X: must match ^[a-z_]+$"],
        ),
    ],
)
def test_the_settings_of_an_atlas_hcl(text: str, expected: list[str], tmp_path: Path) -> None:
    settings = lint_settings.read(HCL, ".atlas.hcl")
    assert (settings.latest, settings.git_base) == (2, "develop")
    found_now = found(text, tmp_path, settings)
    assert [f.detail if f.rule.name == "naming" else short([f])[0] for f in found_now] == expected


def test_settings_that_cannot_be_read_and_where_they_are_looked_for(tmp_path: Path) -> None:
    for text in ("lint {", 'lint { naming { match = "(" } }', 'lint { latest = "x" }'):
        with pytest.raises(BadEnvironmentError, match=r"x\.hcl"):
            lint_settings.read(text, "x.hcl")
    assert lint_settings.find(None, [tmp_path]) == LintSettings()
    (tmp_path / ".atlas.hcl").write_text("lint { destructive { error = false } }")
    assert lint_settings.find(None, [tmp_path]).errors == {"destructive": False}
    with pytest.raises(BadEnvironmentError, match="there is no file"):
        lint_settings.find(tmp_path / "none.hcl", [tmp_path])


def test_sarif_names_file_line_and_rule(tmp_path: Path) -> None:
    report = formats.as_sarif(found("select 1;\ndrop table t;\ntruncate u;", tmp_path), "db/migrations/")
    run = json.loads(json.dumps(report))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["ban-drop-table", "truncate"]
    result = run["results"][0]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("ban-drop-table", 0, "error")
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "db/migrations/1_x.sql"},
                "region": {"startLine": 2},
            }
        }
    ]
    assert "safer: " in result["message"]["text"]


def test_sarif_keeps_to_its_format(tmp_path: Path) -> None:
    """What the schema of 2.1.0 asks of us, and what it cannot say: a path is a URI, and an index leads to its rule."""
    files = [File(f"{number:03d}_a b%.sql", text) for number, (text, _) in enumerate(CASES)]
    looked_at = lint.texts(files)
    hits = squawk.look(looked_at, tmp_path)
    report = formats.as_sarif(lint.findings(files, looked_at, hits, LintSettings()), "db/mig rations/")
    run = report["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert (report["version"], len({rule["id"] for rule in rules})) == ("2.1.0", len(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning"}
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert re.fullmatch(r"db/mig%20rations/\d{3}_a%20b%25\.sql", place["artifactLocation"]["uri"])


def test_every_rule_has_its_reason_and_a_safer_way() -> None:
    assert all(rule.what and rule.why and rule.safer and rule.category for rule in RULES.values())


def test_the_page_has_the_rules() -> None:
    page = Path(__file__).parents[3].joinpath("docs/toolkit.md").read_text()
    for rule in RULES.values():
        row = [f"`{rule.name}`", f"`{rule.category}`", rule.level.value, rule.what, rule.why, rule.safer]
        assert f"| {' | '.join(row)} |" in page
