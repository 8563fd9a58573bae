"""The lock on a real API server: by the CRD's rules alone, and by the webhook alone, as users meet it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.lock import is_locked
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, Invalid, KubeError
from dbupgrade.kube.resources import NAMESPACES, ResourceClient
from e2e.ports import free_port
from tests.integration.harness.guard import (
    WebhookConfiguration,
    install_policy,
    remove_policy,
    set_rules,
    until_deletions,
)
from tests.integration.harness.scene import NAME, Scene, condition, is_finished, run_of
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.integration.harness.apiserver import ApiServer

LOCKED = "cannot update spec while migration is in progress (Progressing=True)"
DELETION = "cannot delete while migration is in progress (Progressing=True)"
NEXT_IMAGE = "registry.example/shop:2.0.0"
FORCE = {"metadata": {"annotations": {"dbupgrade.subbug.learning/force-delete": "true"}}}


@pytest.fixture(scope="module", params=["the CRD", "the webhook"])
def guard(api: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Who keeps the lock; the other one is not there."""

    async def prepare(*, by_crd: bool) -> None:
        async with await Client.connect(str(api.kubeconfig)) as admin:
            await set_rules(admin, present=by_crd)
            await (install_policy if by_crd else remove_policy)(admin)
            await until_deletions(admin, guarded=by_crd)

    async def restore() -> None:
        async with await Client.connect(str(api.kubeconfig)) as admin:
            await set_rules(admin, present=True)
            await remove_policy(admin)
            await until_deletions(admin, guarded=False)

    asyncio.run(prepare(by_crd=request.param == "the CRD"))
    yield request.param
    asyncio.run(restore())


@pytest.fixture
async def guarded(scene: Scene, guard: str) -> AsyncIterator[Scene]:
    """A scene with an operator, its specs guarded by one of the two."""
    if guard == "the CRD":
        await scene.start()
        yield scene
        return
    configuration = await start_with_webhook(scene)
    yield scene
    await configuration.remove()


async def start_with_webhook(scene: Scene) -> WebhookConfiguration:
    """Start an operator that serves the webhook, and wait until the API server asks it."""
    port = free_port()
    selector = {"kubernetes.io/metadata.name": scene.namespace}
    configuration = WebhookConfiguration(scene.admin, f"webhook-{scene.namespace}", port, selector)
    await configuration.install()
    await scene.start(**webhook_settings(scene, configuration, port))
    await configuration.until_asked(scene.namespace)
    return configuration


def webhook_settings(scene: Scene, configuration: WebhookConfiguration, port: int) -> dict[str, str]:
    return {
        "DBUPGRADE_NAMESPACE": scene.namespace,
        "DBUPGRADE_WEBHOOK_ENABLED": "true",
        "DBUPGRADE_WEBHOOK_PORT": str(port),
        "DBUPGRADE_WEBHOOK_CONFIGURATION": configuration.name,
    }


async def begin_run(scene: Scene) -> dict[str, Any]:
    """Bring a run as far as migrating; returns its Job."""
    await scene.create()
    job = await scene.standin.job()
    await scene.standin.start(job)
    await scene.until_reason("MigrationInProgress")
    return job


async def test_an_edit_during_a_run_is_denied_and_says_what_to_wait_for(guarded: Scene) -> None:
    job = await begin_run(guarded)
    with pytest.raises((Forbidden, Invalid)) as caught:
        await guarded.set_image(NEXT_IMAGE)
    assert is_locked(caught.value.causes)
    message = str(caught.value)
    assert LOCKED in message
    assert job["metadata"]["name"] in message
    assert f"kubectl wait --for=condition=Progressing=False dbupgrade/{NAME}" in message
    await guarded.standin.end(job, SUCCESS)
    await guarded.until_ready()
    await guarded.set_image(NEXT_IMAGE)
    await guarded.standin.end(await guarded.standin.job(2), SUCCESS)
    resource = await guarded.until_ready(sequence=2)
    assert run_of(resource)["image"] == NEXT_IMAGE


async def test_a_write_that_leaves_spec_as_it_is_passes_during_a_run(guarded: Scene) -> None:
    job = await begin_run(guarded)
    resource = await guarded.get()
    await guarded.resources.replace(guarded.namespace, NAME, resource)  # kubectl replace
    applied = {name: resource[name] for name in ("apiVersion", "kind", "spec")}
    applied["metadata"] = {"name": NAME, "labels": {"team": "a"}, "finalizers": ["example.com/keep"]}
    await guarded.admin.request(
        "PATCH",
        guarded.resources.resource.item(guarded.namespace, NAME),
        query={"fieldManager": "argocd", "force": "true"},
        body=applied,
        content_type="application/apply-patch+yaml",
    )
    await guarded.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "1"}}})
    await guarded.patch({"metadata": {"finalizers": None}})
    await guarded.patch({"spec": {"suspend": True}})
    await guarded.patch({"status": {"pendingCount": 7}}, subresource="status")
    await guarded.standin.end(job, SUCCESS)
    resource = await guarded.until(is_finished)
    assert resource["metadata"]["labels"] == {"team": "a"}


