"""Pods of applications are watched while somebody waits for them: shared, cut down, and listed anew when it is asked for."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from dbupgrade.decide.observed import PodsSeen
from dbupgrade.decide.versions import AppPod
from dbupgrade.kube.errors import Unreachable
from dbupgrade.objects import Key, Object
from dbupgrade.reconcile.podwatches import PodWatches
from tests.unit.runtime.fakes import FakeClock, FakePage, FakeSource, Step, an_object

ONE, TWO, ELSEWHERE = Key("shop", "one"), Key("shop", "two"), Key("other", "one")
WEB = frozenset({"app=web"})
NONE: frozenset[str] = frozenset()


def a_pod(name: str, image: str, version: str = "1", phase: str = "Running") -> Object:
    spec = {"containers": [{"name": "app", "image": image, "env": ["large"] * 100}]}
    return {**an_object(name, version), "spec": spec, "status": {"phase": phase}}


def seen(image: str) -> AppPod:
    return AppPod("web-1", True, (("app", image),))


class Cluster:
    """Pods by a script for each watch that is opened."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.opened: list[tuple[str, str]] = []
        self.sources: list[FakeSource] = []
        self.woken: list[Key] = []
        self.one_is_woken = asyncio.Event()
        self.watches = PodWatches(self.open, self.wake, lambda: self.now)
        self.first: FakePage | Exception = FakePage([a_pod("web-1", "web:1")], "5")
        self.events: list[Step] = []

    def wake(self, key: Key) -> None:
        self.woken.append(key)
        self.one_is_woken.set()

    def open(self, namespace: str, selector: str) -> FakeSource:
        self.opened.append((namespace, selector))
        watches: deque[Sequence[Step]] = deque([self.events]) if self.events else deque()
        self.sources.append(FakeSource(FakeClock(), deque([self.first]), watches))
        return self.sources[-1]

    async def settle(self) -> None:
        """Let the last watch come to the end of its script."""
        await asyncio.wait_for(self.sources[-1].script_is_over.wait(), 60)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    yield cluster
    await cluster.watches.close()
    assert all(source.open_watches == 0 for source in cluster.sources)


async def test_nothing_is_known_before_the_first_list_and_then_who_waits_is_woken(cluster: Cluster) -> None:
    cluster.watches.want(ONE, WEB)
    assert cluster.watches.seen(ONE) == {}
    await cluster.settle()
    assert cluster.woken == [ONE]
    assert cluster.watches.seen(ONE) == {"app=web": PodsSeen(cluster.now, (seen("web:1"),))}
    assert cluster.sources[0].limits == [100]


async def test_a_watch_is_shared_in_its_namespace_and_closed_with_the_last_that_waits(
    cluster: Cluster,
) -> None:
    for key in (ONE, TWO, ELSEWHERE):
        cluster.watches.want(key, WEB)
    assert cluster.opened == [("shop", "app=web"), ("other", "app=web")]
    cluster.watches.want(ONE, NONE)
    assert len(cluster.watches) == 2
    assert cluster.watches.seen(ONE) == {}
    cluster.watches.want(TWO, NONE)
    assert len(cluster.watches) == 1


async def test_only_a_change_that_a_check_can_see_wakes(cluster: Cluster) -> None:
    cluster.events = [
        ("MODIFIED", a_pod("web-1", "web:1", "6", phase="Pending")),
        ("BOOKMARK", {"metadata": {"resourceVersion": "7"}}),
    ]
    cluster.watches.want(ONE, WEB)
    await cluster.settle()
    assert cluster.woken == [ONE]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (("MODIFIED", a_pod("web-1", "web:2", "6")), (seen("web:2"),)),
        (("DELETED", a_pod("web-1", "web:1", "6")), ()),
    ],
    ids=["another image", "a pod is gone"],
)
async def test_a_change_wakes_who_waits(
    cluster: Cluster, event: tuple[str, Object], left: tuple[AppPod, ...]
) -> None:
    cluster.events = [event]
    cluster.watches.want(ONE, WEB)
    cluster.watches.want(TWO, WEB)
    await cluster.settle()
    assert cluster.woken.count(ONE) == cluster.woken.count(TWO) == 2
    assert cluster.watches.seen(TWO)["app=web"].pods == left


async def test_a_refresh_lists_anew_for_all_that_wait(cluster: Cluster) -> None:
    cluster.watches.want(ONE, WEB)
    cluster.watches.want(TWO, WEB)
    await cluster.settle()
    cluster.now += timedelta(minutes=1)
    cluster.first = FakePage([a_pod("web-1", "web:2")], "9")
    cluster.watches.want(ONE, WEB, refresh=WEB)
    assert cluster.watches.seen(TWO) == {}
    await cluster.settle()
    assert cluster.watches.seen(TWO) == {"app=web": PodsSeen(cluster.now, (seen("web:2"),))}
    assert len(cluster.watches) == 1


async def test_what_cannot_be_listed_is_told_with_the_cause(cluster: Cluster) -> None:
    cluster.first = Unreachable("GET /pods: no answer in time")
    cluster.watches.want(ONE, WEB)
    await asyncio.wait_for(cluster.one_is_woken.wait(), 60)
    assert cluster.woken == [ONE]
    assert cluster.watches.seen(ONE)["app=web"].problem == "GET /pods: no answer in time"


async def test_a_watch_that_brings_something_is_known_to_be_alive(cluster: Cluster) -> None:
    cluster.events = [("BOOKMARK", {"metadata": {"resourceVersion": "7"}})]
    ticks = iter(range(100))
    began = cluster.now
    cluster.watches._clock = lambda: began + timedelta(seconds=next(ticks))
    cluster.watches.want(ONE, WEB)
    await cluster.settle()
    assert cluster.watches.seen(ONE)["app=web"].heard == began + timedelta(seconds=1)
