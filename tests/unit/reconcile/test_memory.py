"""What was just done and no cache shows yet, and how long that is believed."""

import pytest

from dbupgrade.objects import Key
from dbupgrade.reconcile.memory import Memories, Memory, UnendedJobs

JOB, OTHER, KEY = Key("shop", "orders-1"), Key("shop", "users-1"), Key("shop", "orders")


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


def test_a_job_is_unended_from_its_launch_to_its_end(time: Time) -> None:
    jobs = UnendedJobs()
    jobs.launched(JOB, "red", "uid-1")
    assert jobs.on("red") == {JOB: "uid-1"}
    assert jobs.on("blue") == {}
    jobs.shown(JOB, "red", "uid-1")
    time.now += 3600
    assert jobs.on("red") == {JOB: "uid-1"}
    jobs.ended(JOB)
    jobs.ended(JOB)
    assert jobs.on("red") == {}


def test_a_job_is_settled_once_it_is_shown_or_five_seconds_have_passed(time: Time) -> None:
    jobs = UnendedJobs()
    jobs.launched(JOB, "red", "uid-1")
    jobs.launched(OTHER, "red", "uid-2")
    jobs.shown(OTHER, "red", "uid-2")
    time.now += 4.9
    assert (jobs.is_settled(JOB), jobs.is_settled(OTHER)) == (False, True)
    time.now += 0.1
    assert jobs.is_settled(JOB)


def test_a_job_that_was_found_at_work_is_settled(time: Time) -> None:
    jobs = UnendedJobs()
    jobs.shown(JOB, "red", "uid-1")
    assert jobs.is_settled(JOB)
