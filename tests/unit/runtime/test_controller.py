import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from dbupgrade.objects import Key
from dbupgrade.runtime.backoff import Backoff
from dbupgrade.runtime.controller import Controller, Result
from dbupgrade.runtime.workqueue import WorkQueue
from tests.unit.runtime.fakes import FakeClock

NAME = "test-controller"
ORDERS = Key("shop", "orders")
BACKOFF_SECONDS = 2.0


class Conflict(Exception):  # noqa: N818 - as kube calls it
    pass


class NotNow(Exception):  # noqa: N818
    def __init__(self, retry_after: object) -> None:
        super().__init__()
        self.retry_after = retry_after


Outcome = Result | BaseException | Callable[[], Awaitable[Result]]


@dataclass
class Workshop:
    """A controller whose reconciles end as told; `Result()` when nothing more is told."""

    outcomes: deque[Outcome] = field(default_factory=deque)
    seen: list[Key] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        backoff: Backoff[Key] = Backoff(BACKOFF_SECONDS, 100.0, 0.0, random.Random(1))
        self.queue: WorkQueue[Key] = WorkQueue(NAME, backoff, self.clock)

    def controller(self, workers: int = 1) -> Controller:
        return Controller(NAME, self.queue, self.reconcile, workers, requeue_quietly=(Conflict,))

    async def reconcile(self, key: Key) -> Result:
        self.seen.append(key)
        self.contexts.append(structlog.contextvars.get_contextvars())
        outcome = self.outcomes.popleft() if self.outcomes else Result()
        if isinstance(outcome, Result):
            return outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return await outcome()

    def waits(self) -> float | None:
        """Return the seconds after which ORDERS comes again."""
        due = self.queue._delayed._due.get(ORDERS)
        return due[0] - self.clock.time if due else None


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@asynccontextmanager
async def running(controller: Controller) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(controller.run())
    await idle()
    yield task
    await controller.stop(drain_seconds=0)
    await task


