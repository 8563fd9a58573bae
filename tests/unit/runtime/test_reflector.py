import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from dbupgrade.objects import Object, key_of
from dbupgrade.runtime.reflector import Pace, Reflector
from dbupgrade.runtime.store import Store
from tests.unit.runtime.fakes import FakeClock, FakePage, FakeSource, Silence, Step, an_object

KIND = "test-kind"
LONG = Silence(400)  # as long as a watch may last


class GoneError(Exception):
    """HTTP 410."""


def bookmark(version: str) -> tuple[str, Object]:
    return ("BOOKMARK", {"metadata": {"resourceVersion": version}})


def error_event(code: int) -> tuple[str, Object]:
    return ("ERROR", {"kind": "Status", "code": code, "message": "hunter2", "metadata": {}})


def name_of(obj: Object | None) -> str | None:
    """Return name, uid where it is not the name's own, and version."""
    if obj is None:
        return None
    metadata = obj["metadata"]
    own = metadata["uid"] == f"uid-of-{metadata['name']}"
    return f"{metadata['name']}{'' if own else '/' + metadata['uid']}@{metadata['resourceVersion']}"


@dataclass
class Scene:
    """A reflector on a scripted source, and what it told its handler."""

    pages: Sequence[FakePage | Exception]
    watches: Sequence[Sequence[Step]] = ()
    clock: FakeClock = field(default_factory=FakeClock)
    changes: list[tuple[str | None, str | None]] = field(default_factory=list)
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.source = FakeSource(self.clock, deque(self.pages), deque(self.watches))
        self.reflector = Reflector(
            KIND,
            self.source,
            self.store,
            self.on_change,
            lambda error: isinstance(error, GoneError),
            Pace(self.clock, random.Random(1)),
        )

    def on_change(self, old: Object | None, new: Object | None) -> None:
        self.changes.append((name_of(old), name_of(new)))

    def names(self) -> list[str | None]:
        return [name_of(obj) for obj in self.store]

    @asynccontextmanager
    async def played(self) -> AsyncIterator[None]:
        """Run the reflector to the end of the script, and on for the time of the block."""
        task = asyncio.create_task(self.reflector.run())
        async with asyncio.timeout(60):  # only a bug takes that long
            await self.source.script_is_over.wait()
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert self.source.open_watches == 0

    async def play(self) -> "Scene":
        async with self.played():
            return self


async def play(pages: Sequence[FakePage | Exception], *watches: Sequence[Step]) -> Scene:
    return await Scene(pages, watches).play()


def page_of(*names: str, version: str = "10", token: str = "") -> FakePage:
    return FakePage([an_object(name, "1") for name in names], version, token)


EMPTY = FakePage([], "10")


# Listing


async def test_a_list_fills_the_store_and_the_watch_goes_on_at_its_version() -> None:
    scene = await play([page_of("a", "b", version="opaque-42")])
    assert scene.names() == ["a@1", "b@1"]
    assert scene.changes == [(None, "a@1"), (None, "b@1")]
    assert scene.source.asked == [("list", ""), ("watch", "opaque-42")]


async def test_a_list_is_asked_for_in_pages() -> None:
    scene = await play([page_of("a", token="t1"), page_of("b", token="t2"), page_of("c", version="12")])
    assert scene.names() == ["a@1", "b@1", "c@1"]
    assert scene.source.asked == [("list", ""), ("list", "t1"), ("list", "t2"), ("watch", "12")]
    assert scene.source.limits == [100, 100, 100]


async def test_the_store_is_synced_only_when_the_last_page_is_in() -> None:
    scene = Scene([page_of("a", token="t1"), RuntimeError(), EMPTY])
    synced_at: list[tuple[str, str]] = []
    waiter = asyncio.create_task(scene.reflector.synced.wait())
    waiter.add_done_callback(lambda _: synced_at.append(scene.source.asked[-1]))
    async with scene.played():
        await waiter
    assert synced_at == [("watch", "10")]
    assert scene.source.asked == [("list", ""), ("list", "t1"), ("list", ""), ("watch", "10")]


