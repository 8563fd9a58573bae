"""Texts that come from outside: they do no harm in a status, an Event or a terminal, and never keep a run from its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from tests.integration.harness.faultproxy import Answer
from tests.integration.harness.scene import STATUS_WRITE, is_finished, run_of
from tests.integration.harness.standin import SUCCESS, Ending, reported
from tests.integration.operator.test_commands import command

if TYPE_CHECKING:
    from aiohttp import web

    from tests.integration.harness.faultproxy import Exchange
    from tests.integration.harness.scene import Scene

ODD = "\x1b[2Jx\u202ey\u2066z\x07\x9b"
HUGE = "v" * 220_000


def every_text(node: Any) -> list[str]:
    match node:
        case str():
            return [node]
        case list():
            return [text for each in node for text in every_text(each)]
        case dict():
            return [text for name, each in node.items() for text in (name, *every_text(each))]
        case _:
            return []


REPORT: dict[str, Any] = {
    "failure": "SQLError",
    "from_version": f"1{ODD}",
    "to_version": f"2{ODD}",
    "failed_file": f"2{ODD}.sql",
    "failed_statement": f"SELECT {ODD}",
    "error": f"no {ODD}",
    "sqlstate": "42P01",
    "applied": 1,
}


@pytest.mark.parametrize("bulk", ["", HUGE], ids=["odd", "odd and huge"])
async def test_what_a_run_says_is_printable_and_of_bounded_length_everywhere(scene: Scene, bulk: str) -> None:
    message = json.dumps({**REPORT, "to_version": REPORT["to_version"] + bulk})
    scene.standin.ending = Ending(1, message)
    await scene.start()
    await scene.create()
    resource = await scene.until(is_finished)
    await scene.until_told("MigrationFailed")
    assert run_of(resource)["failure"] == "SQLError"
    texts = every_text(resource["status"])
    assert all(text.isprintable() for text in texts)
    assert max(map(len, texts)) <= 8192
    answer = await scene.admin.request("GET", f"/api/v1/namespaces/{scene.namespace}/events")
    assert all(event["message"].isprintable() for event in answer["items"])
    assert any("(SQLSTATE 42P01)" in event["message"] for event in answer["items"])
    for words in (("status", "shop"), ("explain", "shop"), ("history", "shop")):
        assert (await command(scene, *words)).out.replace("\n", "").isprintable()


async def test_what_others_write_into_a_status_does_not_reach_a_terminal(scene: Scene) -> None:
    resource = await scene.create()
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "JobFailed",
        "message": ODD,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"conditions": [condition], "observedGeneration": resource["metadata"]["generation"]}
    await scene.patch({"status": status}, subresource="status")
    for words in (("status", "shop"), ("explain", "shop"), ("wait", "shop", "--timeout", "0")):
        answer = await command(scene, *words)
        assert (answer.out + answer.err).replace("\n", "").isprintable()


@dataclass(frozen=True)
class NoRoom:
    """Refuses bodies that are larger than `size`, as the API server does where etcd takes no more of the object."""

    size: int

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if len(exchange.body) > self.size:
            return await Answer(500, message="etcdserver: request is too large").apply(exchange)
        return await exchange.forward()


async def test_a_run_ends_also_where_its_resource_has_no_room_for_what_is_to_be_told(scene: Scene) -> None:
    """Whoever may label a resource can make it almost as large as etcd takes."""
    scene.inject(STATUS_WRITE, NoRoom(3000), times=None)
    text = "x" * 1000
    known = {"error": text, "failed_statement": text, "failed_file": "2.sql"}
    scene.standin.ending = reported(1, failure=Failure.SQL, **known)
    await scene.start()
    await scene.create()
    resource = await scene.until(is_finished)
    run = run_of(resource)
    assert (run["failure"], run["failedFile"], run.get("error")) == ("SQLError", "2.sql", None)
    assert resource["status"]["history"] == []
    # Its spec is not locked.
    scene.standin.ending = SUCCESS
    await scene.set_image("registry.example/shop:2.0.0")
    await scene.until_ready(sequence=2)


@pytest.mark.parametrize("value", ["x" * 200_000, ODD, "a\nb"], ids=["huge", "odd", "lines"])
async def test_a_retry_is_remembered_whatever_its_value_is(scene: Scene, value: str) -> None:
    scene.standin.ending = reported(1, failure=Failure.SQL, error="no")
    await scene.start()
    await scene.create()
    await scene.until(is_finished)
    scene.standin.ending = SUCCESS
    await scene.patch({"metadata": {"annotations": {names.ANNOTATION_RETRY: value}}})
    resource = await scene.until_ready(sequence=2)
    assert len(resource["status"]["lastHandledRetry"]) < 256
    await scene.quiet()
    assert len(scene.standin.created) == 2


@pytest.mark.parametrize(
    ("policy", "shown"),
    [({}, False), ({"errorDetail": "Full"}, True), ({"errorDetail": "Code"}, False)],
    ids=["by default", "Full", "Code"],
)
async def test_what_sql_raises_is_shown_only_where_it_is_asked_for(
    scene: Scene, policy: dict[str, str], shown: bool
) -> None:
    known = {"failed_file": "2.sql", "line": 3, "sqlstate": "P0001", "error": "pq: bad key 4711 (P0001)"}
    scene.standin.ending = reported(1, failure=Failure.SQL, **known)
    await scene.start()
    await scene.create(policy=policy)
    resource = await scene.until(is_finished)
    run = run_of(resource)
    assert (run["failure"], run["sqlstate"], run["failedFile"]) == ("SQLError", "P0001", "2.sql")
    assert "line 3" in run["error"] or shown
    assert ("4711" in json.dumps(resource["status"])) is shown
