"""A small run of the benchmark: what it counts, never its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.burst import measure, parse

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer


async def test_a_burst_takes_at_most_ten_calls_a_resource_and_makes_no_job_twice(
    api: ApiServer, tmp_path: Path
) -> None:
    figures = await measure(api, tmp_path, parse(["N=20"]))
    calls = figures["api_calls_per_resource"]
    assert figures["duplicate_jobs"] == 0
    assert calls["create jobs"] == 1
    assert calls["get secrets"] == 1
    assert calls["all"] <= 10


async def test_an_operator_at_rest_asks_for_nothing(api: ApiServer, tmp_path: Path) -> None:
    figures = await measure(api, tmp_path, parse(["--sequential", "2", "--rest", "1"]))
    assert figures["at_rest"]["requests"] == {}
    assert figures["duplicate_jobs"] == 0
