"""What the people of one namespace do to hold up another one that shares the operator, with the rights of their own only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dbupgrade.api import names
from dbupgrade.kube.errors import AlreadyExists, NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, PODS, ResourceClient
from tests.chaos.ledger import FORGED, LIAR, label
from tests.integration.harness.namespaces import DBUPGRADES

if TYPE_CHECKING:
    import random

    from dbupgrade.kube.client import Client
    from tests.chaos.ledger import Ledger, Object

_LABELS = (names.LABEL_UID, names.LABEL_DATABASE)
_SPEC = {"restartPolicy": "Never", "containers": [{"name": names.CONTAINER_MIGRATE, "image": "sleep"}]}


class Attack:
    """Claims in `namespace` what is at work in `victim`: by Jobs, by pods, and by the status of a resource."""

    def __init__(
        self, admin: Client, ledger: Ledger, namespace: str, victim: str, pick: random.Random
    ) -> None:
        self._admin = admin
        self._ledger = ledger
        self._namespace = namespace
        self._victim = victim
        self._pick = pick

    async def strike(self) -> str:
        """Attack once; returns what was done."""
        jobs = [job for job in self._ledger.created_jobs if job["metadata"]["namespace"] == self._victim]
        if not jobs:
            return "nothing to attack"
        job = self._pick.choice(jobs)
        act = self._pick.choice((self._forge_job, self._forge_pod, self._lie))
        with contextlib.suppress(AlreadyExists, NotFound):
            await act(job)
        return f"{act.__name__.strip('_')} after {job['metadata']['name']}"

    async def withdraw(self) -> None:
        """Remove what was forged: within their own namespace, people can make each other wait."""
        for kind in (JOBS, PODS):
            objects = ResourceClient(self._admin, kind)
            for item in (await ListWatcher(self._admin, kind, self._namespace, FORGED).list_page(0)).items:
                with contextlib.suppress(NotFound):
                    await objects.delete(self._namespace, item["metadata"]["name"], propagation="Background")

    async def _forge_job(self, job: Object) -> None:
        """A Job with name, labels and annotations of the victim's, which never ends."""
        template = {"metadata": {"labels": {"app": "forged"}}, "spec": _SPEC}
        body = {"metadata": self._copied(job), "spec": {"template": template}}
        await ResourceClient(self._admin, JOBS).create(self._namespace, body)

    async def _forge_pod(self, job: Object) -> None:
        """The same as a pod."""
        await ResourceClient(self._admin, PODS).create(
            self._namespace, {"metadata": self._copied(job), "spec": _SPEC}
        )

    async def _lie(self, job: Object) -> None:
        """A resource whose status has the run of the victim's, without its end."""
        versions = self._ledger.statuses[label(job, names.LABEL_UID)]
        runs = [run for each in versions if (run := (each.get("status") or {}).get("run"))]
        if runs:
            forged = {**self._pick.choice(runs), "finishedAt": None, "result": None, "failure": None}
            resources = ResourceClient(self._admin, DBUPGRADES)
            patch = {"status": {"run": forged}}
            await resources.patch(self._namespace, LIAR, patch, subresource="status")

    def _copied(self, job: Object) -> Object:
        metadata = job["metadata"]
        return {
            "name": metadata["name"],
            "labels": {FORGED: "true", **{name: label(job, name) for name in _LABELS}},
            "annotations": metadata["annotations"],
        }
