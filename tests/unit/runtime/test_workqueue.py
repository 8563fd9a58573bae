import asyncio
import random
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from dbupgrade.clock import SystemClock
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.workqueue import ShutDown, WorkQueue
from tests.unit.runtime.fakes import FakeClock

NAME = "test-workqueue"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue(NAME, Backoff(base=1.0, cap=8.0, jitter=0.0, rng=random.Random(1)), clock)


def sample(metric: str) -> float:
    return REGISTRY.get_sample_value(metric, {"name": NAME}) or 0.0


def ready(queue: WorkQueue[str]) -> list[str]:
    return list(queue._ready)


async def test_keys_are_handed_out_in_the_order_they_were_added(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "b", "c"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


async def test_a_waiting_worker_gets_the_next_key(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not worker.done()
    queue.add("a")
    assert await worker == "a"


async def test_a_key_in_work_is_not_handed_out_again_before_it_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert ready(queue) == []
    queue.done("a")
    assert ready(queue) == ["a"]


async def test_a_key_added_in_work_queues_behind_the_others(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("b")
    queue.done("a")
    assert ready(queue) == ["b", "a"]


def test_done_without_work_is_a_bug_of_the_caller(queue: WorkQueue[str]) -> None:
    with pytest.raises(KeyError):
        queue.done("a")


def test_a_delayed_key_comes_when_its_time_is_over(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 5)
    clock.advance(4.9)
    assert ready(queue) == []
    clock.advance(0.1)
    assert ready(queue) == ["a"]


@pytest.mark.parametrize("delays", [(5, 2), (2, 5)], ids=["a shorter one later", "a longer one later"])
def test_of_two_delays_the_one_that_ends_first_counts(
    queue: WorkQueue[str], clock: FakeClock, delays: tuple[float, float]
) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    clock.advance(2)
    assert ready(queue) == ["a"]
    assert len(queue._delayed) == 0


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_delay_is_an_add(queue: WorkQueue[str], clock: FakeClock, seconds: float) -> None:
    queue.add_after("a", seconds)
    assert ready(queue) == ["a"]
    assert clock.timers == []


def test_delayed_keys_of_one_moment_come_in_the_order_they_were_added(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    for key in ("c", "a", "b"):
        queue.add_after(key, 1)
    clock.advance(1)
    assert ready(queue) == ["c", "a", "b"]


async def test_a_key_taken_by_a_worker_loses_its_delay(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    queue.done(await queue.get())
    clock.advance(10)
    assert ready(queue) == []


async def test_a_delay_asked_for_in_work_is_kept(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add_after("a", 5)
    queue.done(key)
    clock.advance(5)
    assert ready(queue) == ["a"]


def test_thousands_of_delayed_keys_need_one_timer(queue: WorkQueue[str], clock: FakeClock) -> None:
    for number in range(5000):
        queue.add_after(str(number), 1 + (number * 7919) % 5000)
        assert len(clock.timers) == 1
    clock.advance(2500)
    assert len(ready(queue)) == 2500
    assert len(clock.timers) == 1
    clock.advance(2500)
    assert len(ready(queue)) == 5000
    assert clock.timers == []


async def test_a_busy_key_does_not_pile_up_its_dropped_delays(queue: WorkQueue[str]) -> None:
    for _ in range(1000):
        queue.add_after("a", 3600)
        queue.add("a")
        queue.done(await queue.get())
    assert len(queue._delayed._heap) < 100


def test_a_failing_key_waits_longer_each_time_until_it_is_forgotten(
    queue: WorkQueue[str], clock: FakeClock
) -> None:
    waits = []
    for _ in range(3):
        queue.add_rate_limited("a")
        waits.append(clock.timers[0].when - clock.time)
        queue._delayed.clear()
    queue.forget("a")
    queue.add_rate_limited("a")
    waits.append(clock.timers[0].when - clock.time)
    assert waits == [1, 2, 4, 1]


async def test_a_queue_that_is_shut_down_hands_out_the_rest_and_ends(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.shut_down()
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    with pytest.raises(ShutDown):
        await queue.get()


async def test_work_remembered_before_the_shutdown_is_handed_out_after_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.shut_down()
    queue.done(key)
    assert await queue.get() == "a"


@pytest.mark.parametrize(
    "add",
    [
        pytest.param(lambda queue: queue.add("a"), id="add"),
        pytest.param(lambda queue: queue.add_after("a", 1), id="add after"),
        pytest.param(lambda queue: queue.add_rate_limited("a"), id="add rate limited"),
    ],
)
def test_a_queue_that_is_shut_down_takes_nothing(
    queue: WorkQueue[str], clock: FakeClock, add: Callable[[WorkQueue[str]], None]
) -> None:
    queue.shut_down()
    add(queue)
    clock.advance(10)
    assert ready(queue) == []


def test_the_shutdown_drops_delayed_keys_and_their_timer(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 1)
    queue.shut_down()
    assert clock.timers == []


async def test_the_shutdown_wakes_every_waiting_worker(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(end) for end in ends] == [ShutDown] * 3


async def test_a_worker_cancelled_as_it_wakes_loses_no_key(queue: WorkQueue[str]) -> None:
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"
    assert first.cancelled()


async def test_the_metrics_tell_depth_adds_retries_and_times(queue: WorkQueue[str], clock: FakeClock) -> None:
    names = {
        "adds": "workqueue_adds_total",
        "retries": "workqueue_retries_total",
        "waited": "workqueue_queue_duration_seconds_sum",
        "worked": "workqueue_work_duration_seconds_sum",
    }
    before = {name: sample(metric) for name, metric in names.items()}
    for key in ("a", "a", "b"):
        queue.add(key)
    assert sample("workqueue_depth") == 2
    clock.advance(3)
    await queue.get()
    clock.advance(2)
    await queue.get()
    clock.advance(1)
    queue.add("a")
    assert sample("workqueue_depth") == 1
    assert sample("workqueue_unfinished_work_seconds") == 3 + 1
    assert sample("workqueue_longest_running_processor_seconds") == 3
    queue.done("a")
    queue.done("b")
    queue.add_rate_limited("c")
    assert sample("workqueue_longest_running_processor_seconds") == 0
    after = {name: sample(metric) - before[name] for name, metric in names.items()}
    assert after == {"adds": 3, "retries": 1, "waited": 3 + 5, "worked": 3 + 1}


async def test_the_running_loop_delivers_delayed_keys() -> None:
    queue: WorkQueue[str] = WorkQueue(NAME, Backoff(0.001, 1.0, 0.0, random.Random(1)), SystemClock())
    queue.add_after("a", 0.002)
    queue.add_rate_limited("b")
    assert {await queue.get(), await queue.get()} == {"a", "b"}
