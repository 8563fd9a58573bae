"""What cannot be done in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode

if TYPE_CHECKING:
    from tests.versions.conftest import Place

TABLE = {"1_a.sql": "create table a (id int);\ninsert into a select generate_series(1, 1000);\n"}
INDEX = "create index concurrently a_id on a (id);\n"


@pytest.mark.on_postgres
def test_an_index_is_built_concurrently(place: Place) -> None:
    built = place.apply({**TABLE, "2_index.sql": place.engine.txmode_none + INDEX})
    assert (built.code, built.applied) == (ExitCode.OK, 2), built.output
    query = "select indisvalid from pg_index where indexrelid = 'a_id'::regclass"
    assert place.database.rows(query) == ["t"]
