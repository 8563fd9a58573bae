"""The world of one scenario: a namespace, a database, images, and all that happens in it."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from e2e.cluster.images import PLATFORM
from e2e.scenarios.support.api import GROUP, MERGE, Api, Json, RefusedError, path
from e2e.scenarios.support.images import folder
from e2e.scenarios.support.upgrade import Upgrade, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from e2e.cluster import Cluster
    from e2e.cluster.images import Content
    from e2e.scenarios.support.database import Database
    from e2e.scenarios.support.record import Record

WAIT_SECONDS = 240.0  # many times what it takes: six scenarios share the machine
OWN_OPERATOR = {"e2e-operator": "own"}
POLL_SECONDS = 0.05


@dataclass
class World:
    """What a scenario acts on and looks at. `secrets` must be seen nowhere."""

    cluster: Cluster
    api: Api
    namespace: str
    database: Database
    record: Record
    secrets: set[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    _images: int = 0

    # --- what a user does ---------------------------------------------------------------------------------------

    def image(self, files: Mapping[str, str], at: str = "/migrations") -> str:
        """Push an image with these migrations and return its reference."""
        return self.push(folder(self.cluster, files, at))

    def push(self, contents: Mapping[str, Content], platform: str = PLATFORM, base: str | None = None) -> str:
        """Push an image with any contents, on top of `base`, and return its reference."""
        return self.cluster.push_image(self._new_name(), layers=contents, platform=platform, base=base)

    def push_index(self, *images: str) -> str:
        """Push an index of images for several platforms and return its reference."""
        return self.cluster.push_index(self._new_name(), images)

    def _new_name(self) -> str:
        self._images += 1
        return f"{self.namespace}/app:{self._images}"

    def secret(self, url: str = "", *, name: str = "database", key: str = "url") -> None:
        """Create or replace a Secret that holds a database URL."""
        metadata = {"name": name}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        self.api.apply({**body, "stringData": {key: url or self.database.url()}}, "secrets", self.namespace)

    def manifest(self, image: str, name: str = "app", **spec: Any) -> Json:
        """A DBUpgrade that migrates the scenario's database; `spec` replaces top level fields of the spec.

        A mapping for `migrations` is laid over the image.
        """
        migrations = {"image": image, **spec.pop("migrations", {})}
        database = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "database"}}}
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "DBUpgrade",
            "metadata": {"name": name, "namespace": self.namespace, "labels": dict(self.labels)},
            "spec": {"migrations": migrations, "database": database, **spec},
        }

    def upgrade(self, image: str, name: str = "app", **spec: Any) -> Upgrade:
        """Apply such a DBUpgrade; afterwards the record has it, so that no wait sees the one before it."""
        applied = self.api.apply(self.manifest(image, name, **spec), "dbupgrades", self.namespace)
        generation = applied["metadata"]["generation"]

        def recorded() -> bool:
            latest = self.record.latest("dbupgrades").get(name, {"metadata": {"uid": ""}})["metadata"]
            same = latest["uid"] == applied["metadata"]["uid"]
            return bool(same and latest["generation"] >= generation)

        self.wait(recorded, f"the record has generation {generation} of {name}")
        return Upgrade(applied)

    def annotate(self, name: str, annotation: str, value: str) -> None:
        """Set an annotation of a DBUpgrade."""
        patch = {"metadata": {"annotations": {annotation: value}}}
        self.api.request("PATCH", path("dbupgrades", self.namespace, name), patch, MERGE)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object as kubectl does: what it owns follows in the background."""
        self.api.request("DELETE", path(kind, self.namespace, name), {"propagationPolicy": "Background"})

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    # --- what is seen -------------------------------------------------------------------------------------------

    def wait(self, look: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """Wait until `look` finds something (neither None nor False) in the record."""
        return self.record.wait(lambda: look() or None, what, seconds)

    def wait_for(
        self,
        wanted: Verdict | Callable[[Upgrade], bool],
        name: str = "app",
        *,
        what: str = "",
        seconds: float = WAIT_SECONDS,
    ) -> Upgrade:
        """Wait until a DBUpgrade, about its spec as it is now, has a verdict or satisfies a predicate."""

        def look() -> Upgrade | None:
            found = self.record.latest("dbupgrades").get(name)
            upgrade = Upgrade(found) if found else None
            return upgrade if upgrade and upgrade.current and fits(upgrade) else None

        def fits(upgrade: Upgrade) -> bool:
            return upgrade.verdict == wanted if isinstance(wanted, Verdict) else wanted(upgrade)

        found: Upgrade = self.wait(look, what or f"{name} is {wanted}", seconds)
        return found

    def wait_run(self, sequence: int, name: str = "app", seconds: float = WAIT_SECONDS) -> Upgrade:
        """Wait until the run of that number has ended, however it did."""
        return self.wait_for(
            lambda upgrade: upgrade.finished(sequence),
            name,
            what=f"run {sequence} of {name} ends",
            seconds=seconds,
        )

    def wait_migrating(self, name: str = "app") -> Upgrade:
        """Wait until the migration itself runs."""
        return self.wait_for(
            lambda upgrade: upgrade.verdict.reason in ("MigrationInProgress", "WaitingForLock"),
            name,
            what="it runs",
        )

    def wait_gone(self, kind: str, name: str) -> None:
        """Wait until an object that was there has gone."""

        def gone() -> bool:
            kinds = [change for change, obj in self.record.changes(kind) if obj["metadata"]["name"] == name]
            return kinds[-1:] == ["DELETED"]

        self.wait(gone, f"{kind} {name} goes")

    def versions(self, name: str = "app") -> list[Upgrade]:
        """Every version of a DBUpgrade that was ever stored, oldest first."""
        changes = self.record.changes("dbupgrades")
        return [
            Upgrade(obj) for change, obj in changes if change != "BROKEN" and obj["metadata"]["name"] == name
        ]

    def jobs(self) -> dict[str, Json]:
        """The Jobs that exist."""
        items = self.api.request("GET", path("jobs", self.namespace))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def created_jobs(self) -> list[str]:
        """Names of all Jobs that were ever created in the namespace, as the API server's audit log tells."""
        return [
            entry["objectRef"]["name"]
            for entry in self.audit()
            if entry["verb"] == "create"
            and entry["objectRef"]["resource"] == "jobs"
            and entry["responseStatus"]["code"] == HTTPStatus.CREATED
        ]

    def audit(self) -> list[Json]:
        """The requests about the namespace that were not sent by Kubernetes itself."""
        found = []
        with (self.cluster.state / "log" / "audit.log").open() as log:
            for line in log:
                if self.namespace in line and line.endswith("\n"):  # the last one may be half written
                    entry = json.loads(line)
                    if entry.get("objectRef", {}).get("namespace") == self.namespace:
                        found.append(entry)
        return found

    def events(self, name: str = "app") -> Counter[str]:
        """How often each reason was told in Events about a DBUpgrade."""
        counts: Counter[str] = Counter()
        for event in self.record.latest("events").values():
            if event["involvedObject"]["kind"] == "DBUpgrade" and event["involvedObject"]["name"] == name:
                counts[event["reason"]] += event.get("count") or 1
        return counts

    def wait_events(self, wanted: Mapping[str, int], name: str = "app") -> None:
        """Wait until the Events about a DBUpgrade are these; more than wanted never become fewer."""
        self.wait(lambda: self.events(name) == Counter(wanted), f"Events are {dict(wanted)}")

    def live_pods_at_most(self) -> int:
        """How many pods of runs were alive at the same time, at the worst moment."""
        live: set[str] = set()
        worst = 0
        for change, pod in self.record.changes("pods"):
            ended = change == "DELETED" or pod["status"].get("phase") in {"Succeeded", "Failed"}
            (live.discard if ended else live.add)(pod["metadata"]["uid"])
            worst = max(worst, len(live))
        return worst


def wait_until(look: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Ask again and again, for what no watch shows."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def new_namespace(api: Api, test: str, unique: str) -> str:
    """Create a namespace that takes only pods of Pod Security "restricted"."""
    name = re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_").lower())[:40].strip("-")
    name = f"{name}-{unique}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    api.request("POST", "/api/v1/namespaces", body)
    wait_until(lambda: _exists(api, path("serviceaccounts", name, "default")), "a service account")
    return name


def delete_namespace(api: Api, name: str) -> None:
    """Delete a namespace, unless the scenario has done so itself; its end is not waited for."""
    if _exists(api, f"/api/v1/namespaces/{name}"):
        with contextlib.suppress(RefusedError):  # it may be on its way out
            api.request("DELETE", f"/api/v1/namespaces/{name}")


def _exists(api: Api, where: str) -> bool:
    try:
        api.request("GET", where)
    except RefusedError as refused:
        if refused.code != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True
