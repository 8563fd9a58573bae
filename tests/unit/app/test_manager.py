"""Controllers are started in order when the caches are full, and stopped in the opposite one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest

from dbupgrade.app.manager import Manager
from dbupgrade.kube.events import EventRecorder
from dbupgrade.runtime.reflector import Reflector
from dbupgrade.runtime.store import Store
from dbupgrade.settings import Settings
from tests.unit.runtime.fakes import FakePage

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

SETTINGS = Settings(health_port=0, metrics_port=0)


class Watch:
    """A source that lists nothing, once it may, and then stays silent."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    async def list_page(self, limit: int, continue_token: str) -> FakePage:
        del limit, continue_token
        await self.answers.wait()
        return FakePage([], "1")

    async def watch(self, resource_version: str, timeout_seconds: int) -> AsyncIterator[tuple[str, Any]]:
        del resource_version, timeout_seconds
        await asyncio.Event().wait()
        yield "BOOKMARK", {}


class Noted:
    """A controller that notes what becomes of it."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.watch = Watch()
        self.reflectors: Sequence[Reflector] = [
            Reflector(name, cast("Any", self.watch), Store(), lambda old, new: None, lambda error: False)
        ]
        self.fails = False
        self.works = asyncio.Event()
        self._name = name
        self._notes = notes
        self._stopped = asyncio.Event()

    def prepare(self) -> None:
        self._notes.append(f"{self._name} prepares")

    async def run(self) -> None:
        self._notes.append(f"{self._name} runs")
        self.works.set()
        if self.fails:
            raise RuntimeError(self._name)
        await self._stopped.wait()

    async def stop(self, drain_seconds: float) -> None:
        assert drain_seconds > 0
        self._notes.append(f"{self._name} stops")
        self._stopped.set()

    async def close(self) -> None:
        self._notes.append(f"{self._name} closes")


def managed() -> tuple[Manager, Noted, Noted, list[str]]:
    notes: list[str] = []
    one, two = Noted("one", notes), Noted("two", notes)
    client = cast("Client", None)  # nothing is called: no lease is wanted, and no Event is written
    return Manager(client, SETTINGS, EventRecorder(client), (one, two)), one, two, notes


async def test_all_caches_are_full_before_any_controller_prepares() -> None:
    manager, one, two, notes = managed()
    work = asyncio.create_task(manager.run())
    one.watch.answers.set()
    await one.reflectors[0].synced.wait()
    assert notes == []
    two.watch.answers.set()
    await two.works.wait()
    assert notes == ["one prepares", "two prepares", "one runs", "two runs"]
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert notes[4:] == ["one stops", "two stops", "two closes", "one closes"]


async def test_a_controller_that_fails_ends_the_others() -> None:
    manager, one, two, notes = managed()
    two.fails = True
    for each in (one, two):
        each.watch.answers.set()
    with pytest.raises(RuntimeError, match="two"):
        await manager.run()
    assert notes[-4:] == ["one stops", "two stops", "two closes", "one closes"]
