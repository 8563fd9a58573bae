"""The ledger of a chaos run: every state of every object as the API server told it, and the rules that must hold.

Resource versions of one etcd are numbers that grow with each write, so the order of writes to different kinds is known.
(Clients must treat them as opaque; a test of one known server may look.)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from dbupgrade.api import names
from tests.chaos import approvals, locks

Object = dict[str, Any]
FORGED = "chaos-forged"
"""A label on what people made to look as the operator's."""
LIAR = "liar"
"""A resource whose status people write."""
_DEADLINE_SECONDS = 600  # the default of spec.runner.activeDeadlineSeconds


def version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def label(obj: Object, name: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(name, ""))


def is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)


def is_alive(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def is_running(resource: Object) -> bool:
    """Whether a run is recorded that has no end."""
    run = (resource.get("status") or {}).get("run")
    return run is not None and "finishedAt" not in run


def is_forced(resource: Object) -> bool:
    return "force-delete" in str(resource["metadata"].get("annotations"))


def asks_otherwise(old: Object, new: Object) -> bool:
    """Whether the spec differs in anything but suspend."""
    return {**old["spec"], "suspend": None} != {**new["spec"], "suspend": None}


@dataclass
class Ledger:
    """What was seen. `broken` are the rules that were, in words; empty at the end of a clean run."""

    broken: list[str] = field(default_factory=list)
    jobs: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    created_jobs: list[Object] = field(default_factory=list)
    statuses: dict[str, list[Object]] = field(default_factory=lambda: defaultdict(list))
    waits: int = 0
    """Statuses that say that a lock is waited for."""
    spec_locked: set[str] = field(default_factory=set)
    """Namespaces in which nothing may change a spec during a run."""
    deletion_locked: set[str] = field(default_factory=set)
    """Namespaces in which nothing may delete a resource during a run, unless it is forced."""

    def resource(self, kind: str, obj: Object) -> None:
        """A DBUpgrade came, changed or went: its status must never go back."""
        if obj["metadata"]["name"] == LIAR:
            return
        uid = obj["metadata"]["uid"]
        seen = self.statuses[uid]
        namespace = obj["metadata"]["namespace"]
        if kind == "DELETED":
            if namespace in self.deletion_locked and is_running(obj) and not is_forced(obj):
                self.broken.append(f"{_name(obj)} was deleted during a run")
        else:
            if (
                seen
                and namespace in self.spec_locked
                and is_running(seen[-1])
                and asks_otherwise(seen[-1], obj)
            ):
                self.broken.append(f"the spec of {_name(obj)} at {version(obj)} changed during a run")
            if seen:
                self._compare(seen[-1], obj)
            self._look_at_locks(obj)
            seen.append(obj)

    def job(self, kind: str, obj: Object) -> None:
        """A Job came, changed or went: at most one unfinished for each resource, and each database of a namespace."""
        if label(obj, FORGED):
            return
        uid = obj["metadata"]["uid"]
        if kind == "DELETED":
            self.jobs.pop(uid, None)
            return
        if kind == "ADDED":
            self.created_jobs.append(obj)
        self.jobs[uid] = obj
        self._at_most_one("unfinished Job", [job for job in self.jobs.values() if not is_finished(job)], obj)

    def pod(self, kind: str, obj: Object) -> None:
        """A pod came, changed or went: at most one alive for each resource, and each database of a namespace."""
        if label(obj, FORGED):
            return
        uid = obj["metadata"]["uid"]
        if kind == "DELETED":
            self.pods.pop(uid, None)
            return
        self.pods[uid] = obj
        self._at_most_one("live pod", [pod for pod in self.pods.values() if is_alive(pod)], obj)

    def check_intents(self) -> None:
        """Every Job was created after its intent had been written, and with the intent's image."""
        for job in self.created_jobs:
            if job["metadata"]["annotations"][names.ANNOTATION_RESOURCE] == LIAR:
                continue
            intent = self._intent(job)
            if intent is None:
                self.broken.append(f"Job {_name(job)} at {version(job)} has no intent before it")
            elif not self._as_intended(job, intent):
                self.broken.append(
                    f"Job {_name(job)} at {version(job)} is not what its intent was written for"
                )

    def check_approvals(self) -> None:
        """A Job asks for approval as its spec does, and takes no plan for approved that no person has approved before."""
        for job in self.created_jobs:
            if job["metadata"]["annotations"][names.ANNOTATION_RESOURCE] == LIAR:
                continue
            variables = approvals.environment(job["spec"]["template"])
            before = [
                obj for obj in self.statuses[label(job, names.LABEL_UID)] if version(obj) < version(job)
            ]
            if unknown := set(variables.get("MIGRATE_APPROVED_PLANS", "").split()) - approvals.given(before):
                self.broken.append(f"Job {_name(job)} at {version(job)} has approvals of nobody: {unknown}")

    def _as_intended(self, job: Object, intent: Object) -> bool:
        """Whether the Job has the image, the deadline and the need for approval of the spec that the intent was written for."""
        versions = self.statuses[label(job, names.LABEL_UID)]
        generation = intent["generation"]
        spec = next(obj["spec"] for obj in versions if obj["metadata"]["generation"] == generation)
        deadline = (spec.get("runner") or {}).get("activeDeadlineSeconds", _DEADLINE_SECONDS)
        approval = (spec.get("policy") or {}).get("approval", "Never")
        asked = approvals.environment(job["spec"]["template"]).get("MIGRATE_APPROVAL", "Never")
        wanted = (spec["migrations"]["image"], deadline, approval)
        return (_image(job), job["spec"]["activeDeadlineSeconds"], asked) == wanted

    def _intent(self, job: Object) -> Object | None:
        run_id = job["metadata"]["annotations"][names.ANNOTATION_RUN_ID]
        for obj in self.statuses[label(job, names.LABEL_UID)]:
            run = (obj.get("status") or {}).get("run") or {}
            matches = run.get("jobName") == job["metadata"]["name"] and run.get("runId") == run_id
            if matches and "finishedAt" not in run and version(obj) < version(job):
                return dict(run)
        return None

    def _at_most_one(self, what: str, objects: list[Object], changed: Object) -> None:
        for name in (names.LABEL_UID, names.LABEL_DATABASE):
            same = [obj for obj in objects if _place(obj, name) == _place(changed, name)]
            if len(same) > 1:
                listed = ", ".join(_name(obj) for obj in same)
                self.broken.append(f"more than one {what} with the same {name}: {listed}")

    def _look_at_locks(self, obj: Object) -> None:
        status = obj.get("status") or {}
        self.waits += locks.waits(status)
        if problem := locks.broken(status):
            self.broken.append(f"{_name(obj)} at {version(obj)}: {problem}")

    def _compare(self, old: Object, new: Object) -> None:
        before, after = old.get("status") or {}, new.get("status") or {}
        last, run = before.get("run") or {}, after.get("run") or {}
        where = f"{_name(new)} at {version(new)}"
        if after.get("observedGeneration", -1) < before.get("observedGeneration", -1):
            self.broken.append(f"observedGeneration of {where} went back")
        if run.get("sequence", 0) < last.get("sequence", 0):
            self.broken.append(f"the run number of {where} went back")
        if run.get("sequence") == last.get("sequence") and "finishedAt" in last and run != last:
            self.broken.append(f"a finished run of {where} changed")
        replaced = (
            run.get("sequence", 0) > last.get("sequence", 0) and bool(last) and "finishedAt" not in last
        )
        if replaced and "jobUid" in last:  # an intent may be replaced only while nothing was created for it
            self.broken.append(f"a run of {where} was dropped though its Job had been seen")


def _place(obj: Object, name: str) -> tuple[str, str]:
    """Where a label counts: across namespaces, the lock in the database keeps runs apart."""
    return obj["metadata"]["namespace"], label(obj, name)


def _name(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _image(job: Object) -> str:
    containers = job["spec"]["template"]["spec"]["initContainers"]
    values = {entry["name"]: entry.get("value", "") for entry in containers[0]["env"]}
    return str(values["IMAGE"])
