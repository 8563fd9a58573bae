"""The gauge of the resources that are neither ready nor in progress."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from dbupgrade.telemetry.held import MOST, HeldResources
from tests.unit.reconcile.world import World


def resource(ready: str, progressing: str, reason: str) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "held", "uid": "u", "generation": 1, "resourceVersion": "1"}
    conditions = [
        {"type": "Ready", "status": ready, "reason": reason},
        {"type": "Progressing", "status": progressing, "reason": reason},
    ]
    return {"kind": "DBUpgrade", "metadata": metadata, "spec": {}, "status": {"conditions": conditions}}


def reasons() -> set[str]:
    samples = (sample for family in REGISTRY.collect() for sample in family.samples)
    return {
        sample.labels["reason"]
        for sample in samples
        if sample.name == "dbupgrade_not_progressing" and sample.labels["name"] == "held"
    }


async def test_a_resource_has_a_series_with_its_reason_as_long_as_it_is_held() -> None:
    changed = World().changes.resource_changed
    unseen = {**resource("", "", ""), "status": {}}
    running = resource("False", "True", "MigrationInProgress")
    asks = resource("False", "False", "ApprovalPending")
    failed = resource("False", "False", "JobFailed")
    done = resource("True", "False", "MigrationComplete")
    seen = []
    steps = (
        (None, unseen),
        (unseen, running),
        (running, asks),
        (asks, failed),
        (failed, done),
        (done, asks),
        (asks, None),
    )
    for old, new in steps:
        changed(old, new)
        seen.append(reasons())
    assert seen == [set(), set(), {"ApprovalPending"}, {"JobFailed"}, set(), {"ApprovalPending"}, set()]


def test_thousands_of_resources_do_not_make_thousands_of_series() -> None:
    held = HeldResources()
    for number in range(MOST + 5):
        held.note("shop", f"r{number}", "JobFailed" if number % 2 else "Suspended")
    (family,) = held.collect()
    assert len(family.samples) == MOST + 2
    others = {each.labels["reason"]: each.value for each in family.samples if each.labels["name"] == "others"}
    assert others == {"Suspended": 3, "JobFailed": 2}
