"""At rest the operator asks for nothing: what it must know, its watches tell."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from e2e.scenarios.support.api import USER_AGENT
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE, held
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.operator import Operator
    from e2e.scenarios.support.world import World

WINDOW_SECONDS = 5


def test_with_finished_and_suspended_resources_no_request_is_sent(
    lonely_world: World, start_operator: Callable[[], Operator]
) -> None:
    world = lonely_world
    operator = start_operator()
    world.secret()
    image = world.image(THREE)
    world.upgrade(image)
    world.upgrade(image, "later", suspend=True)
    job = world.wait_for(DONE).run["jobName"]
    world.wait_for(held("Suspended"), "later")
    world.wait_events({"MigrationStarted": 1, "MigrationSucceeded": 1})
    world.wait(lambda: "ttlSecondsAfterFinished" in world.record.latest("jobs")[job]["spec"], "a TTL")

    wait_until(lambda: _idle(operator), "the operator has counted the answers to what is seen of its work")
    # A request is audited when it has been answered.
    wait_until(
        lambda: _written(_audited(world)) == ["events", "events", "jobs", "jobs"], "all of it is audited"
    )

    before, seen = _requests(operator), len(_audited(world))
    time.sleep(WINDOW_SECONDS)  # the window that is looked at; nothing is waited for
    assert _requests(operator) == before
    assert _audited(world)[seen:] == []


def _idle(operator: Operator) -> bool:
    """No reconcile is on, and the Job and its two Events are written."""
    busy = re.findall(
        r"^workqueue_(?:depth|unfinished_work_seconds)\{.+\} (\S+)$", operator.metrics(), re.MULTILINE
    )
    created = _requests(operator).get('code="201",method="POST"')
    return {float(value) for value in busy} == {0.0} and created == 3


def _requests(operator: Operator) -> dict[str, float]:
    found = re.findall(r"^rest_client_requests_total\{(.+)\} (\S+)$", operator.metrics(), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def _written(audited: list[str]) -> list[str]:
    """What was created and patched: the Job, its TTL, and two Events; the statuses came before them."""
    found = (re.match(r"(?:create|patch) \S*/(events|jobs)\b", entry) for entry in audited)
    return sorted(match[1] for match in found if match)


def _audited(world: World) -> list[str]:
    """What the operator asked about the namespace; a watch is audited when it begins, and again when it ends."""
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in world.audit()
        if entry["userAgent"] != USER_AGENT and not entry["userAgent"].startswith("kubectl")
    ]
