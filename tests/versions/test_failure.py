"""A file that fails: what is kept, what is told, and how the next run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.decide.failures import KINDS
from dbupgrade.toolkit.exits import exit_code
from e2e.cluster.postgres_versions import VERSIONS
from tests.versions.conftest import CLI_VERSIONS, ENGINES, Place
from tests.versions.databases import OnMariaDb
from tests.versions.engines import Psql

if TYPE_CHECKING:
    from pathlib import Path

    from tests.versions.conftest import Servers

ONE = {"1_a.sql": "create table a (id int);\n"}
BROKEN = "create table b (id int);\ninsert into missing values ('hunter2');\ncreate table c (id int);\n"
CORRECT = BROKEN.replace("missing values ('hunter2')", "a values (1)")


def test_a_file_that_fails_is_named_and_the_corrected_one_goes_on(place: Place) -> None:
    failed = place.apply({**ONE, "2_b.sql": BROKEN, "3_d.sql": "create table d (id int);"})
    assert (failed.code, failed.file) == (ExitCode.SQL, "2_b.sql"), failed.output
    # MariaDB commits each CREATE by itself.
    kept = {"a", "b"} if isinstance(place.database, OnMariaDb) else {"a"}
    assert place.database.tables == kept
    corrected = place.apply({**ONE, "2_b.sql": CORRECT})
    assert (corrected.code, corrected.applied) == (ExitCode.OK, 1), corrected.output
    assert place.database.tables == {"a", "b", "c"}
    assert place.database.rows("select count(*) from a") == ["1"]


def test_what_failed_without_a_transaction_is_half_applied(place: Place) -> None:
    header = "" if isinstance(place.database, OnMariaDb) else place.engine.txmode_none
    failed = place.apply({**ONE, "2_b.sql": header + BROKEN})
    assert (failed.code, failed.file) == (ExitCode.SQL, "2_b.sql"), failed.output
    assert place.database.tables == {"a", "b"}
    again = place.apply({**ONE, "2_b.sql": header + CORRECT})
    if isinstance(place.engine, Psql):  # which does not know how far the file came, and asks a person
        assert (again.code, again.file) == (KINDS[Failure.PARTLY_APPLIED].exit_code, "2_b.sql"), again.output
        place.database.rows("drop table b; delete from dbupgrade_migrations where name = '2_b.sql'")
        again = place.apply()
    assert (again.code, again.applied) == (ExitCode.OK, 1), again.output
    assert place.database.tables == {"a", "b", "c"}
    assert place.database.rows("select count(*) from a") == ["1"]


@pytest.mark.parametrize("name", [f"PostgreSQL{each}" for each in VERSIONS if each not in CLI_VERSIONS])
def test_the_official_command_line_says_that_it_does_not_know_a_server(
    servers: Servers, tmp_path: Path, name: str
) -> None:
    place = Place("AtlasCLI", ENGINES["AtlasCLI"], servers.database(name), tmp_path / "migrations")
    failed = place.apply(ONE)
    assert (failed.code, failed.applied) == (exit_code(Failure.ATLAS_UNUSABLE), None), failed.output
    assert place.database.tables == set()
