"""The engine Psql: its container, and what is read of the report of its script."""

import base64
import json
from typing import Any

import pytest

from dbupgrade.api.status import Failure
from dbupgrade.pod.engines import ENGINES
from dbupgrade.pod.engines.psql.report import PROBLEMS
from dbupgrade.pod.engines.psql.script import SCRIPT
from dbupgrade.pod.report import MARK, Report
from tests.unit.decide.builders import (
    SETTINGS,
)
from tests.unit.pod.test_engines import IN_PARTS, environment, migrate


def test_psql_gets_the_files_the_url_and_no_argument_with_either() -> None:
    container = migrate(migrations={"engine": "Psql", "baseline": "007"})
    assert container["image"] == SETTINGS.psql_image
    assert container["command"][:2] == ["sh", "-c"]
    assert container["command"][2].replace("$$", "$") == SCRIPT
    assert environment(container) == {
        "DATABASE_URL": {"name": "orders-db", "key": "url"},
        "MIGRATIONS": "/migrations",
        "BASELINE": "007",
        "HOME": "/tmp",
    }
    assert [mount["name"] for mount in container["volumeMounts"]] == ["work", "tmp"]


def test_psql_gets_the_parts_as_libpq_names_them() -> None:
    assert environment(migrate(migrations={"engine": "Psql"}, database=IN_PARTS)) == {
        "PGHOST": "db",
        "PGPORT": "5432",
        "PGDATABASE": "orders",
        "PGUSER": {"name": "login", "key": "username"},
        "PGPASSWORD": {"name": "login", "key": "pw"},
        "PGSSLMODE": "require",
        "PGOPTIONS": '-c search_path="tenant"',
        "MIGRATIONS": "/migrations",
        "HOME": "/tmp",
    }


def output(errors: str = "", **changes: Any) -> str:
    body = {"exit": 3, "phase": "files", "problem": "", "file": "002.sql", "from": "001", "to": "001", "pending": 2,
            "applied": 0, "errors": base64.b64encode(errors.encode()).decode(), **changes}  # fmt: skip
    return f"psql: noise\n{MARK}{json.dumps(body)}\n"


ERROR = (
    'psql:/migrations/002.sql:7: ERROR:  relation "secret" does not exist at character 15\n'
    "psql:/migrations/002.sql:7: STATEMENT:  SELECT *\n  FROM secret WHERE a = 'hunter2';\n"
)


def test_a_statement_that_failed_in_psql() -> None:
    report = ENGINES["Psql"].parse(output(ERROR), exit_code=1)
    assert report == Report(
        failure=Failure.SQL, from_version="001", to_version="001", applied=0, pending=2, failed_file="002.sql",
        failed_statement="SELECT * FROM secret WHERE a = '***';",
        error='line 7: relation "secret" does not exist at character 15',
    )  # fmt: skip


@pytest.mark.parametrize("log", ["", "Error", f"{MARK}{{", f"{MARK}[]", f'{MARK}{{"exit": "x"}}'])
def test_a_psql_report_that_cannot_be_read_says_nothing(log: str) -> None:
    assert ENGINES["Psql"].parse(log, exit_code=0) == Report()
    assert ENGINES["Psql"].parse(log, exit_code=1) == Report(failure=Failure.UNKNOWN)


@pytest.mark.parametrize("word", PROBLEMS)
def test_every_problem_of_the_script_is_known(word: str) -> None:
    assert word in SCRIPT
    report = ENGINES["Psql"].parse(output(problem=f"{word} 001.sql"), exit_code=1)
    assert report.failure is PROBLEMS[word][0]
