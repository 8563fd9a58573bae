from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.kube.errors import ApiError, Expired, ServerError, Unreachable
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.faultproxy import (
    Answer,
    Cut,
    Duplicate,
    ErrorEvent,
    Fault,
    Match,
    Reset,
    Stall,
)
from tests.integration.harness.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dbupgrade.kube.client import Client
    from tests.integration.harness.apiserver import ApiServer
    from tests.integration.harness.faultproxy import FaultProxy

CONFIG_MAPS = ResourceKind("", "v1", "configmaps")
WATCH = Match(watch=True)


async def make(client: Client, namespace: str, *names: str, **data: str) -> None:
    maps = ResourceClient(client, CONFIG_MAPS)
    for name in names:
        await maps.create(namespace, {"metadata": {"name": name, "labels": {"first": name[0]}}, "data": data})


async def version_now(watcher: ListWatcher) -> str:
    return (await watcher.list_page(1)).resource_version


def name_of(event: tuple[str, dict[str, Any]]) -> tuple[str, str]:
    return event[0], event[1]["metadata"]["name"]


async def collect(
    events: AsyncGenerator[tuple[str, dict[str, Any]], None], number: int
) -> list[tuple[str, str]]:
    """Return the next events that are not bookmarks."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < number:
            event = await anext(events)
            if event[0] != "BOOKMARK":
                found.append(name_of(event))
    return found


async def until_error(events: AsyncGenerator[tuple[str, dict[str, Any]], None]) -> None:
    async with asyncio.timeout(PATIENCE):
        async for _ in events:
            pass


class TestList:
    async def test_pages_together_are_the_list(self, admin: Client, namespace: str) -> None:
        names = [f"m{number}" for number in range(5)]
        await make(admin, namespace, *names)
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        pages = [await watcher.list_page(2)]
        while pages[-1].continue_token:
            pages.append(await watcher.list_page(2, pages[-1].continue_token))
        assert [len(page.items) for page in pages] == [2, 2, 1]
        assert [item["metadata"]["name"] for page in pages for item in page.items] == names
        assert {page.resource_version for page in pages} == {pages[0].resource_version}

    async def test_items_carry_api_version_and_kind(self, admin: Client, namespace: str) -> None:
        await make(admin, namespace, "a")
        (item,) = (await ListWatcher(admin, CONFIG_MAPS, namespace).list_page(0)).items
        assert (item["apiVersion"], item["kind"]) == ("v1", "ConfigMap")

    async def test_a_selector_narrows_the_list(self, admin: Client, namespace: str) -> None:
        await make(admin, namespace, "a1", "a2", "b1")
        page = await ListWatcher(admin, CONFIG_MAPS, namespace, "first=b").list_page(0)
        assert [item["metadata"]["name"] for item in page.items] == ["b1"]

    async def test_without_a_namespace_all_are_listed(self, admin: Client, namespace: str) -> None:
        await make(admin, namespace, "a")
        page = await ListWatcher(admin, CONFIG_MAPS).list_page(0)
        assert namespace in {item["metadata"]["namespace"] for item in page.items}

    async def test_a_token_of_before_a_compaction_has_expired(
        self, admin: Client, api: ApiServer, namespace: str
    ) -> None:
        await make(admin, namespace, "a", "b", "c")
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        page = await watcher.list_page(1)
        await make(admin, namespace, "d")
        await api.forget_history()
        with pytest.raises(Expired):
            await watcher.list_page(1, page.continue_token)


class TestWatch:
    async def test_changes_after_the_version_arrive_in_order(self, admin: Client, namespace: str) -> None:
        await make(admin, namespace, "before")
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        version = await version_now(watcher)
        async with aclosing(watcher.watch(version, 60)) as events:
            await make(admin, namespace, "a")
            maps = ResourceClient(admin, CONFIG_MAPS)
            await maps.patch(namespace, "a", {"data": {"x": "1"}})
            await maps.delete(namespace, "a", propagation="Background")
            assert await collect(events, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    async def test_a_selector_narrows_the_watch(self, admin: Client, namespace: str) -> None:
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace, "first=b")
        async with aclosing(watcher.watch(await version_now(watcher), 60)) as events:
            await make(admin, namespace, "a1", "b1")
            assert await collect(events, 1) == [("ADDED", "b1")]

    async def test_a_large_object_arrives_whole(self, admin: Client, namespace: str) -> None:
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        async with aclosing(watcher.watch(await version_now(watcher), 60)) as events:
            await make(admin, namespace, "large", text="ä" * 500_000)
            _, changed = await anext(events)
        assert len(changed["data"]["text"]) == 500_000

    async def test_the_server_ends_the_watch_after_its_timeout(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        watcher = ListWatcher(proxied, CONFIG_MAPS, namespace)
        version = await version_now(watcher)
        await make(proxied, namespace, "a")
        async with asyncio.timeout(PATIENCE):
            assert [name_of(event) async for event in watcher.watch(version, 1)] == [("ADDED", "a")]
        assert proxy.requests[-1].query["allowWatchBookmarks"] == "true"

    async def test_a_version_that_the_server_has_forgotten_is_expired(
        self, admin: Client, api: ApiServer, namespace: str
    ) -> None:
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        version = await version_now(watcher)
        await make(admin, namespace, "a")
        await api.forget_history()
        with pytest.raises(Expired):
            await until_error(watcher.watch(version, 60))

    async def test_closing_the_generator_ends_the_request(self, proxied: Client, proxy: FaultProxy) -> None:
        watcher = ListWatcher(proxied, CONFIG_MAPS)
        events = watcher.watch("0", 60)
        await anext(events)
        await events.aclose()
        connector = proxied._session.connector
        assert connector is not None
        assert not connector._acquired

    async def test_the_end_of_the_api_server_is_noticed(
        self, admin: Client, api: ApiServer, namespace: str
    ) -> None:
        watcher = ListWatcher(admin, CONFIG_MAPS, namespace)
        version = await version_now(watcher)
        await make(admin, namespace, "a")
        events = watcher.watch(version, 60)
        await anext(events)
        api.kill()
        try:
            with pytest.raises(Unreachable):
                await until_error(events)
            with pytest.raises(Unreachable, match="cannot connect"):
                await watcher.list_page(1)
        finally:
            await api.restart()
        assert len((await watcher.list_page(0)).items) == 1


class TestFaults:
    async def test_an_http_status_is_looked_at_before_the_stream(
        self, proxied: Client, proxy: FaultProxy
    ) -> None:
        watcher = ListWatcher(proxied, CONFIG_MAPS)
        for code, reason, expected in ((410, "Expired", Expired), (500, "InternalError", ServerError)):
            proxy.inject(Fault(WATCH, Answer(code, reason)))
            with pytest.raises(expected):
                await until_error(watcher.watch("0", 60))

    @pytest.mark.parametrize(
        ("code", "expected"), [(410, Expired), (500, ServerError), (403, ApiError), (0, ServerError)]
    )
    async def test_an_error_event_is_an_error(
        self, proxied: Client, proxy: FaultProxy, code: int, expected: type[ApiError]
    ) -> None:
        proxy.inject(Fault(WATCH, ErrorEvent(code)))
        with pytest.raises(expected, match=r"WATCH /api/v1/configmaps: .*injected"):
            await until_error(ListWatcher(proxied, CONFIG_MAPS).watch("0", 60))

    async def test_a_connection_that_never_answers_is_given_up(
        self, proxied: Client, proxy: FaultProxy
    ) -> None:
        proxy.inject(Fault(WATCH, Stall()))
        with pytest.raises(Unreachable, match="no answer in time"):
            await until_error(ListWatcher(proxied, CONFIG_MAPS, silence=0.2).watch("0", 60))

    async def test_a_connection_that_goes_silent_ends_the_watch(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        await make(proxied, namespace, "a", "b")
        proxy.inject(Fault(WATCH, Stall(events=1)))
        started = time.monotonic()
        watcher = ListWatcher(proxied, CONFIG_MAPS, namespace, silence=2)
        async with asyncio.timeout(PATIENCE):
            assert [name_of(event) async for event in watcher.watch("0", 3600)] == [("ADDED", "a")]
        assert time.monotonic() - started >= 2

    async def test_after_a_frozen_network_nothing_is_missed(
        self, proxied: Client, proxy: FaultProxy, admin: Client, namespace: str
    ) -> None:
        watcher = ListWatcher(proxied, CONFIG_MAPS, namespace, silence=2)
        events = watcher.watch(await version_now(watcher), 60)
        await make(admin, namespace, "a")
        first = await anext(events)
        proxy.freeze()
        await make(admin, namespace, "b")
        assert [event async for event in events] == []
        version = first[1]["metadata"]["resourceVersion"]
        with pytest.raises(Unreachable, match="no answer in time"):
            await until_error(watcher.watch(version, 60))
        proxy.thaw()
        async with aclosing(watcher.watch(version, 60)) as events:
            assert await collect(events, 1) == [("ADDED", "b")]

    async def test_half_an_event_is_no_event(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        await make(proxied, namespace, "a", "b")
        proxy.inject(Fault(WATCH, Cut(events=1)))
        events = ListWatcher(proxied, CONFIG_MAPS, namespace).watch("0", 60)
        assert name_of(await anext(events)) == ("ADDED", "a")
        with pytest.raises(Unreachable, match="within an event"):
            await anext(events)

    async def test_a_reset_is_unreachable(self, proxied: Client, proxy: FaultProxy) -> None:
        proxy.inject(Fault(WATCH, Reset(), times=None))
        with pytest.raises(Unreachable, match="connection was lost"):
            await until_error(ListWatcher(proxied, CONFIG_MAPS).watch("0", 60))

    async def test_events_that_come_twice_are_passed_on_twice(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        await make(proxied, namespace, "a")
        proxy.inject(Fault(WATCH, Duplicate()))
        async with aclosing(ListWatcher(proxied, CONFIG_MAPS, namespace).watch("0", 60)) as events:
            assert await collect(events, 2) == [("ADDED", "a"), ("ADDED", "a")]

    async def test_a_watch_does_not_keep_a_slow_consumer_from_closing(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        await make(proxied, namespace, "a")
        watcher = ListWatcher(proxied, CONFIG_MAPS, namespace)
        seen: list[Any] = []

        async def consume() -> None:
            async with aclosing(watcher.watch("0", 60)) as events:
                async for event in events:
                    seen.append(event)  # noqa: PERF401 - it never ends

        task = asyncio.create_task(consume())
        await eventually(lambda: seen)
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(task, return_exceptions=True)
