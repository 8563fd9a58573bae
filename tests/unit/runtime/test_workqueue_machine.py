"""Any order of adds, delays, workers, failures and time: the queue does what this simple model does."""

import asyncio
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.workqueue import ShutDown, WorkQueue
from tests.unit.runtime.fakes import FakeClock

BASE, CAP = 2, 16

keys = st.sampled_from("abcd")
delays = st.integers(min_value=-1, max_value=40)


class Model:
    """A list of keys that wait, one of delays, one of keys in work: slow and plain."""

    def __init__(self) -> None:
        self.now = 0
        self.waiting: list[str] = []
        self.again: list[str] = []  # added while in work
        self.working: list[str] = []
        self.delays: list[tuple[int, int, str]] = []  # when, order of the put, key
        self.puts = 0
        self.failures: dict[str, int] = {}
        self.shut = False
        self.handed_out: list[str] = []
        self.idle_workers = 0

    def add(self, key: str) -> None:
        if self.shut or key in self.waiting or key in self.again:
            return
        (self.again if key in self.working else self.waiting).append(key)
        self.hand_out()

    def add_after(self, key: str, seconds: int) -> None:
        if self.shut:
            return
        if seconds <= 0:
            self.add(key)
            return
        earlier = [delay for delay in self.delays if delay[2] == key and delay[0] <= self.now + seconds]
        if not earlier:
            self.drop_delay(key)
            self.puts += 1
            self.delays.append((self.now + seconds, self.puts, key))

    def add_rate_limited(self, key: str) -> None:
        if not self.shut:
            failures = self.failures.get(key, 0)
            self.failures[key] = failures + 1
            self.add_after(key, min(CAP, BASE * 2**failures))

    def drop_delay(self, key: str) -> None:
        self.delays = [delay for delay in self.delays if delay[2] != key]

    def worker_comes(self) -> None:
        self.idle_workers += 1
        self.hand_out()

    def hand_out(self) -> None:
        while self.waiting and self.idle_workers:
            key = self.waiting.pop(0)
            self.idle_workers -= 1
            self.drop_delay(key)
            self.working.append(key)
            self.handed_out.append(key)

    def done(self, key: str) -> None:
        self.working.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.waiting.append(key)
        self.hand_out()

    def advance(self, seconds: int) -> None:
        self.now += seconds
        due = sorted(delay for delay in self.delays if delay[0] <= self.now)
        self.delays = [delay for delay in self.delays if delay[0] > self.now]
        for _, _, key in due:
            self.add(key)

    def shut_down(self) -> None:
        self.shut = True
        self.delays = []


class WorkQueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(
            "test-machine", Backoff(BASE, CAP, 0.0, random.Random(1)), self.clock
        )
        self.model = Model()
        self.handed_out: list[str] = []
        self.idle: list[asyncio.Task[None]] = []
        self.ended = 0

    def teardown(self) -> None:
        for task in self.idle:
            task.cancel()
        self.settle()
        self.loop.close()

    def settle(self) -> None:
        """Let every worker that can go on do so; each rule leaves the queue settled."""
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.idle = [task for task in self.idle if not task.done()]

    async def work_once(self) -> None:
        try:
            self.handed_out.append(await self.queue.get())
        except ShutDown:
            self.ended += 1

    @rule(key=keys)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.model.add(key)

    @rule(key=keys, seconds=delays)
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        self.model.add_after(key, seconds)

    @rule(key=keys)
    def add_rate_limited(self, key: str) -> None:
        self.queue.add_rate_limited(key)
        self.model.add_rate_limited(key)

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.model.failures.pop(key, None)

    @precondition(lambda self: not self.model.shut)
    @rule()
    def a_worker_comes(self) -> None:
        self.idle.append(self.loop.create_task(self.work_once()))
        self.model.worker_comes()

    @precondition(lambda self: self.model.shut)
    @rule()
    def a_worker_comes_after_the_shutdown(self) -> None:
        ended = self.ended
        self.idle.append(self.loop.create_task(self.work_once()))
        if self.model.waiting:
            self.model.worker_comes()
        else:
            self.settle()
            assert self.ended == ended + 1

    @precondition(lambda self: self.idle)
    @rule()
    def an_idle_worker_is_cancelled(self) -> None:
        self.idle[0].cancel()
        self.model.idle_workers -= 1

    @precondition(lambda self: len(self.idle) > 1)
    @rule(key=keys)
    def an_idle_worker_is_cancelled_as_a_key_comes(self, key: str) -> None:
        self.queue.add(key)
        self.idle[0].cancel()
        self.model.idle_workers -= 1
        self.model.add(key)

    @precondition(lambda self: self.model.working)
    @rule(data=st.data())
    def a_worker_is_done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.model.working))
        self.queue.done(key)
        self.model.done(key)

    @rule(seconds=st.integers(min_value=1, max_value=20))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.advance(seconds)

    @precondition(lambda self: not self.model.shut)
    @rule()
    def shut_down(self) -> None:
        idle, ended = len(self.idle), self.ended
        self.queue.shut_down()
        self.model.shut_down()
        self.model.idle_workers = 0
        self.settle()
        assert self.ended == ended + idle

    @invariant()
    def the_queue_does_as_the_model(self) -> None:
        self.settle()
        assert self.handed_out == self.model.handed_out
        assert list(self.queue._ready) == self.model.waiting
        assert set(self.queue._dirty) == {*self.model.waiting, *self.model.again}
        assert sorted(self.queue._working) == sorted(self.model.working)
        assert {key: when for key, (when, _) in self.queue._delayed._due.items()} == {
            key: when + 1000.0 for when, _, key in self.model.delays
        }
        assert len(self.idle) == self.model.idle_workers

    @invariant()
    def no_key_is_in_two_workers(self) -> None:
        assert len(self.model.working) == len(set(self.model.working))

    @invariant()
    def there_is_one_timer_at_most_and_it_is_not_late(self) -> None:
        assert len(self.clock.timers) <= 1
        if self.model.delays:
            assert self.clock.timers[0].when <= min(self.model.delays)[0] + 1000.0


WorkQueueMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWorkQueue = WorkQueueMachine.TestCase
