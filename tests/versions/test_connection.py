"""The way to the server: passwords and TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.exit_codes import ExitCode

if TYPE_CHECKING:
    from tests.versions.conftest import Place

ONE = {"1_a.sql": "create table a (id int);\n"}


def test_a_wrong_password_is_refused(place: Place) -> None:
    refused = place.apply(ONE, password="wr@ng pass:word")
    assert refused.code is ExitCode.AUTHENTICATION, refused.output
    assert place.database.tables == set()


@pytest.mark.parametrize("kind", ["encrypted", "verified"])
def test_tls_is_used_where_the_url_asks_for_it(place: Place, kind: str) -> None:
    table = f"create table a as select {place.database.is_encrypted} as used;"
    done = place.apply({"1_a.sql": table}, parameters=getattr(place.database, kind))
    assert done.code is ExitCode.OK, done.output
    assert place.database.rows("select used from a") in (["t"], ["1"])


def test_a_server_that_is_not_trusted_gets_no_password(place: Place) -> None:
    refused = place.apply(ONE, parameters=place.database.untrusted)
    assert refused.code is ExitCode.USAGE, refused.output
    assert place.database.tables == set()
