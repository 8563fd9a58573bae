"""A database that has tables and no history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbupgrade.api.exit_codes import ExitCode

if TYPE_CHECKING:
    from tests.versions.conftest import Place

FILES = {"1_a.sql": "create table a (id int);\n", "2_b.sql": "create table b (id int);\n"}


def test_it_is_taken_over_from_a_version_on(place: Place) -> None:
    place.database.rows("create table a (id int)")
    refused = place.apply(FILES)
    assert refused.code is ExitCode.NOT_CLEAN, refused.output
    assert place.database.tables == {"a"}
    adopted = place.apply(baseline="1")
    assert (adopted.code, adopted.applied) == (ExitCode.OK, 1), adopted.output
    assert place.database.tables == {"a", "b"}
