"""What was just done and no cache shows yet, and how long that is believed."""

import pytest

from dbupgrade.reconcile.memory import Launches, Memories, Memory
from dbupgrade.runtime.objects import Key

JOB, KEY = Key("shop", "orders-1"), Key("shop", "orders")


def test_a_job_is_expected_for_five_seconds_and_by_its_name() -> None:
    memory = Memory(created=("orders-1", 100.0))
    assert memory.expects("orders-1", 104.9)
    assert not memory.expects("orders-1", 105.0)
    assert not memory.expects("orders-2", 100.0)
    assert not Memory().expects("orders-1", 0.0)


def test_a_resource_keeps_its_notes_until_it_is_forgotten() -> None:
    memories = Memories()
    memories.of(KEY).expired.add("orders-1")
    memories.of(KEY).started_jobs.add("job-uid")
    assert memories.of(KEY) == Memory(expired={"orders-1"}, started_jobs={"job-uid"})
    assert memories.of(Key("other", "orders")) == Memory()
    memories.forget(KEY)
    memories.forget(KEY)
    assert memories.of(KEY) == Memory()


class Time:
    now = 100.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    result = Time()
    monkeypatch.setattr("time.monotonic", lambda: result.now)
    return result


def test_a_job_that_was_just_created_takes_its_database_from_others(time: Time) -> None:
    launches = Launches()
    launches.note(JOB, "red", "uid-1")
    assert launches.unseen("red", "uid-2") == "Job shop/orders-1 was just created"
    assert launches.unseen("red", "uid-1") == ""
    assert launches.unseen("blue", "uid-2") == ""


def test_a_job_that_the_cache_shows_is_not_just_created(time: Time) -> None:
    launches = Launches()
    launches.note(JOB, "red", "uid-1")
    launches.seen(Key("shop", "other"))
    assert launches.unseen("red", "uid-2")
    launches.seen(JOB)
    assert launches.unseen("red", "uid-2") == ""


def test_a_job_that_never_shows_is_believed_for_five_seconds(time: Time) -> None:
    launches = Launches()
    launches.note(JOB, "red", "uid-1")
    time.now += 4.9
    assert launches.unseen("red", "uid-2")
    time.now += 0.1
    assert launches.unseen("red", "uid-2") == ""
