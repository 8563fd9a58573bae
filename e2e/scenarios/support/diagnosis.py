"""What a person would look at when a scenario failed, gathered while it is still there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from e2e.scenarios.support.upgrade import Upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.scenarios.support.api import Json
    from e2e.scenarios.support.world import World

LOG_LINES = 60


def describe(world: World) -> str:
    """Conditions, runs, Jobs, pods, Events and the operator's words about the scenario's namespace."""
    return "\n".join(_lines(world))


def _lines(world: World) -> Iterator[str]:
    record = world.record
    for name, obj in record.latest("dbupgrades").items():
        yield f"DBUpgrade {name}, generation {obj['metadata']['generation']}"
        for kind, condition in Upgrade(obj).conditions.items():
            yield f"  {kind}={condition['status']} {condition['reason']}: {condition.get('message')}"
        yield f"  run: {json.dumps(Upgrade(obj).run)}"
    for name, job in record.latest("jobs").items():
        yield f"Job {name}: {json.dumps(job.get('status'))}"
    for name, pod in record.latest("pods").items():
        yield f"Pod {name}: {pod['status'].get('phase')} {json.dumps(_containers(pod))}"
    for event in record.latest("events").values():
        about = event["involvedObject"]
        count = event.get("count")
        yield f"Event {about['kind']} {about['name']}: {event['reason']} x{count}: {event.get('message')}"
    for log in operator_logs(world):
        yield f"{log}:"
        yield from (f"  {json.dumps(line)}" for line in lines_about(log, world.namespace)[-LOG_LINES:])


def _containers(pod: Json) -> Json:
    status = pod["status"]
    every = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return {container["name"]: container["state"] for container in every}


def operator_logs(world: World) -> list[Path]:
    """The logs of the shared operator and of the scenario's own, where there is one."""
    logs = world.cluster.state / "log"
    return [log for log in (logs / "operator", logs / f"operator-{world.namespace}") if log.exists()]


def lines_about(log: Path, namespace: str) -> list[Json]:
    """The operator's log lines about a namespace."""
    with log.open(errors="replace") as lines:
        found = [json.loads(line) for line in lines if namespace in line and line.startswith("{")]
    return [line for line in found if line.get("namespace") == namespace]
