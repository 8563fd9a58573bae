"""Resources of the CRD before this one: they apply unchanged to the new one, keep their run, and start none.

`previous/crd.yaml` is what was installed before engines and connections in parts; `previous/specs.yaml` holds what users
had, with the run ids and runner hashes that the operator of then gave them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade.api import names
from dbupgrade.api.identity import run_id, runner_hash
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.clock import utc_now
from dbupgrade.decide import admission
from dbupgrade.decide.decision import CreateJob, Decision
from dbupgrade.decide.next_step import next_step
from dbupgrade.decide.observed import Observed, SecretView, resource_from
from dbupgrade.kube.client import Client
from tests.integration.harness.apiserver import ApiServer
from tests.integration.harness.crd import CRD_FILE, CRDS, install_crd
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

FOLDER = Path(__file__).parent / "previous"
BEFORE: list[Object] = list(yaml.safe_load_all((FOLDER / "specs.yaml").read_text()))
NAMESPACE = "shop"  # the ids are of resources there
APPLY = "application/apply-patch+yaml"
USER = {"fieldManager": "user", "fieldValidation": "Strict"}


@pytest.fixture(scope="module")
def old_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of its own, as the CRD is for all of its objects."""
    server = ApiServer(tmp_path_factory.mktemp("previous"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before["name"])
def test_ids_are_those_of_before(before: Object) -> None:
    spec = Spec.model_validate(before["spec"])
    assert run_id(NAMESPACE, spec) == before["runId"]
    assert runner_hash(spec) == before["runnerHash"]


async def test_resources_of_before_apply_unchanged_and_start_no_run(old_server: ApiServer) -> None:
    async with await Client.connect(str(old_server.kubeconfig)) as admin:
        await install_crd(admin, yaml.safe_load((FOLDER / "crd.yaml").read_text()))
        namespace = await create_namespace(admin)
        for before in BEFORE:
            await apply(admin, namespace, before)
            await finish(admin, namespace, before)
        path = CRDS.item("", f"{names.PLURAL}.{names.GROUP}")
        new = yaml.safe_load(CRD_FILE.read_text())
        await admin.request(
            "PATCH", path, body=new, query={"fieldManager": "x", "force": "true"}, content_type=APPLY
        )
        await eventually(lambda: has_new_fields(admin, namespace), what="the new CRD is served")
        for before in BEFORE:
            stored = await admin.request("GET", DBUPGRADES.item(namespace, before["name"]))
            again = await apply(admin, namespace, before)
            assert again["metadata"]["generation"] == stored["metadata"]["generation"] == 1
            assert again["status"] == stored["status"]
            assert admission.updated(stored, again).allowed
            assert_no_run(again, before)


async def apply(admin: Client, namespace: str, before: Object) -> Object:
    """Apply as a user's tool does, from the same manifest each time."""
    metadata = {"name": before["name"], "namespace": namespace}
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": before["spec"]}
    path = DBUPGRADES.item(namespace, before["name"])
    stored: Object = await admin.request("PATCH", path, body=body, query=USER, content_type=APPLY)
    return stored


async def finish(admin: Client, namespace: str, before: Object) -> None:
    """Write the status that the operator of then left behind: a run that failed, so that any change of how would retry it."""
    run = {
        "jobName": "job",
        "sequence": 1,
        "runId": before["runId"],
        "runnerHash": before["runnerHash"],
        "image": before["spec"]["migrations"]["image"],
        "generation": 1,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:01:00Z",
        "result": "Failed",
        "failure": "SQLError",
    }
    path = DBUPGRADES.item(namespace, before["name"], "status")
    await admin.request(
        "PATCH",
        path,
        body={"status": {"run": run, "history": [run]}},
        content_type="application/merge-patch+json",
    )


async def has_new_fields(admin: Client, namespace: str) -> bool:
    stored = await admin.request("GET", DBUPGRADES.item(namespace, BEFORE[0]["name"]))
    return "engine" in stored["spec"]["migrations"]


def assert_no_run(obj: Object, before: Object) -> None:
    """The operator finds the run that the resource had, and decides to do nothing."""
    shop = {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}}
    resource = resource_from(shop)
    assert resource.spec, resource.spec_error
    assert run_id(NAMESPACE, resource.spec) == before["runId"]
    assert runner_hash(resource.spec) == before["runnerHash"]
    assert isinstance(resource.status.run, Run)
    observed = Observed(now=utc_now(), resource=resource, secret=SecretView(version="1"))
    decision = next_step(observed)
    assert isinstance(decision, Decision)
    assert not [action for action in decision.actions if isinstance(action, CreateJob)]
