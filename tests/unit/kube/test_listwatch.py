from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from dbupgrade.kube.errors import Expired, Silence, Unreachable
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from dbupgrade.kube.client import Client


class FakeStream:
    """Stands in for a Client whose watch brings some chunks, and perhaps an error."""

    def __init__(self, *chunks: bytes, end: Exception | None = None) -> None:
        self.chunks = chunks
        self.end = end
        self.closed = False
        self.query: Mapping[str, str] = {}

    async def stream(
        self, path: str, *, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[bytes, None]:
        self.query = query
        try:
            for chunk in self.chunks:
                yield chunk
            if self.end is not None:
                raise self.end
        finally:
            self.closed = True

    def watcher(self) -> ListWatcher:
        return ListWatcher(cast("Client", self), PODS, "shop", "app=a")


async def events(fake: FakeStream) -> list[tuple[str, dict[str, Any]]]:
    return [event async for event in fake.watcher().watch("7", 300)]


async def test_the_query_asks_for_bookmarks_and_an_end() -> None:
    fake = FakeStream()
    await events(fake)
    assert fake.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "300",
        "labelSelector": "app=a",
    }


async def test_bookmarks_are_passed_on() -> None:
    bookmark = b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9"}}}\n'
    assert await events(FakeStream(bookmark)) == [
        ("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "9"}})
    ]


async def test_silence_is_an_end_and_no_failure() -> None:
    added = b'{"type":"ADDED","object":{}}\n'
    assert await events(FakeStream(added, end=Silence("quiet"))) == [("ADDED", {})]


async def test_a_broken_connection_is_a_failure() -> None:
    with pytest.raises(Unreachable):
        await events(FakeStream(end=Unreachable("broken")))


@pytest.mark.parametrize("line", [b"null\n", b"[]\n", b"{}\n", b'{"type":"ADDED"}\n', b"<html>\n"])
async def test_a_line_that_is_no_event_is_a_broken_connection(line: bytes) -> None:
    with pytest.raises(Unreachable, match="not an event"):
        await events(FakeStream(line))


async def test_an_error_event_of_code_410_is_expired() -> None:
    error = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    with pytest.raises(Expired, match="too old"):
        await events(FakeStream(error))


async def test_closing_the_watch_closes_the_stream() -> None:
    fake = FakeStream(b'{"type":"ADDED","object":{}}\n')
    watch = fake.watcher().watch("7", 300)
    await anext(watch)
    await watch.aclose()
    assert fake.closed
