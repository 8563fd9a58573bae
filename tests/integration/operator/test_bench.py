"""A small run of the benchmark: what it counts, never its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import webhook
from bench.burst import measure, parse
from tests.integration.harness.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

MIB_PER_CONNECTION = (
    0.15  # half of what asyncio would take for its buffer alone, and more than all that is needed
)


async def test_a_burst_takes_at_most_eight_calls_a_resource_and_makes_no_job_twice(
    api: ApiServer, tmp_path: Path
) -> None:
    figures = await measure(api, tmp_path, parse(["N=20"]))
    calls = figures["api_calls_per_resource"]
    assert figures["duplicate_jobs"] == 0
    assert calls["create jobs"] == 1
    assert calls["get secrets"] == 1
    assert calls["all"] <= 8.5, calls  # the status is written a third time if the Job is seen before it ends


async def test_an_operator_at_rest_asks_for_nothing(api: ApiServer, tmp_path: Path) -> None:
    figures = await measure(api, tmp_path, parse(["--sequential", "2", "--rest", "1"]))
    assert figures["at_rest"]["requests"] == {}
    assert figures["duplicate_jobs"] == 0


async def test_a_burst_of_reviews_loses_none(api: ApiServer, tmp_path: Path) -> None:
    figures = await webhook.measure(api, tmp_path, number=200, steady=0.5, patience=PATIENCE)
    assert figures["steady"]["reviews"] == 100
    assert figures["steady"]["failed"] == 0, figures["steady"]["first_failures"]
    assert figures["burst"]["reviews"] == 200
    assert figures["burst"]["failed"] == 0, figures["burst"]["first_failures"]
    rss = figures["rss_mib"]
    assert rss["after"] - rss["before"] < 200 * MIB_PER_CONNECTION, rss