async def test_a_continue_token_that_expired_starts_the_list_again() -> None:
    scene = await play(
        [page_of("a", "gone", token="t1"), GoneError(), page_of("a", token="t2"), page_of("b")]
    )
    assert [call for call in scene.source.asked if call[0] == "list"] == [
        ("list", ""),
        ("list", "t1"),
        ("list", ""),
        ("list", "t2"),
    ]
    assert scene.changes == [(None, "a@1"), (None, "gone@1"), (None, "b@1"), ("gone@1", None)]


async def test_nothing_is_deleted_by_a_list_that_broke_in_the_middle() -> None:
    scene = await play(
        [page_of("a", "b"), page_of("a", token="t1"), RuntimeError(), page_of("a", "b")],
        [error_event(410)],
    )
    assert scene.names() == ["a@1", "b@1"]
    assert scene.changes == [(None, "a@1"), (None, "b@1")]


async def test_a_list_that_fails_is_tried_again_after_longer_and_longer_waits() -> None:
    scene = await play([RuntimeError() for _ in range(8)] + [EMPTY])
    fulls = [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert len(scene.clock.slept) == len(fulls)
    assert all(full / 2 <= wait <= full for wait, full in zip(scene.clock.slept, fulls, strict=True))


async def test_full_lists_are_counted() -> None:
    labels = {"kind": KIND}
    before = REGISTRY.get_sample_value("dbupgrade_informer_relists_total", labels) or 0.0
    await play([EMPTY, RuntimeError(), EMPTY], [error_event(410)])
    assert REGISTRY.get_sample_value("dbupgrade_informer_relists_total", labels) == before + 2


# Watching


@pytest.mark.parametrize(
    ("events", "changes"),
    [
        pytest.param([("ADDED", an_object("b", "2"))], [(None, "b@2")], id="an added object is new"),
        pytest.param([("MODIFIED", an_object("a", "2"))], [("a@1", "a@2")], id="a modified object replaces"),
        pytest.param([("DELETED", an_object("a", "2"))], [("a@1", None)], id="a deleted object has no new"),
        pytest.param([("MODIFIED", an_object("b", "2"))], [(None, "b@2")], id="an unknown modified is new"),
        pytest.param([("ADDED", an_object("a", "2"))], [("a@1", "a@2")], id="a known added is a change"),
        pytest.param([("DELETED", an_object("b", "2"))], [], id="an unknown deleted is nothing"),
        pytest.param([bookmark("2")], [], id="a bookmark is no change"),
        pytest.param([("SOMETHING", an_object("a", "2"))], [], id="an unknown type is no change"),
        pytest.param([("ADDED", an_object("a", "1"))], [], id="an event said twice is said once"),
        pytest.param(
            [("MODIFIED", an_object("a", "2", uid="new"))],
            [("a@1", None), (None, "a/new@2")],
            id="another uid is a deletion and a new object",
        ),
        pytest.param(
            [("DELETED", an_object("a", "2", uid="former"))],
            [],
            id="the deletion of a former object is old news",
        ),
    ],
)
async def test_an_event_tells_the_handler_what_changed(
    events: list[Step], changes: list[tuple[str | None, str | None]]
) -> None:
    scene = await play([page_of("a")], [*events, LONG])
    assert scene.changes == [(None, "a@1"), *changes]


async def test_the_store_has_changed_when_the_handler_is_called() -> None:
    found: list[str | None] = []

    class Looking(Scene):
        def on_change(self, old: Object | None, new: Object | None) -> None:
            found.append(name_of(self.store.get(key_of(new or old or {}))))

    events: list[Step] = [
        ("MODIFIED", an_object("a", "2", uid="new")),
        ("DELETED", an_object("a", "3", uid="new")),
    ]
    await Looking([page_of("a")], [[*events, LONG]]).play()
    assert found == ["a@1", None, "a/new@2", None]


async def test_managed_fields_are_dropped() -> None:
    scene = await play([page_of("a")], [("ADDED", an_object("b", "2")), LONG])
    assert ["managedFields" in obj["metadata"] for obj in scene.store] == [False, False]


async def test_a_cached_object_is_replaced_and_never_changed() -> None:
    scene = Scene([page_of("a")], [[("MODIFIED", an_object("a", "2")), LONG]])
    seen: list[Object] = []

    def keep(old: Object | None, new: Object | None) -> None:
        seen.extend(obj for obj in (old, new) if obj is not None)

    scene.reflector._mirror._on_change = keep
    await scene.play()
    assert [name_of(obj) for obj in seen] == ["a@1", "a@1", "a@2"]
    assert seen[0] is seen[1]


@pytest.mark.parametrize(
    ("events", "version"),
    [
        pytest.param([("ADDED", an_object("a", "x1"))], "x1", id="an object"),
        pytest.param([("DELETED", an_object("a", "x2"))], "x2", id="a deletion"),
        pytest.param(
            [("ADDED", an_object("a", "99")), bookmark("9")], "9", id="a bookmark, of whatever order"
        ),
        pytest.param([], "10", id="nothing"),
    ],
)
async def test_a_watch_that_ended_in_time_goes_on_at_once_after_the_last_event(
    events: list[Step], version: str
) -> None:
    scene = await play([EMPTY], [*events, LONG])
    assert scene.source.asked == [("list", ""), ("watch", "10"), ("watch", version)]
    assert scene.clock.slept == []


async def test_watches_are_asked_to_last_a_random_time_of_five_to_ten_minutes() -> None:
    scene = await play([EMPTY], *([[LONG]] * 50))
    assert all(300 <= seconds <= 600 for seconds in scene.source.timeouts)
    assert len(set(scene.source.timeouts)) > 20


async def test_a_server_that_closes_watches_at_once_is_not_flooded() -> None:
    scene = await play([EMPTY], [], [bookmark("11")], [], [])
    assert scene.source.asked[1:] == [("watch", v) for v in ("10", "10", "11", "11", "11")]
    assert all(
        full / 2 <= wait <= full for wait, full in zip(scene.clock.slept, [0.8, 1.6, 3.2, 6.4], strict=True)
    )


async def test_a_watch_that_broke_goes_on_after_the_last_event() -> None:
    scene = await play([EMPTY], [("ADDED", an_object("a", "11")), ConnectionResetError()])
    assert scene.source.asked == [("list", ""), ("watch", "10"), ("watch", "11")]
    assert len(scene.clock.slept) == 1


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(GoneError(), id="the answer is 410"),
        pytest.param(error_event(410), id="an ERROR event with code 410"),
        pytest.param(error_event(500), id="an ERROR event with another code"),
    ],
)
async def test_a_watch_that_cannot_go_on_lists_again_and_tells_what_vanished(end: Step) -> None:
    again = FakePage([an_object("same", "1"), an_object("changed", "2"), an_object("new", "3")], "20")
    scene = await play([page_of("same", "changed", "vanished"), again], [end])
    assert scene.source.asked == [("list", ""), ("watch", "10"), ("list", ""), ("watch", "20")]
    assert scene.changes[3:] == [("changed@1", "changed@2"), (None, "new@3"), ("vanished@1", None)]
    assert len(scene.clock.slept) == 1


