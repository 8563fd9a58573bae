"""A DBUpgrade as the API server shows it, and what must be true of it at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.scenarios.support.api import Json


CONDITIONS = ("Ready", "Progressing", "Stalled")


class Verdict(NamedTuple):
    """The statuses of the three conditions, and the reason of Progressing."""

    ready: str
    progressing: str
    stalled: str
    reason: str


DONE = Verdict("True", "False", "False", "MigrationComplete")
STALLED = Verdict("False", "False", "True", "JobFailed")
RETRIED = Verdict("False", "False", "False", "JobFailed")
MIGRATING = Verdict("False", "True", "False", "MigrationInProgress")


def held(reason: str) -> Verdict:
    """Held back by something that may change by itself."""
    return Verdict("False", "False", "False", reason)


def refused(reason: str) -> Verdict:
    """Held back until a person changes something."""
    return Verdict("False", "False", "True", reason)


@dataclass(frozen=True)
class Upgrade:
    """One version of a DBUpgrade."""

    json: Json

    @property
    def name(self) -> str:
        return str(self.json["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.json["metadata"]["uid"])

    @property
    def status(self) -> Json:
        found: Json = self.json.get("status") or {}
        return found

    @property
    def run(self) -> Json:
        found: Json = self.status.get("run") or {}
        return found

    @property
    def history(self) -> list[Json]:
        return list(self.status.get("history") or ())

    @property
    def conditions(self) -> dict[str, Json]:
        return {condition["type"]: condition for condition in self.status.get("conditions") or ()}

    @property
    def verdict(self) -> Verdict:
        found = self.conditions
        ready, progressing, stalled = (found.get(k, {}).get("status", "") for k in CONDITIONS)
        return Verdict(ready, progressing, stalled, found.get("Progressing", {}).get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.conditions.get("Progressing", {}).get("message", ""))

    @property
    def current(self) -> bool:
        """Whether the status is about the spec as it is now."""
        return bool(self.status.get("observedGeneration") == self.json["metadata"]["generation"])

    def finished(self, sequence: int) -> bool:
        """Whether the run of that number has a recorded end."""
        return self.run.get("sequence") == sequence and "finishedAt" in self.run


def contradictions(upgrade: Upgrade) -> Iterator[str]:
    """What the status says against itself; true of no version of a resource, ever."""
    found, run = upgrade.conditions, upgrade.run
    if not found:
        return
    if set(found) != set(CONDITIONS):
        yield f"conditions are {sorted(found)}"
        return
    verdict, ready = upgrade.verdict, found["Ready"]
    if (verdict.ready, verdict.progressing, verdict.stalled).count("True") > 1:
        yield f"more than one of Ready, Progressing, Stalled is True: {verdict}"
    wanted = "Initializing" if verdict.progressing == "True" else verdict.reason
    if ready["reason"] != wanted:
        yield f"Ready has the reason {ready['reason']}, not {wanted}"
    baking = verdict.reason == "PostCheckBakeTimeWaiting"
    if (verdict.progressing == "True") != (baking or (bool(run) and "finishedAt" not in run)):
        yield f"Progressing is {verdict.progressing} with the run {run}"
    if {c["observedGeneration"] for c in found.values()} != {upgrade.status["observedGeneration"]}:
        yield "conditions and status are about different generations"
    if run and "finishedAt" in run and upgrade.history[:1] != [run]:
        yield f"the run that ended is not the newest of the history: {run}"
    if not all(condition["message"] for condition in found.values()):
        yield "a condition has no message"


def moved_without_cause(old: Upgrade, new: Upgrade) -> Iterator[str]:
    """Conditions whose lastTransitionTime changed though their status did not."""
    before = old.conditions
    for kind, condition in new.conditions.items():
        was = before.get(kind)
        same = was is not None and was["status"] == condition["status"]
        if was and same and was["lastTransitionTime"] != condition["lastTransitionTime"]:
            yield f"lastTransitionTime of {kind} moved without a change of status"