async def idle() -> None:
    """Let the workers go as far as they can; each step of theirs is one turn of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)


def total(result: str) -> float:
    labels = {"controller": NAME, "result": result}
    return REGISTRY.get_sample_value("controller_runtime_reconcile_total", labels) or 0.0


def controller_sample(metric: str) -> float:
    return REGISTRY.get_sample_value(metric, {"controller": NAME}) or 0.0


async def returns_nothing() -> Result:
    return cast("Result", None)


LABELS = ("success", "error", "requeue", "requeue_after")


@pytest.mark.parametrize(
    ("outcome", "label", "wait"),
    [
        pytest.param(Result(), "success", None, id="a success waits for a change"),
        pytest.param(Result(requeue_after=30), "requeue_after", 30, id="a result may name its time"),
        pytest.param(Result(backoff=True), "requeue", BACKOFF_SECONDS, id="a result may ask for a back-off"),
        pytest.param(
            Result(requeue_after=30, backoff=True), "requeue", BACKOFF_SECONDS, id="back-off goes before time"
        ),
        pytest.param(Conflict(), "requeue", BACKOFF_SECONDS, id="a conflict is tried again"),
        pytest.param(RuntimeError(), "error", BACKOFF_SECONDS, id="a bug is tried again"),
        pytest.param(NotNow(7), "error", 7, id="a server may name the time"),
        pytest.param(NotNow(None), "error", BACKOFF_SECONDS, id="a server may name no time"),
        pytest.param(NotNow(0), "error", BACKOFF_SECONDS, id="a server that says at once is not believed"),
        pytest.param(NotNow(-1), "error", BACKOFF_SECONDS, id="a server that says before is not believed"),
        pytest.param(NotNow("soon"), "error", BACKOFF_SECONDS, id="a server that says words is not believed"),
        pytest.param(
            asyncio.CancelledError(), "error", BACKOFF_SECONDS, id="a foreign cancellation is a failure"
        ),
        pytest.param(
            cast("Result", None), "error", BACKOFF_SECONDS, id="a reconcile without result is a bug"
        ),
    ],
)
async def test_the_end_of_a_reconcile_decides_when_its_key_comes_again(
    workshop: Workshop, outcome: Outcome, label: str, wait: float | None
) -> None:
    workshop.outcomes.append(outcome)
    before = {each: total(each) for each in LABELS}
    async with running(workshop.controller()):
        workshop.queue.add(ORDERS)
        await idle()
        assert workshop.waits() == wait
        workshop.queue.add(Key("shop", "next"))
        await idle()
    assert workshop.seen == [ORDERS, Key("shop", "next")]
    after = {each: total(each) - before[each] for each in LABELS}
    expected = dict.fromkeys(LABELS, 0) | {"success": 1}
    expected[label] += 1
    assert after == expected


@pytest.mark.parametrize(
    ("end", "next_wait"),
    [
        pytest.param(Result(), BACKOFF_SECONDS, id="a success forgets the failures"),
        pytest.param(
            Result(requeue_after=1), BACKOFF_SECONDS, id="a requeue after a time forgets the failures"
        ),
        pytest.param(Result(backoff=True), 8 * BACKOFF_SECONDS, id="a back-off result counts as one more"),
        pytest.param(Conflict(), 8 * BACKOFF_SECONDS, id="a conflict counts as one more"),
    ],
)
async def test_the_backoff_grows_until_a_result_without_it(
    workshop: Workshop, end: Result | Exception, next_wait: float
) -> None:
    workshop.outcomes.extend([RuntimeError(), RuntimeError(), end, RuntimeError()])
    async with running(workshop.controller()):
        for _ in range(4):
            workshop.queue.add(ORDERS)
            await idle()
        assert workshop.waits() == next_wait


async def test_a_failure_is_logged_and_counted_without_its_text(workshop: Workshop) -> None:
    workshop.outcomes.append(RuntimeError("postgres://app:hunter2@db"))
    before = controller_sample("controller_runtime_reconcile_errors_total")
    logs = await logs_of_one_reconcile(workshop)
    assert [(log["event"], log["log_level"], log["error"]) for log in logs] == [
        ("reconcile_failed", "error", "RuntimeError")
    ]
    assert (logs[0]["namespace"], logs[0]["name"], logs[0]["controller"]) == ("shop", "orders", NAME)
    assert "hunter2" not in str(logs)
    assert controller_sample("controller_runtime_reconcile_errors_total") == before + 1


async def test_a_conflict_is_neither_logged_nor_counted_as_an_error(workshop: Workshop) -> None:
    workshop.outcomes.append(Conflict())
    before = controller_sample("controller_runtime_reconcile_errors_total")
    assert await logs_of_one_reconcile(workshop) == []
    assert controller_sample("controller_runtime_reconcile_errors_total") == before


async def logs_of_one_reconcile(workshop: Workshop) -> list[MutableMapping[str, Any]]:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        async with running(workshop.controller()):
            workshop.queue.add(ORDERS)
            await idle()
    return logs


async def test_logs_carry_namespace_and_name_for_the_time_of_a_reconcile(workshop: Workshop) -> None:
    async with running(workshop.controller()):
        workshop.queue.add(ORDERS)
        workshop.queue.add(Key("bank", "ledger"))
        await idle()
    assert workshop.contexts == [
        {"namespace": "shop", "name": "orders"},
        {"namespace": "bank", "name": "ledger"},
    ]


async def test_the_length_of_a_reconcile_is_measured(workshop: Workshop) -> None:
    before = controller_sample("controller_runtime_reconcile_time_seconds_count")
    await logs_of_one_reconcile(workshop)
    assert controller_sample("controller_runtime_reconcile_time_seconds_count") == before + 1


async def test_workers_work_side_by_side_but_never_on_one_key(workshop: Workshop) -> None:
    gate = asyncio.Event()
    workshop.outcomes.extend([waiting_for(gate)] * 2)
    async with running(workshop.controller(workers=3)):
        workshop.queue.add(ORDERS)
        workshop.queue.add(Key("shop", "stock"))
        await idle()
        workshop.queue.add(ORDERS)
        await idle()
        assert workshop.seen == [ORDERS, Key("shop", "stock")]
        gate.set()
        await idle()
        assert workshop.seen == [ORDERS, Key("shop", "stock"), ORDERS]


def waiting_for(gate: asyncio.Event) -> Callable[[], Awaitable[Result]]:
    async def outcome() -> Result:
        await gate.wait()
        return Result()

    return outcome


async def test_stop_lets_a_running_reconcile_end_and_begins_no_other(workshop: Workshop) -> None:
    gate = asyncio.Event()
    workshop.outcomes.append(waiting_for(gate))
    controller = workshop.controller()
    run = asyncio.create_task(controller.run())
    workshop.queue.add(ORDERS)
    workshop.queue.add(Key("shop", "queued"))
    await idle()
    before = total("success")
    stop = asyncio.create_task(controller.stop(drain_seconds=60))
    await idle()
    assert not stop.done()
    gate.set()
    await stop
    await run
    assert workshop.seen == [ORDERS]
    assert total("success") == before + 1


async def test_stop_cancels_what_does_not_end_within_the_limit(workshop: Workshop) -> None:
    workshop.outcomes.append(waiting_for(asyncio.Event()))
    controller = workshop.controller(workers=2)
    run = asyncio.create_task(controller.run())
    workshop.queue.add(ORDERS)
    await idle()
    with capture_logs() as logs:
        await controller.stop(drain_seconds=0)
    assert workshop.queue._working == {}
    assert [log["event"] for log in logs] == ["reconciles_cancelled"]
    await run


async def test_stop_ends_idle_workers_at_once(workshop: Workshop) -> None:
    controller = workshop.controller(workers=3)
    run = asyncio.create_task(controller.run())
    await idle()
    await controller.stop(drain_seconds=60)
    await run


async def test_a_controller_stopped_before_it_ran_does_no_work(workshop: Workshop) -> None:
    workshop.queue.add(ORDERS)
    controller = workshop.controller()
    await controller.stop(drain_seconds=60)
    await controller.run()
    assert workshop.seen == []


async def test_a_cancelled_run_cancels_its_workers(workshop: Workshop) -> None:
    workshop.outcomes.append(waiting_for(asyncio.Event()))
    run = asyncio.create_task(workshop.controller().run())
    workshop.queue.add(ORDERS)
    await idle()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert workshop.queue._working == {}
