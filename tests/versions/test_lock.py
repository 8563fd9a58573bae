"""Two runs at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbupgrade.api.exit_codes import ExitCode
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from tests.versions.conftest import Place


def test_the_second_run_says_that_the_database_is_locked(place: Place) -> None:
    place.write({"1_a.sql": "create table a (id int);\n"})
    assert place.apply().code is ExitCode.OK
    place.write({"1_a.sql": "create table a (id int);\n", "2_wait.sql": place.database.wait_at_gate})
    with place.database.gate():
        first = place.start()
        wait_until(place.database.waits, "the first run is at work")
        second = place.apply()
    done = first.finish()
    assert second.code is ExitCode.LOCK, second.output
    assert (done.code, done.applied) == (ExitCode.OK, 1), done.output
