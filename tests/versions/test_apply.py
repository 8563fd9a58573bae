"""From nothing, and on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode
from e2e.demo.release import FIRST, SECOND, Release
from tests.versions.engines import ATLAS_TXMODE_NONE

if TYPE_CHECKING:
    from tests.versions.conftest import Place

ONE = {"1_a.sql": "create table a (id int);\n"}
TWO = {**ONE, "2_b.sql": "create table b (id int);\ninsert into a values (1);\n"}


def shop(release: Release, place: Place) -> dict[str, str]:
    """The files of the example's shop, with the engine's own word for files without a transaction."""
    texts = {path.name: path.read_text() for path in release.files}
    return {
        name: text.replace(ATLAS_TXMODE_NONE.rstrip(), place.engine.txmode_none.rstrip())
        for name, text in texts.items()
    }


def test_a_new_database_gets_all_files_and_later_what_is_new(place: Place) -> None:
    first = place.apply(ONE)
    assert (first.code, first.applied) == (ExitCode.OK, 1), first.output
    more = place.apply(TWO)
    assert (more.code, more.applied) == (ExitCode.OK, 1), more.output
    again = place.apply()
    assert (again.code, again.applied) == (ExitCode.OK, 0), again.output
    assert place.database.tables == {"a", "b"}
    assert place.database.rows("select count(*) from a") == ["1"]


@pytest.mark.on_postgres
def test_a_real_schema(place: Place) -> None:
    first = place.apply(shop(FIRST, place))
    assert (first.code, first.applied) == (ExitCode.OK, len(FIRST.files)), first.output
    second = place.apply(shop(SECOND, place))
    assert (second.code, second.applied) == (ExitCode.OK, len(SECOND.files) - len(FIRST.files)), second.output
    assert {"customers", "orders", "payments", "coupons"} <= place.database.tables
