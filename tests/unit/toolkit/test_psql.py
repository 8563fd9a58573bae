"""The engine Psql of the runner: what it decides without a database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.engines.psql import connection, files, history, steps
from dbupgrade.toolkit.engines.psql.files import Migration, UnusableFileError
from dbupgrade.toolkit.engines.psql.history import History, Row
from dbupgrade.toolkit.engines.psql.reports import PROBLEMS, Reporter
from dbupgrade.toolkit.engines.psql.transcript import Error, Transcript
from dbupgrade.toolkit.folder import FolderError
from dbupgrade.toolkit.history.atlas import AtlasError

if TYPE_CHECKING:
    from pathlib import Path

# --- the files ---------------------------------------------------------------------------------------------------


def test_files_are_read_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    for name in ("b.sql", "B.sql", "001_a (x).sql", ".hidden.sql", "a.txt"):
        (tmp_path / name).write_text("SELECT 1;")
    read = files.read(tmp_path)
    assert [file.name for file in read] == ["001_a (x).sql", "B.sql", "b.sql"]
    assert [file.version for file in read] == ["001", "B", "b"]
    assert {file.checksum for file in read} == {hashlib.sha256(b"SELECT 1;").hexdigest()}


@pytest.mark.parametrize(
    ("text", "transaction"),
    [
        ("SELECT 1;", True),
        ("-- a comment\n\nSELECT 1;\n-- dbupgrade:txmode none", True),
        ("-- dbupgrade:txmode none\nVACUUM;", False),
        ("\ufeff-- by hand\r\n\r\n  --  dbupgrade:txmode none  \r\nVACUUM;", False),
    ],
)
def test_the_header_of_a_file(tmp_path: Path, text: str, transaction: bool) -> None:
    (tmp_path / "1.sql").write_text(text, newline="")
    assert files.read(tmp_path)[0].transaction is transaction


@pytest.mark.parametrize(
    "header", ["txmode all", "tx none", "txmode none really", "txmode none\n-- dbupgrade:txmode none"]
)
def test_another_header_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "1.sql").write_text(f"-- dbupgrade:{header}\nSELECT 1;")
    with pytest.raises(UnusableFileError) as refused:
        files.read(tmp_path)
    assert (refused.value.report.failure, refused.value.report.failed_file) == (
        Failure.UNUSABLE_FILE,
        "1.sql",
    )


@pytest.mark.parametrize("name", ["a'b.sql", "a$(b).sql", "é.sql", "a\nb.sql", "a\\b.sql"])
def test_a_name_that_could_be_more_than_data_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(UnusableFileError):
        files.read(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FolderError):
            files.read(folder)


# --- the connection ----------------------------------------------------------------------------------------------


def test_a_url_becomes_variables() -> None:
    url = "postgres://u%40:p%2Fw@[::1]:6432/d%20b?sslmode=require&search_path=a%20b&options=-c%20x%3D1&connect_timeout=3"
    assert connection.environment(
        url, {"PATH": "/bin", "PGOPTIONS": "-c y=2", "DB_PASSWORD": "x", "PGSSLCERT": "c"}
    ) == {
        "PATH": "/bin",
        "PGSSLCERT": "c",
        "PGHOST": "::1",
        "PGPORT": "6432",
        "PGDATABASE": "d b",
        "PGUSER": "u@",
        "PGPASSWORD": "p/w",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c search_path=a\\ b -c x=1",
        "PGCONNECT_TIMEOUT": "3",
        "PGAPPNAME": "dbupgrade",
    }


@pytest.mark.parametrize(
    ("mode", "given", "wanted"),
    [
        ("require", "", False),
        ("verify-full", "", True),
        ("verify-ca", "", True),
        ("verify-full", "/own.crt", False),
    ],
)
def test_a_server_is_verified_by_the_authorities_of_the_system_where_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, given: str, wanted: bool
) -> None:
    (bundle := tmp_path / "bundle.crt").touch()
    monkeypatch.setattr(connection, "_AUTHORITIES", (str(tmp_path / "absent.crt"), str(bundle)))
    inherited = {"PGSSLROOTCERT": given} if given else {}
    found = connection.environment(f"postgres://u:p@h/d?sslmode={mode}", inherited)
    assert found.get("PGSSLROOTCERT", "") == (str(bundle) if wanted else given)


def test_a_parameter_that_psql_does_not_know_is_named() -> None:
    with pytest.raises(AtlasError, match="fancy") as refused:
        connection.variables("postgres://u:p@h/d?fancy=hunter2")
    assert refused.value.failure is Failure.CONNECTION_SETTINGS
    assert "hunter2" not in str(refused.value)


# --- the history -------------------------------------------------------------------------------------------------

A, B, C = (Migration(f"{name}.sql", name) for name in "abc")


def rows(*names: str, whole: bool = True, checksum: str = "") -> list[Row]:
    return [Row(f"{name}.sql", name, checksum or name, whole) for name in names]


@pytest.mark.parametrize(
    ("known", "there", "failure", "file"),
    [
        (rows("a"), [A, B], None, None),
        (rows("a", "b"), [A], None, None),  # an image that is older than the database
        (rows("b", whole=False), [B], Failure.PARTLY_APPLIED, "b.sql"),
        (rows("a", checksum="x"), [A, B], Failure.FILE_CHANGED, "a.sql"),
        (rows("a", "b"), [B, C], Failure.HISTORY_DIVERGED, "a.sql"),
        (rows("b"), [A, B], Failure.HISTORY_DIVERGED, "a.sql"),
    ],
)
def test_files_continue_the_history_or_are_refused(
    known: list[Row], there: list[Migration], failure: Failure | None, file: str | None
) -> None:
    found = history.compare(History("public", known), there, "")
    assert (found and found.failure, found and found.failed_file) == (failure, file)


@pytest.mark.parametrize(
    ("used", "baseline", "failure"),
    [
        (False, "", None),
        (False, "z", None),
        (True, "", Failure.NOT_CLEAN),
        (True, "z", Failure.BASELINE_NOT_FOUND),
        (True, "b", None),
    ],
)
def test_tables_without_a_history_need_a_baseline(used: bool, baseline: str, failure: Failure | None) -> None:
    found = history.compare(History("public", used=used), [A, B], baseline)
    assert (found.failure if found else None) is failure


def test_what_a_baseline_covers() -> None:
    assert history.adopted([A, B, C], "b") == [A, B]
    assert history.adopted([A, B, C], "z") == []


# --- what psql says ----------------------------------------------------------------------------------------------

ROOT = "/tmp/secret/migrations/"


def transcript(*lines: str) -> tuple[Error | None, list[str]]:
    others: list[str] = []
    found = Transcript(ROOT, others.append)
    for line in lines:
        found.add(line)
    return found.error, others


def test_an_error_and_its_statement() -> None:
    error, others = transcript(
        f"psql:{ROOT}1.sql:2: NOTICE:  something",
        f"psql:{ROOT}1.sql:7: ERROR:  no such thing",
        "DETAIL:  more",
        f"psql:{ROOT}1.sql:7: STATEMENT:  SELECT *",
        "  FROM b;",
    )
    assert error == Error("no such thing\nDETAIL:  more", f"{ROOT}1.sql", 7, "SELECT *\n  FROM b;")
    assert others == [f"psql:{ROOT}1.sql:2: NOTICE:  something"]


@pytest.mark.parametrize(
    "forged",
    ["psql:/migrations/1.sql:99: ERROR:  fake", "psql: error: fake", "psql:x:1: FATAL:  fake", "ERROR: fake"],
)
def test_only_a_path_that_no_file_knows_makes_an_error_certain(forged: str) -> None:
    for lines in (
        (forged, f"psql:{ROOT}1.sql:7: ERROR:  real"),
        (f"psql:{ROOT}1.sql:7: ERROR:  real", forged),
    ):
        error, _ = transcript(*lines)
        assert error
        assert (error.line, error.text.partition("\n")[0]) == (7, "real")


def test_the_first_error_of_a_file_that_goes_on_is_the_one_that_counts() -> None:
    second = f"psql:{ROOT}1.sql:8: ERROR:  current transaction is aborted"
    error, others = transcript(
        "psql: error: forged",
        f"psql:{ROOT}1.sql:7: ERROR:  real",
        second,
        f"psql:{ROOT}1.sql:8: STATEMENT:  SELECT 2;",
    )
    assert error == Error("real", f"{ROOT}1.sql", 7, is_last=False)
    assert others == [second, f"psql:{ROOT}1.sql:8: STATEMENT:  SELECT 2;"]
    assert REPORTER.statement(error, "25P02").sqlstate is None


def test_an_error_text_cannot_give_the_statement() -> None:
    error, _ = transcript(f"psql:{ROOT}1.sql:7: ERROR:  no", "psql:1.sql:1: STATEMENT:  forged")
    assert error == Error("no\npsql:1.sql:1: STATEMENT:  forged", f"{ROOT}1.sql", 7)


def test_a_line_that_a_file_began_hides_no_error() -> None:
    error, others = transcript(f"begunpsql:{ROOT}1.sql:7: ERROR:  real")
    assert error
    assert (error.line, others) == (7, ["begun"])


def test_what_is_kept_of_an_error_is_bounded() -> None:
    error, _ = transcript("psql: error: x", *["y" * 1000] * 1000)
    assert error
    assert len(error.text) <= 12_000


# --- the report --------------------------------------------------------------------------------------------------

REPORTER = Reporter("2.sql", f"{ROOT}2.sql", ("hunter2",))


def test_a_statement_that_failed() -> None:
    error = Error(
        'relation "secret" does not exist at character 15',
        f"{ROOT}2.sql",
        7,
        "SELECT * FROM secret WHERE a = 'x';",
    )
    assert REPORTER.statement(error, "42P01") == Report(
        failure=Failure.SQL,
        failed_file="2.sql",
        failed_statement="SELECT * FROM secret WHERE a = '***';",
        error='line 7: relation "secret" does not exist at character 15',
        line=7,
        sqlstate="42P01",
    )


@pytest.mark.parametrize("state", ["00000", "", ":LAST_ERROR_SQLSTATE", "no"])
def test_a_state_that_is_none_is_not_reported(state: str) -> None:
    report = REPORTER.statement(Error("invalid command \\x", f"{ROOT}2.sql", 1), state)
    assert (report.failure, report.sqlstate, report.line) == (Failure.SQL, None, 1)


def test_an_error_of_a_file_that_is_included_has_no_line_of_this_one() -> None:
    report = REPORTER.statement(Error(f"{ROOT}b.sql: hunter2", f"{ROOT}b.sql", 4), "00000")
    assert (report.failed_file, report.line, report.error) == ("2.sql", None, "b.sql: ***")


def test_an_error_that_is_hidden_is_one() -> None:
    assert REPORTER.statement(None, "00000").failure is Failure.SQL


@pytest.mark.parametrize("word", PROBLEMS)
def test_every_problem_of_the_scripts_is_known(word: str) -> None:
    step = steps.end(A, steps.Target("public", 1), "mark", "2")
    assert f":dbupgrade_mark {word}\n" in step.commands
    assert REPORTER.problem(word).failure is PROBLEMS[word][0]


def test_a_value_is_data_to_psql() -> None:
    step = steps.begin(A, steps.Target('it\'s \\ \n "x"', 7), "mark")
    assert "\\set dbupgrade_schema 'it\\'s \\\\ \\n \"x\"'\n" in step.commands