async def test_an_object_made_again_between_two_lists_is_a_deletion_and_a_new_object() -> None:
    again = FakePage([an_object("a", "7", uid="new")], "20")
    scene = await play([page_of("a"), again], [error_event(410)])
    assert scene.changes == [(None, "a@1"), ("a@1", None), (None, "a/new@7")]
    assert scene.names() == ["a/new@7"]


async def test_two_quiet_minutes_make_the_next_failure_the_first() -> None:
    broken: list[Step] = [ConnectionResetError()]
    scene = await play(
        [EMPTY], broken, broken, [Silence(119), ConnectionResetError()], [LONG, ConnectionResetError()]
    )
    assert all(
        full / 2 <= wait <= full for wait, full in zip(scene.clock.slept, [0.8, 1.6, 3.2, 0.8], strict=True)
    )


async def test_an_event_that_the_watch_never_gets_past_is_cured_by_a_list() -> None:
    poison: list[Step] = [("ADDED", {"metadata": {}})]
    scene = await play([EMPTY, page_of("a", version="20")], *([poison] * 5))
    assert scene.source.asked == [("list", ""), *[("watch", "10")] * 5, ("list", ""), ("watch", "20")]


async def test_watches_that_bring_events_before_they_break_do_not_list() -> None:
    watches: list[list[Step]] = [
        [bookmark(str(version)), ConnectionResetError()] for version in range(11, 31)
    ]
    scene = await play([EMPTY], *watches)
    assert [call for call, _ in scene.source.asked].count("list") == 1