async def test_the_database_can_never_be_changed(guarded: Scene) -> None:
    guarded.standin.ending = SUCCESS
    await guarded.create()
    await guarded.until_ready()
    other = {"spec": {"database": {"connection": {"urlSecretRef": {"name": "other"}}}}}
    with pytest.raises(
        (Forbidden, Invalid), match=r"spec\.database\.connection\.urlSecretRef\.name is immutable"
    ):
        await guarded.patch(other)


async def test_a_deletion_during_a_run_is_held_back_until_it_is_forced(guarded: Scene) -> None:
    job = await begin_run(guarded)
    with pytest.raises(Forbidden) as caught:
        await delete(guarded)
    assert DELETION in str(caught.value)
    assert job["metadata"]["name"] in str(caught.value)
    with pytest.raises(Forbidden, match="cannot delete"):
        await guarded.admin.request("DELETE", guarded.resources.resource.collection(guarded.namespace))
    await guarded.patch(FORCE)
    await delete(guarded)


async def test_a_deletion_after_a_run_passes(guarded: Scene) -> None:
    guarded.standin.ending = SUCCESS
    await guarded.create()
    await guarded.until_ready()
    await delete(guarded)


async def test_a_terminating_namespace_is_not_held_up(guarded: Scene) -> None:
    await begin_run(guarded)
    await ResourceClient(guarded.admin, NAMESPACES).delete("", guarded.namespace, propagation="Background")

    async def passes() -> bool:
        await delete(guarded)
        return True

    await eventually(passes, what="the resource can be deleted")


async def delete(scene: Scene) -> None:
    await scene.resources.delete(scene.namespace, NAME, propagation="Background")


async def test_while_no_operator_runs_a_person_can_unlock_by_hand(guarded: Scene, guard: str) -> None:
    await begin_run(guarded)
    for operator in guarded.operators:
        operator.kill()
    with pytest.raises(
        KubeError, match=LOCKED.split("(", maxsplit=1)[0] if guard == "the CRD" else "failed calling webhook"
    ):
        await guarded.set_image(NEXT_IMAGE)
    await guarded.patch({"status": {"conditions": []}}, subresource="status")  # as docs/upgrade.md says
    if guard == "the CRD":
        await guarded.set_image(NEXT_IMAGE)
        return
    with pytest.raises(KubeError, match="failed calling webhook"):
        await guarded.set_image(NEXT_IMAGE)  # a dead webhook fails closed: its configuration has to go too


async def test_a_dead_webhook_lets_deletions_and_namespaces_pass(guarded: Scene, guard: str) -> None:
    guarded.standin.ending = SUCCESS
    await guarded.create()
    await guarded.until_ready()
    await guarded.quiet()
    await delete(guarded)


async def test_the_resource_tells_nothing_of_a_denied_edit(guarded: Scene) -> None:
    job = await begin_run(guarded)
    before = await guarded.get()
    with pytest.raises((Forbidden, Invalid)):
        await guarded.set_image(NEXT_IMAGE)
    assert (await guarded.get())["metadata"]["generation"] == before["metadata"]["generation"]
    await guarded.standin.end(job, SUCCESS)
    resource = await guarded.until_ready()
    assert condition(resource, "Ready")["observedGeneration"] == before["metadata"]["generation"]


async def test_the_deadline_of_a_run_is_extended_in_its_job_and_not_in_the_spec(guarded: Scene) -> None:
    """The spec says with which deadline a run was started; Kubernetes lets a person give the Job more time."""
    job = await begin_run(guarded)
    with pytest.raises((Forbidden, Invalid)) as caught:
        await guarded.patch({"spec": {"runner": {"activeDeadlineSeconds": 7200}}})
    assert is_locked(caught.value.causes)
    assert LOCKED in str(caught.value)
    name = job["metadata"]["name"]
    await guarded.jobs.patch(guarded.namespace, name, {"spec": {"activeDeadlineSeconds": 7200}})
    await guarded.standin.end(job, SUCCESS)
    resource = await guarded.until_ready()
    assert [run["result"] for run in resource["status"]["history"]] == ["Succeeded"]
    assert len(guarded.standin.created) == 1
