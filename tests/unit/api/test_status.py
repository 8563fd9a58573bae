"""A status as an operator finds it, perhaps one that a newer operator has written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.record import from_json, to_json
from dbupgrade.api.run import Run

STARTED: dict[str, Any] = {
    "jobName": "orders-1",
    "sequence": 1,
    "runId": "a",
    "image": "registry.test/orders:1",
    "generation": 1,
    "startedAt": datetime(2026, 1, 2, tzinfo=UTC),
}


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_is_read_as_it_was_written(failure: Failure) -> None:
    assert Failure(str(failure)) is failure
    assert from_json(Run, {**STARTED, "failure": str(failure)}).failure is failure


@pytest.mark.parametrize("name", ["FromTheFuture", "", "sqlerror"])
def test_a_failure_that_is_not_known_is_read_as_unknown(name: str) -> None:
    assert Failure(name) is Failure.UNKNOWN
    assert from_json(Run, {**STARTED, "failure": name}).failure is Failure.UNKNOWN


def test_an_engine_that_is_null_is_the_default_one() -> None:
    assert from_json(Run, {**STARTED, "engine": None}).engine == "Atlas"


def test_a_run_without_a_failure_has_none() -> None:
    assert from_json(Run, STARTED).failure is None


@pytest.mark.parametrize(("stored", "seen"), [({}, False), ({"migrateSeen": True}, True)])
def test_that_migrate_was_seen_is_stored_with_the_run(stored: dict[str, Any], seen: bool) -> None:
    run = from_json(Run, {**STARTED, **stored})
    assert run.migrate_seen is seen
    assert to_json(run)["migrateSeen"] is seen
