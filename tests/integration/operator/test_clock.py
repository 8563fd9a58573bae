"""The operator's clock jumps, as it does when a machine wakes up or its time is set: nothing is given up, and nothing waits for hours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbupgrade.api.failure import Failure
from tests.integration.harness.scene import condition, run_of
from tests.integration.harness.standin import SUCCESS, reported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.harness.scene import Scene

UNREACHABLE = reported(75, failure=Failure.DATABASE_UNREACHABLE)
HOURS = 3600


class Clock:
    """The wall clock of processes that run with its `environment`; their monotonic clock stays as it is."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.jump(0)
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """Be so much ahead of the machine's clock, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_migration_goes_on_when_the_clock_jumps(scene: Scene, clock: Clock, hours: int) -> None:
    await scene.start(**clock.environment)
    await scene.create()
    job = await scene.standin.job()
    pod = await scene.standin.start(job)
    await scene.until_reason("MigrationInProgress")
    clock.jump(hours * HOURS)
    await scene.patch({"metadata": {"annotations": {"look": "again"}}})
    if hours > 0:  # the deadline is 10 min
        await scene.until(lambda resource: run_of(resource).get("slow", False))
        await scene.until_told("MigrationSlow")
    await scene.standin.end_pod(pod, SUCCESS)
    await scene.standin.end_job(job, SUCCESS)
    resource = await scene.until_ready()
    await scene.quiet()
    assert [run["result"] for run in resource["status"]["history"]] == ["Succeeded"]
    assert len(scene.standin.created) == 1


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_failed_run_is_tried_again_in_its_time_when_the_clock_jumps(
    scene: Scene, clock: Clock, hours: int
) -> None:
    """Set back, the time of the next try lies hours ahead; it is not waited for."""
    scene.standin.ending = UNREACHABLE
    await scene.start(**clock.environment)
    await scene.create()
    resource = await scene.until(lambda found: "finishedAt" in run_of(found))
    assert "Attempt 2 starts at " in condition(resource, "Ready")["message"]
    scene.standin.ending = SUCCESS  # before the second try, which the jump may begin
    clock.jump(hours * HOURS)
    resource = await scene.until_ready(sequence=2)
    await scene.quiet()
    assert len(scene.standin.created) == 2


async def test_what_waits_for_a_pod_is_not_given_up_when_the_clock_goes_back(
    scene: Scene, clock: Clock
) -> None:
    clock.jump(2 * HOURS)
    await scene.start(**clock.environment)
    await scene.create()
    job = await scene.standin.job()
    await scene.until(lambda found: "jobUid" in run_of(found))
    clock.jump(0)
    await scene.patch({"metadata": {"annotations": {"look": "again"}}})
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    await scene.quiet()
    assert len(scene.standin.created) == 1