# Robustness


async def test_a_handler_that_raises_does_not_end_the_reflector() -> None:
    class Raising(Scene):
        def on_change(self, old: Object | None, new: Object | None) -> None:
            super().on_change(old, new)
            raise RuntimeError("hunter2")

    with capture_logs() as logs:
        scene = await Raising([page_of("a", "b")], [[("DELETED", an_object("a", "2")), LONG]]).play()
    assert scene.changes == [(None, "a@1"), (None, "b@1"), ("a@1", None)]
    assert [log["event"] for log in logs].count("change_handler_failed") == 3
    assert "hunter2" not in str(logs)


async def test_a_failure_is_logged_without_its_text() -> None:
    with capture_logs() as logs:
        await play([EMPTY, EMPTY], [ConnectionResetError("hunter2")], [error_event(500)], [])
    failures = [log for log in logs if log["event"] == "list_watch_failed"]
    assert [(log["error"], log["failures"], log.get("message")) for log in failures] == [
        ("ConnectionResetError", 1, None),
        ("WatchErrorEventError", 2, "code 500"),
        ("WatchClosedEarlyError", 3, None),
    ]
    assert "hunter2" not in str(logs)


async def test_stores_may_be_shared_by_sources_of_different_objects() -> None:
    shared = Store()
    shared.put(an_object("theirs", "1", namespace="bank"))
    scene = await Scene([page_of("a", "b"), page_of("a")], [[error_event(410)]], store=shared).play()
    assert sorted(str(name) for name in scene.names()) == ["a@1", "theirs@1"]


async def test_an_object_that_went_over_to_another_source_is_left_to_it() -> None:
    scene = Scene([page_of("a"), EMPTY], [[("DELETED", an_object("a", "2")), LONG], [error_event(410)]])
    scene.reflector._mirror._on_change = lambda _, new: None if new else put_theirs(scene.store)
    await scene.play()
    assert scene.names() == ["a@3"]


def put_theirs(store: Store) -> None:
    store.put(an_object("a", "3"))


def lag() -> float | None:
    return REGISTRY.get_sample_value("dbupgrade_informer_lag_seconds", {"kind": KIND})


async def test_the_lag_is_the_time_since_anything_was_heard() -> None:
    scene = Scene([EMPTY], [[Silence(50), bookmark("11"), Silence(7), ConnectionResetError()]])
    start = scene.clock.time
    async with scene.played():
        assert scene.reflector.last_heard == start + 50
        assert lag() == scene.clock.time - (start + 50)
    assert lag() is None


async def test_a_server_that_ends_a_watch_is_heard() -> None:
    scene = Scene([EMPTY], [[LONG]])
    async with scene.played():
        assert lag() == 0


async def test_the_lag_of_a_kind_is_that_of_its_worst_reflector() -> None:
    fresh, stale = Scene([EMPTY]), Scene([EMPTY])
    async with stale.played():
        stale.clock.advance(30)
        async with fresh.played():
            assert lag() == 30
        assert lag() == 30
    assert lag() is None


async def test_a_reflector_that_is_run_again_goes_on_where_it_was() -> None:
    scene = Scene([page_of("a")])
    await scene.play()
    scene.source.script_is_over.clear()
    await scene.play()
    assert scene.source.asked == [("list", ""), ("watch", "10"), ("watch", "10")]
