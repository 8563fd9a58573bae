"""What must be true after every scenario, whatever it was about."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from e2e.scenarios.support.diagnosis import lines_about, operator_logs
from e2e.scenarios.support.record import KINDS
from e2e.scenarios.support.upgrade import contradictions, moved_without_cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from e2e.scenarios.support.world import World


def violations(world: World, metrics: Iterable[str]) -> list[str]:
    """Rules that the scenario broke; `metrics` is what operators answer on /metrics."""
    return [*_contradictions(world), *_leaks(world, metrics), *_errors(world), *_broken_watches(world)]


def _contradictions(world: World) -> Iterator[str]:
    for name in {obj["metadata"]["name"] for _, obj in world.record.changes("dbupgrades") if obj}:
        versions = world.versions(name)
        for version in versions:
            yield from contradictions(version)
        for old, new in pairwise(versions):
            if old.uid == new.uid:
                yield from moved_without_cause(old, new)


def _leaks(world: World, metrics: Iterable[str]) -> Iterator[str]:
    """Secrets in any version of any object, in logs, or in metrics."""
    texts = {f"a version of {kind}": json.dumps(world.record.changes(kind)) for kind in KINDS}
    texts["kubectl get -o yaml"] = world.kubectl("get", "dbupgrades,jobs,pods,events", "-o", "yaml")
    texts |= {str(log): log.read_text(errors="replace") for log in operator_logs(world)}
    texts |= {f"/metrics ({number})": text for number, text in enumerate(metrics)}
    for where, text in texts.items():
        yield from (f"{_hint(secret)} is seen in {where}" for secret in world.secrets if secret in text)


def _hint(secret: str) -> str:
    return f"the secret {secret[:6]}… of {len(secret)} characters"


def _errors(world: World) -> Iterator[str]:
    """Reconciling never raises; conflicts and the like are no errors."""
    for log in operator_logs(world):
        errors = (line for line in lines_about(log, world.namespace) if line.get("level") == "error")
        yield from (f"the operator's log has an error: {line}" for line in errors)


def _broken_watches(world: World) -> Iterator[str]:
    for kind in KINDS:
        if any(change in {"BROKEN", "ERROR"} for change, _ in world.record.changes(kind)):
            yield f"the scenario's watch of {kind} broke: the record has a gap"
