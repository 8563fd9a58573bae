"""Metrics and health, as dashboards and probes of users ask for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from e2e.scenarios.support.images import FIRST, SECOND, THREE
from e2e.scenarios.support.upgrade import DONE, STALLED
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.operator import Operator
    from e2e.scenarios.support.world import World

BROKEN = {**FIRST, **SECOND, "20250103000000_bad.sql": "SELECT * FROM nowhere;"}
HISTOGRAMS = (
    'controller_runtime_reconcile_time_seconds_count{controller="dbupgrade"}',
    'workqueue_queue_duration_seconds_count{name="dbupgrade"}',
    'workqueue_work_duration_seconds_count{name="dbupgrade"}',
)


def test_metrics_count_what_happened(lonely_world: World, start_operator: Callable[[], Operator]) -> None:
    world = lonely_world
    operator = start_operator()
    assert operator.ready()
    world.secret()
    world.upgrade(world.image(BROKEN))
    world.wait_for(STALLED)
    pending = f'dbupgrade_pending_migrations{{namespace="{world.namespace}"}}'
    wait_until(lambda: _metrics(operator).get(pending) == 1, "one migration is pending")
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)
    wait_until(lambda: _metrics(operator).get(pending) == 0, "no migration is pending")

    # A run is counted when the write of its status was answered, and the watch may be faster.
    succeeded = 'dbupgrade_run_duration_seconds_count{result="Succeeded"}'
    wait_until(lambda: _metrics(operator).get(succeeded) == 1, "the second run is counted")

    seen = _metrics(operator)
    assert seen["dbupgrade_operator_up"] == 1
    assert seen['dbupgrade_run_duration_seconds_count{result="Failed"}'] == 1
    assert seen['dbupgrade_run_duration_seconds_sum{result="Succeeded"}'] > 1
    for outcome in ('failure="SQLError",name="app"', 'failure="",name="app"'):
        assert any(name.startswith(f"dbupgrade_runs_total{{{outcome}") for name in seen), outcome
    assert seen['controller_runtime_reconcile_total{controller="dbupgrade",result="success"}'] > 0
    assert seen.get('controller_runtime_reconcile_errors_total{controller="dbupgrade"}', 0) == 0
    assert seen['workqueue_adds_total{name="dbupgrade"}'] > 0
    assert (
        seen['rest_client_requests_total{code="201",method="POST"}'] >= 2
    )  # the Jobs; Events may come later
    for name in HISTOGRAMS:
        assert seen[name] > 0, name
    for kind in ("dbupgrades", "jobs", "pods"):
        assert 0 <= seen[f'dbupgrade_informer_lag_seconds{{kind="{kind}"}}'] < 120
        assert seen[f'dbupgrade_informer_relists_total{{kind="{kind}"}}'] == 1


def test_metrics_of_the_shared_operator_are_well_formed(shared_metrics: Callable[[], str]) -> None:
    text = shared_metrics()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    assert not [line for line in lines if not re.fullmatch(r"[a-z_]+(\{.+\})? \S+", line)]
    for name in (
        "workqueue_retries_total",
        "workqueue_unfinished_work_seconds",
        "leader_election_master_status",
    ):
        assert f"# TYPE {name} " in text


def _metrics(operator: Operator) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in operator.metrics().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
