from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from tests.unit.reconcile.world import World


def value() -> float | None:
    return REGISTRY.get_sample_value("dbupgrade_run_slow", {"namespace": "shop", "name": "slowly"})


def resource(**run: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "slowly", "uid": "u", "generation": 1, "resourceVersion": "1"}
    return {"kind": "DBUpgrade", "metadata": metadata, "spec": {}, "status": {"run": run}}


async def test_a_slow_run_has_a_series_as_long_as_it_is_active() -> None:
    changed = World().changes.resource_changed
    plain, slow, ended = (
        resource(),
        resource(slow=True),
        resource(slow=True, finishedAt="2026-01-01T12:00:00Z"),
    )
    seen = []
    for old, new in ((None, plain), (plain, slow), (slow, slow), (slow, ended), (None, slow), (slow, None)):
        changed(old, new)
        seen.append(value())
    assert seen == [None, 1, 1, None, 1, None]
