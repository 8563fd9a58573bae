"""Figures from the API server's audit log: when it answered whom, which no client's own delays can blur."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = dict[str, Any]
_FIRST_ERROR = 300


@dataclass(frozen=True)
class Call:
    """One answered request."""

    user: str
    verb: str
    resource: str
    name: str
    status: int
    at: float

    @classmethod
    def of(cls, event: Event) -> Call:
        """Read an audit event of stage ResponseComplete."""
        ref = event.get("objectRef") or {}
        resource = "/".join(filter(None, (ref.get("resource", ""), ref.get("subresource"))))
        return cls(
            user=event["user"]["username"],
            verb=event["verb"],
            resource=resource,
            name=ref.get("name", ""),
            status=(event.get("responseStatus") or {}).get("code", 0),
            at=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
        )


class Log:
    """The calls of a time; `operator` is the operator's user."""

    def __init__(self, events: list[Event], operator: str) -> None:
        calls = [Call.of(event) for event in events if event["stage"] == "ResponseComplete"]
        self._operators = [call for call in calls if call.user == operator and call.verb != "watch"]
        self._others = [call for call in calls if call.user != operator]

    def complete(self, number: int) -> bool:
        """Whether the operator has written the last that it writes for each resource."""
        return self._count("patch", "jobs") >= number and self._count("create", "events") >= 2 * number

    def create_to_job(self) -> dict[str, float]:
        """Milliseconds from a resource's creation to that of its Job."""
        created = self._times(self._others, "create", "dbupgrades")
        jobs = {_owner(name): at for name, at in self._times(self._operators, "create", "jobs").items()}
        return percentiles([at - created[name] for name, at in jobs.items() if name in created])

    def job_done_to_ready(self) -> dict[str, float]:
        """Milliseconds from a Job's Complete to the last status of its resource."""
        ready = self._times(self._operators, "patch", "dbupgrades/status")
        done = {_owner(name): at for name, at in self._times(self._others, "patch", "jobs/status").items()}
        return percentiles([at - done[name] for name, at in ready.items() if name in done])

    def calls_per_resource(self, number: int) -> dict[str, float]:
        """The operator's calls by verb and resource, per resource, and all together."""
        counts = self.calls_but_watches()
        shares = {what: round(count / number, 2) for what, count in counts.items()}
        return {**shares, "all": round(sum(counts.values()) / number, 2)}

    def calls_but_watches(self) -> dict[str, int]:
        """The operator's calls by verb, resource and, if it is no success, status."""
        counts = Counter(
            f"{call.verb} {call.resource}" + (f" {call.status}" if call.status >= _FIRST_ERROR else "")
            for call in self._operators
        )
        return dict(sorted(counts.items()))

    def _count(self, verb: str, resource: str) -> int:
        return sum(call.verb == verb and call.resource == resource for call in self._operators)

    @staticmethod
    def _times(calls: list[Call], verb: str, resource: str) -> dict[str, float]:
        """When it was last done to each name, with success."""
        fitting = (
            call
            for call in calls
            if (call.verb, call.resource) == (verb, resource) and call.status < _FIRST_ERROR
        )
        return {call.name: call.at for call in fitting}


def _owner(job: str) -> str:
    """The name of the resource: that of its Job without the hash."""
    return job.rpartition("-")[0]


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    if len(seconds) == 1:
        seconds = seconds * 2
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(1000 * cuts[49], 1), "p99": round(1000 * cuts[98], 1)}
