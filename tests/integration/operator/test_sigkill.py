"""Whatever write the operator is at when it is killed, the next one ends the run: with one Job, told once.

Each case kills it at exactly one of its requests, either before that reaches the API server or after the API server has done it, and
starts another operator at once, as a Deployment would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.harness.faultproxy import Match, Strike
from tests.integration.harness.scene import (
    IMAGE,
    LOG_READ,
    SECRET_READ,
    WRITES,
    condition,
    is_finished,
    run_of,
)
from tests.integration.harness.standin import SQL_ERROR, SUCCESS, Ending
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.harness.faultproxy import Seen
    from tests.integration.harness.scene import Scene

COMMAND = {"image": IMAGE, "engine": "Command", "args": ["migrate"]}
READS = {
    "reading-the-secret": (SECRET_READ, {"image": IMAGE}, SUCCESS),
    "reading-the-log-of-a-command": (LOG_READ, COMMAND, Ending(0)),
}


def is_write(seen: Seen) -> bool:
    return seen.method != "GET"


async def play(scene: Scene, ending: Ending, **more: Any) -> dict[str, Any]:
    """Follow one run to its end, whoever carries it on; nothing goes on before the step before it is recorded."""
    await scene.create(**more)
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    await scene.standin.start(job)
    await scene.until_reason("MigrationInProgress")
    await scene.standin.end(job, ending)
    resource = await scene.until(is_finished)
    await scene.until_ttl(resource)
    return resource


async def test_these_are_the_writes_of_a_run(scene: Scene) -> None:
    await scene.start()
    await play(scene, SUCCESS)
    await scene.until_told("MigrationSucceeded")
    await scene.quiet()
    writes = [seen for seen in scene.proxy.requests if is_write(seen)]
    expected = [match for match, _ in WRITES.values()]
    for match in set(expected):
        assert sum(match.fits(seen) for seen in writes) == expected.count(match)
    assert len(writes) == len(expected)


@pytest.mark.parametrize("applied", [False, True], ids=["before-it-arrives", "after-it-is-done"])
@pytest.mark.parametrize(("match", "skip"), WRITES.values(), ids=WRITES)
async def test_a_run_survives_sigkill_at(scene: Scene, match: Match, skip: int, applied: bool) -> None:
    await kill_at(scene, match, skip, applied=applied)
    resource = await play(scene, SUCCESS)
    await assert_ran_once(scene)
    assert condition(resource, "Ready")["status"] == "True"
    assert run_of(resource)["result"] == "Succeeded"
    assert run_of(resource)["toVersion"] == "20250102"


@pytest.mark.parametrize("applied", [False, True], ids=["before-it-arrives", "after-it-is-done"])
@pytest.mark.parametrize(("match", "skip"), WRITES.values(), ids=WRITES)
async def test_a_failing_run_survives_sigkill_at(
    scene: Scene, match: Match, skip: int, applied: bool
) -> None:
    await kill_at(scene, match, skip, applied=applied)
    resource = await play(scene, SQL_ERROR)
    await assert_ran_once(scene)
    assert condition(resource, "Stalled")["status"] == "True"
    assert run_of(resource)["failure"] == "SQLError"
    assert run_of(resource)["failedFile"] == "20250102_two.sql"


@pytest.mark.parametrize(("match", "migrations", "ending"), READS.values(), ids=READS)
async def test_a_run_survives_sigkill_while(
    scene: Scene, match: Match, migrations: dict[str, Any], ending: Ending
) -> None:
    await kill_at(scene, match, 0, applied=False)
    resource = await play(scene, ending, migrations=migrations)
    await assert_ran_once(scene)
    assert run_of(resource)["result"] == "Succeeded"


async def kill_at(scene: Scene, match: Match, skip: int, *, applied: bool) -> None:
    """Start an operator that dies at that request, and is followed by another."""
    first = scene.spawn()

    def die() -> None:
        first.kill()
        scene.spawn()

    scene.inject(match, Strike(die, applied=applied), skip=skip)


async def assert_ran_once(scene: Scene) -> None:
    """Assert that exactly one Job ever was, and that the status tells of one run, with all operators ended."""
    await eventually(lambda: len(scene.operators) == 2, what="the first operator was killed")
    assert scene.operators[0].ended()
    await scene.quiet()
    resource = await scene.get()
    assert len(scene.standin.created) == 1
    assert len(resource["status"]["history"]) == 1
    assert resource["status"]["history"][0] == run_of(resource)
    assert (run_of(resource)["sequence"], run_of(resource).get("attempt", 1)) == (1, 1)
    assert condition(resource, "Progressing")["status"] == "False"
