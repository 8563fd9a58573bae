"""`dbupgrade migrate hold`: the lock of a run around a program that takes none, on PostgreSQL and MariaDB."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod import message
from dbupgrade.pod.report import Report
from e2e.scenarios.support.mariadb import MariaDb, mariadb
from tests.integration.toolkit.test_mariadb import OnMariaDb, run_lock
from tests.integration.toolkit.test_run_lock import HOLDER

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.toolkit.conftest import Toolkit

LOCKED = 8
OF_OTHERS = {"postgres": "&schema=shop&pgbouncer=true&connection_limit=1", "mariadb": "?sslaccept=strict"}


@dataclass
class Holder:
    """A process that holds the lock, and the report that it leaves."""

    toolkit: Toolkit
    report: Path
    process: subprocess.Popen[str]

    @classmethod
    def of(cls, toolkit: Toolkit, **variables: str) -> Holder:
        report = toolkit.folder.parent / "report"
        return cls(toolkit, report, toolkit.start("hold", "--report", str(report), **variables))

    def said(self) -> Report | None:
        """What it has said first, which may take until now."""
        deadline = time.monotonic() + 300
        while not (self.report.exists() and self.report.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return message.read(self.report.read_text())

    def end(self) -> int:
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        self.process.communicate(timeout=300)
        return self.process.returncode


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaDb]:
    with mariadb("127.0.0.1") as server:
        yield server


@dataclass
class Place:
    """A database of its own, and how the lock is taken from whoever holds it."""

    kind: str
    toolkit: Toolkit
    maria: MariaDb | None = None

    def take_the_lock_away(self) -> None:
        if self.maria:
            (holder,) = self.maria.rows(f"select is_used_lock({run_lock('held')})")
            self.maria.rows(f"kill {holder}")
        else:
            self.toolkit.execute(HOLDER.replace("select pid", "select pg_terminate_backend(pid)"))

    def is_free(self) -> bool:
        refused = self.toolkit.run("baseline", "1", MIGRATE_RUN_LOCK_TIMEOUT="300ms")
        return refused.code != LOCKED


@pytest.fixture(params=["postgres", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        toolkit, found = request.getfixturevalue("toolkit"), None
    else:
        found = request.getfixturevalue("maria")
        found.rows("create or replace database held; grant all on held.* to shop")
        folder = tmp_path / "migrations"
        folder.mkdir()
        toolkit = OnMariaDb.of(found, folder, "held")
    toolkit.write(v1="create table t (a int);")
    return Place(request.param, toolkit, found)


def test_nobody_else_migrates_until_the_holder_is_ended(place: Place) -> None:
    holder = Holder.of(place.toolkit)
    assert holder.said() == Report()
    assert not place.is_free()
    assert holder.end() == 0
    assert place.is_free()


def test_what_a_url_says_to_other_programs_is_passed_over(place: Place) -> None:
    url = place.toolkit.environment()["DATABASE_URL"] + OF_OTHERS[place.kind]
    holder = Holder.of(place.toolkit, DATABASE_URL=url)
    assert holder.said() == Report()
    assert holder.end() == 0


def test_a_lock_that_is_refused_is_told_and_not_asked_for_again(place: Place) -> None:
    first = Holder.of(place.toolkit)
    assert first.said() == Report()
    first.report.rename(first.report.with_name("first"))
    second = Holder.of(place.toolkit, MIGRATE_RUN_LOCK_TIMEOUT="300ms")
    assert second.said() == Report(failure=Failure.DATABASE_LOCKED)
    assert second.wait() == LOCKED
    assert first.end() == 0
    again = Holder.of(place.toolkit)
    assert again.process.stdout
    assert json.loads(again.process.stdout.readline())["event"] == "lock_not_held"
    assert place.is_free()
    assert again.end() == 0
    assert again.said() == Report(failure=Failure.DATABASE_LOCKED)


def test_a_lock_that_is_lost_ends_the_holder(place: Place) -> None:
    holder = Holder.of(place.toolkit)
    assert holder.said() == Report()
    place.take_the_lock_away()
    assert holder.wait() not in (0, LOCKED)
    said = holder.said()
    assert said
    assert said.failure is Failure.INTERRUPTED
    assert place.is_free()


def test_a_database_that_nobody_reaches_is_told(toolkit: Toolkit) -> None:
    holder = Holder.of(toolkit, DATABASE_URL="postgres://a:b@127.0.0.1:1/shop", MIGRATE_WAIT_TIMEOUT="0s")
    said = holder.said()
    assert said
    assert said.failure is Failure.DATABASE_UNREACHABLE
    assert holder.wait() == 75
