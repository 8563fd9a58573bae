"""What is wrong with a folder, offline."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.toolkit import folder
from dbupgrade.toolkit.folder import misread
from dbupgrade.toolkit.folder.checks import problems
from dbupgrade.toolkit.folder.problem import Files
from dbupgrade.toolkit.sql import splitting
from dbupgrade.toolkit.sql.splitting import BEFORE_1, LIBRARY, Rules, UnsplittableError

if TYPE_CHECKING:
    from pathlib import Path

OK = b"select 1;\n"


def files(*named: tuple[str, bytes | str], sums: bytes = b"", rules: Rules = LIBRARY) -> Files:
    encoded = ((name, data if isinstance(data, bytes) else data.encode()) for name, data in named)
    return Files(tuple(sorted(encoded)), sums, rules)


def one(data: bytes | str) -> Files:
    return files(("1_a.sql", data))


FINE = [
    pytest.param(files(("1_a.sql", OK), ("2_b.sql", OK)), id="two files"),
    pytest.param(files(("1_a.up.sql", OK), ("2_b.up.sql", OK)), id="up files without down files"),
    pytest.param(files(("1_shutdown.sql", OK)), id="a name that only ends like a down file"),
    pytest.param(files(("V1_a.sql", OK), ("U.sql", OK)), id="names that only look like Flyway's"),
    pytest.param(one("-- the goose +goose Up\nselect '+goose Down';\n"), id="words of goose elsewhere"),
    pytest.param(one("insert into t values ('<<<<<<< HEAD');\n"), id="one mark of a conflict"),
    pytest.param(one("insert into t values ('\n\\connect x\n');\n"), id="a command of psql in a literal"),
    pytest.param(one("select $$ copy t from stdin; $$;\n"), id="COPY in a literal"),
    pytest.param(one("copy t from program 'x';\ncopy t to stdout;\n"), id="another COPY"),
    pytest.param(one("insert into t values ('C:\\');\ninsert into t values ('x');\n"), id="a backslash"),
    pytest.param(one("select 1; -- the end"), id="a comment without a line end that holds nothing"),
    pytest.param(one("/* a; /* b */\nselect 1;\n"), id="a comment that PostgreSQL cannot read either"),
    pytest.param(
        one("-- atlas:delimiter \\n\\n\nselect E'\\';';\n\nselect 2;\n"), id="ends of the file's own"
    ),
    pytest.param(
        one(
            "create function f() returns int begin atomic select case when true then 1 end; end;\nselect 1;\n"
        ),
        id="BEGIN ATOMIC",
    ),
    pytest.param(one("begin work; select 1; end;\nselect a #> '{b}' from t;\n"), id="BEGIN and END, and #"),
]


@pytest.mark.parametrize("given", FINE)
def test_fine(given: Files) -> None:
    assert problems(given) == []


WRONG = [
    pytest.param(
        files(("1_a.sql", OK), ("1_b.sql", OK), ("1.sql", OK)),
        [(Failure.DUPLICATE_VERSION, "1_a.sql", None), (Failure.DUPLICATE_VERSION, "1_b.sql", None)],
        id="three files of one version",
    ),
    pytest.param(
        files(("1_a.down.sql", OK), ("1_a.up.sql", OK), ("2_b_down.sql", OK), ("2_b_up.sql", OK)),
        [(Failure.FOREIGN_FORMAT, "1_a.down.sql", None), (Failure.FOREIGN_FORMAT, "2_b_down.sql", None)],
        id="down files",
    ),
    pytest.param(
        files(("V1__a.sql", OK), ("U1.2__a.sql", OK), ("R__views.sql", OK)),
        [(Failure.FOREIGN_FORMAT, name, None) for name in ("R__views.sql", "U1.2__a.sql", "V1__a.sql")],
        id="Flyway",
    ),
    *(
        pytest.param(one(f"select 1;\n{line}\n"), [(Failure.FOREIGN_FORMAT, "1_a.sql", 2)], id=line)
        for line in (
            "-- +goose Down",
            "--migrate:up",
            "-- migrate:down",
            "-- +migrate Up",
            "-- rambler up",
            "---- create above / drop below ----",
            "-- //@UNDO",
        )
    ),
    pytest.param(one(b"select '\0';"), [(Failure.UNREADABLE_FILE, "1_a.sql", 1)], id="a NUL character"),
    pytest.param(one(b"select 1;\nselect '\xe4';"), [(Failure.UNREADABLE_FILE, "1_a.sql", 2)], id="Latin-1"),
    pytest.param(
        files(("1_a.sql", OK), sums=b"h1:x\n<<<<<<< HEAD\r\na\n=======\r\nb\n>>>>>>> other\r\n"),
        [(Failure.CHECKSUM, "atlas.sum", 2)],
        id="a conflict in atlas.sum",
    ),
    pytest.param(one("select 1;\n\\i b.sql\n"), [(Failure.UNREADABLE_FILE, "1_a.sql", 2)], id="psql's \\i"),
    pytest.param(
        one("select $ж$;$ж$;\n"), [(Failure.MISREAD_BY_ENGINE, "1_a.sql", 1)], id="a tag that is not ASCII"
    ),
    pytest.param(
        one("select 1;\n/* a /* b */ c */ select 2;\n"),
        [(Failure.MISREAD_BY_ENGINE, "1_a.sql", 2)],
        id="a nested comment before a statement",
    ),
    pytest.param(
        one("select E'a\\'b;';\nselect 2;\n"),
        [(Failure.MISREAD_BY_ENGINE, "1_a.sql", 1)],
        id="an escaped quote",
    ),
    pytest.param(one("select 1; -- a; b"), [(Failure.MISREAD_BY_ENGINE, "1_a.sql", 1)], id="no line end"),
    pytest.param(
        files(("1_a.sql", b"\xef\xbb\xbf-- +goose Up\n"), ("1_b.sql", b"\xff\xfe")),
        [(Failure.DUPLICATE_VERSION, "1_b.sql", None)],
        id="of one file the first fault is told",
    ),
]


@pytest.mark.parametrize(("given", "told"), WRONG)
def test_wrong(given: Files, told: list[tuple[Failure, str, int | None]]) -> None:
    assert [(found.failure, found.file, found.line) for found in problems(given)] == told


OLD = [
    pytest.param("select 1 # (\n2);\n", id="# begins a comment"),
    pytest.param("select 2 -(1);\nselect 3;\n", id="a minus before a parenthesis"),
    pytest.param("insert into t values ('C:\\');\nselect 'x';\n", id="a backslash before a quote"),
    pytest.param(
        "create function f() returns int begin atomic select 1; select 2; end;\n", id="BEGIN ATOMIC"
    ),
]


@pytest.mark.parametrize("text", OLD)
def test_what_only_an_old_atlas_reads_differently(text: str) -> None:
    assert problems(one(text)) == []
    old = problems(files(("1_a.sql", text), rules=BEFORE_1))
    assert [found.failure for found in old] == [Failure.MISREAD_BY_ENGINE]


def test_psql_takes_what_is_its_own() -> None:
    its_own = files(
        ("1_a.sql", b"\xef\xbb\xbf\\set x 1\ncopy t from stdin;\n\\.\n"),
        ("1_b.sql", b"\\encoding latin1\nselect '\xe4';\n"),
        ("2_c.sql", "/* a /* b */ c; */ select 1;\n"),
    )
    assert problems(its_own, Engine.PSQL) == []
    others = files(("1_a.sql", b"\xff\xfe"), ("2_b.sql", "-- +goose Up\n"), ("3_c.down.sql", OK))
    found = [problem.failure for problem in problems(others, Engine.PSQL)]
    assert found == [Failure.FOREIGN_FORMAT, Failure.FOREIGN_FORMAT, Failure.UNREADABLE_FILE]


def test_another_database_is_not_read_with_the_parser_of_postgresql() -> None:
    assert problems(one("insert into t values ('it\\'s; so');\n"), postgresql=False) == []


SPLITS = [
    ("select 1; select 2", ["select 1;", "select 2"]),
    ("-- a; b\n/* c; */ select ';', \"d;\", $x$;$x$ ;", ["select ';', \"d;\", $x$;$x$ ;"]),
    ("create rule r as on insert to t do also (select 1; select 2); select 3;", None),
    ("begin; select 1; end;", ["begin;", "select 1;", "end;"]),
    ("begin work; select 1; end; select 2;", ["begin work; select 1; end;", "select 2;"]),
    ("select begin atomic (", UnsplittableError),
    ("select 'a", UnsplittableError),
    ("select 1);", UnsplittableError),
    ("select $x$ a; b", ["select $x$ a; b"]),
    (" \n", []),
]


@pytest.mark.parametrize(("text", "told"), SPLITS)
def test_where_atlas_ends_statements(text: str, told: list[str] | type[Exception] | None) -> None:
    if isinstance(told, type):
        with pytest.raises(told):
            list(splitting.split(text))
        return
    found = [text[start:end].strip() for start, end in splitting.split(text)]
    assert found == (told if told is not None else [text[:61], "select 3;"])


def test_the_parser_is_not_loaded_for_plain_files() -> None:
    program = (
        "import sys; from dbupgrade.toolkit.folder.checks import problems; from dbupgrade.toolkit.folder.problem import Files;"
        "data = b'create table a (t text); -- note\\ncreate function f() returns int as $$ begin return 1; end; $$;\\n';"
        "assert not problems(Files((('1_a.sql', data),))); sys.exit('postgast' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_entries_that_are_not_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_bytes(OK)
    (tmp_path / "2_b.sql").mkdir()
    (tmp_path / "3_c.sql").symlink_to("nowhere.sql")
    (tmp_path / "atlas.sum").write_bytes(b"h1:")
    there, wrong = folder.contents(tmp_path)
    assert there == Files((("1_a.sql", OK),), b"h1:")
    assert [(each.failure, each.file) for each in wrong] == [
        (Failure.UNREADABLE_FILE, "2_b.sql"),
        (Failure.UNREADABLE_FILE, "3_c.sql"),
    ]
    assert "is not a regular file" in wrong[0].text


PLACES = [
    pytest.param("select 1;\nselect 2;\n", None, id="nothing that Atlas cuts elsewhere"),
    pytest.param("/* ä /* b */ ; */ select 'ä';\nselect 2", ["select 'ä';", "select 2"], id="not ASCII"),
    pytest.param(
        "select E'a\\';b' ; ;\n-- it's\nselect 2;", ["select E'a\\';b' ;", "select 2;"], id="a quote"
    ),
    pytest.param("select E'\\'; broken ((", None, id="what PostgreSQL cannot read either"),
]


@pytest.mark.parametrize(("text", "statements"), PLACES)
def test_the_places_of_statements_are_bytes_of_the_file(text: str, statements: list[str] | None) -> None:
    data = text.encode()
    found = misread.places([("1_a.sql", data), ("2_b.sql", b"\xff /* /* \\'")])
    cut = {name: [data[begin:end].decode() for begin, end in each] for name, each in found.items()}
    assert cut == ({} if statements is None else {"1_a.sql": statements})


def test_an_engine_that_is_told_misreads_nothing() -> None:
    assert problems(replace(one("select E'a\\'b;';\nselect 2;\n"), rules=None)) == []
