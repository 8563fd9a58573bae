"""Answers of metrics APIs: asked for once at a time, kept while they are wanted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from dbupgrade.decide.metric_values import Query, Sample
from dbupgrade.kube.errors import Unreachable
from dbupgrade.objects import Key
from dbupgrade.reconcile.samples import Samples

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = Key("shop", "orders")
ERRORS = {"errors": Query("http_errors", external=False)}
ALL = frozenset(ERRORS)


class Api:
    """A metrics API that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: asyncio.Queue[tuple[tuple[str, str], ...] | Exception] = asyncio.Queue()
        self.woken: asyncio.Queue[Key] = asyncio.Queue()
        self.samples = Samples(self.ask, self.woken.put_nowait, lambda: NOW)

    async def ask(self, namespace: str, query: Query) -> tuple[tuple[str, str], ...]:
        self.asked.append(f"{namespace} {query.metric}")
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    yield api
    await api.samples.close()


async def test_an_answer_is_kept_and_wakes_the_resource(api: Api) -> None:
    api.samples.want(KEY, ERRORS, ALL)
    assert api.samples.seen(KEY) == {}
    api.answers.put_nowait((("pod web-1", "7"),))
    assert await api.woken.get() == KEY
    assert api.asked == ["shop http_errors"]
    assert api.samples.seen(KEY) == {"errors": Sample(NOW, (("pod web-1", "7"),))}


async def test_what_is_being_asked_is_not_asked_twice(api: Api) -> None:
    for _ in range(3):
        api.samples.want(KEY, ERRORS, ALL)
    for number in (1, 2):
        api.answers.put_nowait(((str(number), "7"),))
    await api.woken.get()
    assert api.asked == ["shop http_errors"]
    api.samples.want(KEY, ERRORS, ALL)
    await api.woken.get()
    assert api.samples.seen(KEY)["errors"].values == (("2", "7"),)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Unreachable("GET /apis: no answer in time"), "GET /apis: no answer in time"),
        (KeyError("a secret"), "the answer of the metrics API cannot be read: see the log of the operator"),
    ],
)
async def test_a_failure_is_an_answer_too(api: Api, error: Exception, problem: str) -> None:
    api.samples.want(KEY, ERRORS, ALL)
    api.answers.put_nowait(error)
    await api.woken.get()
    assert api.samples.seen(KEY) == {"errors": Sample(NOW, problem=problem)}


async def test_an_answer_that_nobody_wants_any_more_is_dropped(api: Api) -> None:
    other = {"other": Query("lag", external=True)}
    api.samples.want(KEY, {**ERRORS, **other}, ALL)
    api.samples.want(KEY, other, frozenset())
    api.answers.put_nowait(())
    api.samples.want(KEY, other, frozenset(other))
    api.answers.put_nowait(())
    await api.woken.get()
    assert set(api.samples.seen(KEY)) == {"other"}
    api.samples.want(KEY, {}, frozenset())
    assert api.samples.seen(KEY) == {}
