from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from dbupgrade.kube import events
from dbupgrade.kube.events import EventRecorder, event_name
from tests.unit.kube.fakes import FakeApi, FakeClock, failure, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INVOLVED = {
    "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
    "kind": "DBUpgrade",
    "namespace": "shop",
    "name": "orders",
    "uid": "u1",
}


class Recording:
    """A recorder that runs, with a fake API and a fake clock."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = FakeClock()
        self.recorder = EventRecorder(self.api.as_client(), clock=self.clock)

    @property
    def stored(self) -> list[dict[str, Any]]:
        return list(self.api.objects.values())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def recording() -> Recording:
    return Recording()


async def test_an_event_is_written_with_all_that_kubectl_shows(recording: Recording) -> None:
    recording.recorder.record(INVOLVED, "Normal", "MigrationStarted", "run 1")
    async with recording.running():
        await settle()
    (event,) = recording.stored
    assert event["metadata"]["namespace"] == "shop"
    assert event["involvedObject"] == INVOLVED
    assert event["source"] == {"component": "dbupgrade"}
    fields = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp")
    assert [event[name] for name in fields] == [
        "Normal",
        "MigrationStarted",
        "run 1",
        1,
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z",
    ]


async def test_the_same_again_raises_the_count_of_the_event(recording: Recording) -> None:
    async with recording.running():
        for _ in range(3):
            recording.recorder.record(INVOLVED, "Warning", "PreCheckFailed", "lag")
            await recording.clock.advance(60)
    (event,) = recording.stored
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:06:05Z",
    )


async def test_the_same_while_one_waits_is_one_request(recording: Recording) -> None:
    for _ in range(50):
        recording.recorder.record(INVOLVED, "Warning", "PreCheckFailed", "lag")
    async with recording.running():
        await settle()
    assert [method for method, *_ in recording.api.calls] == ["POST"]
    assert recording.stored[0]["count"] == 50


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((INVOLVED | {"uid": "u2"}, "Warning", "A", "m"), id="another object of that name"),
        pytest.param((INVOLVED, "Normal", "A", "m"), id="another type"),
        pytest.param((INVOLVED, "Warning", "B", "m"), id="another reason"),
        pytest.param((INVOLVED, "Warning", "A", "n"), id="another message"),
    ],
)
async def test_what_differs_is_an_event_of_its_own(recording: Recording, other: Any) -> None:
    recording.recorder.record(INVOLVED, "Warning", "A", "m")
    recording.recorder.record(*other)
    async with recording.running():
        await settle()
    assert [event["count"] for event in recording.stored] == [1, 1]


async def test_an_event_that_the_server_has_removed_is_written_anew(recording: Recording) -> None:
    async with recording.running():
        recording.recorder.record(INVOLVED, "Warning", "A", "m")
        await settle()
        recording.api.objects.clear()
        recording.recorder.record(INVOLVED, "Warning", "A", "m")
        await settle()
    assert [event["count"] for event in recording.stored] == [1]


async def test_failures_are_logged_and_the_next_event_is_written(recording: Recording) -> None:
    async def refuse_first(method: str) -> None:
        if len(recording.api.calls) == 1:
            raise failure(method, "/events", 403, "Forbidden")

    recording.api.before = refuse_first
    recording.recorder.record(INVOLVED, "Warning", "A", "m")
    recording.recorder.record(INVOLVED, "Warning", "B", "m")
    with capture_logs() as logs:
        async with recording.running():
            await settle()
    assert [event["reason"] for event in recording.stored] == ["B"]
    assert [(log["event"], log["reason"]) for log in logs] == [("event_dropped", "A")]


async def test_when_too_many_wait_the_oldest_are_dropped_and_counted(recording: Recording) -> None:
    for number in range(events.MAX_PENDING + 3):
        recording.recorder.record(INVOLVED, "Normal", "A", str(number))
    with capture_logs() as logs:
        async with recording.running():
            await recording.recorder.flush(5)
    assert len(recording.stored) == events.MAX_PENDING
    assert recording.stored[0]["message"] == "3"
    assert [log["dropped"] for log in logs] == [3]


async def test_only_so_many_events_are_remembered(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_REMEMBERED", 2)
    async with recording.running():
        for message in ("a", "b", "c", "b", "a"):
            recording.recorder.record(INVOLVED, "Normal", "A", message)
            await settle()
    assert [method for method, *_ in recording.api.calls] == ["POST", "POST", "POST", "PATCH", "POST"]


async def test_flush_waits_until_all_is_written(recording: Recording) -> None:
    async with recording.running():
        for number in range(10):
            recording.recorder.record(INVOLVED, "Normal", "A", str(number))
        await recording.recorder.flush(5)
        assert len(recording.stored) == 10


async def test_flush_gives_up_at_its_deadline(recording: Recording) -> None:
    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    recording.api.before = hang
    async with recording.running():
        recording.recorder.record(INVOLVED, "Normal", "A", "m")
        with capture_logs() as logs:
            await recording.recorder.flush(0.01)
    assert [log["event"] for log in logs] == ["events_not_written"]


async def test_a_long_message_is_cut_to_what_the_server_takes(recording: Recording) -> None:
    recording.recorder.record(INVOLVED, "Normal", "A", "x" * 5000)
    async with recording.running():
        await settle()
    assert len(recording.stored[0]["message"]) == events.MESSAGE_LIMIT


@pytest.mark.parametrize("name", ["orders", "a" * 253, "a" * 235 + "." + "b" * 17])
def test_an_events_name_is_a_dns_subdomain(name: str) -> None:
    made = event_name(name)
    assert len(made) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", made)
    assert made != event_name(name)
