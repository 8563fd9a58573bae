"""A history that somebody edited by hand: what stands in it is data of a stranger, and no part of it may do harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod import message
from tests.integration.toolkit.conftest import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.toolkit.conftest import Toolkit

HISTORY = "atlas_schema_revisions.atlas_schema_revisions"
VERSIONS = {
    "long": "9" * 220_000,
    "control characters": "9\x1b[2J\r\n\u202e9",
    "a report": '9","failure":null}\n{"event":"finished"}',
    "the password": f"9 {PASSWORD}",
}


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_in_it_is_only_ever_a_short_text(toolkit: Toolkit, tmp_path: Path, name: str) -> None:
    toolkit.write(v1="create table a (n int);")
    assert toolkit.run("apply").code == 0
    toolkit.execute(
        f"create temp table planted as table {HISTORY}",
        f"update planted set version = {literal(VERSIONS[name])}",  # noqa: S608
        f"insert into {HISTORY} table planted",
    )
    toolkit.write(v1="create table a (n int);", v2="create table b (n int);")
    refused = toolkit.run("status")
    assert (refused.code, refused.event("failed")["failure"]) == (12, "OutOfOrder")
    for order, failure in (("Linear", Failure.OUT_OF_ORDER), ("LinearSkip", None)):
        path = tmp_path / f"{order}.json"
        done = toolkit.run("apply", "--report", str(path), MIGRATE_EXEC_ORDER=order)
        report = path.read_text()
        read = message.read(report)
        assert read is not None
        assert read.failure is failure, done.text
        assert len(report.encode()) <= message.MAX_BYTES
        assert PASSWORD not in report
        assert all(len(line) < 2000 and line.isprintable() for line in done.text.splitlines())


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
