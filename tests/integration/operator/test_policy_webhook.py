"""A policy webhook of somebody else's stands before the Job and does not answer: the run waits, says why, and goes on by itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.faultproxy import Answer, Stall
from tests.integration.harness.scene import JOB_CREATION, condition, run_of
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.harness.scene import Scene

WEBHOOKS = ResourceKind("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")


@contextlib.asynccontextmanager
async def a_webhook_that_is_down(scene: Scene) -> AsyncIterator[None]:
    """Every Job of the namespace has to pass a webhook that nobody serves."""
    client = ResourceClient(scene.admin, WEBHOOKS)
    name = f"policy.{scene.namespace}.example"
    webhook: dict[str, Any] = {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "rules": [
            {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
        "failurePolicy": "Fail",
        "timeoutSeconds": 1,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    await client.create("", {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        await eventually(lambda: _stands_before_jobs(scene), what="the webhook is in force")
        yield
    finally:
        await client.delete("", name, propagation="Background")


async def _stands_before_jobs(scene: Scene) -> bool:
    """Try it with a Job of no meaning; the API server takes a moment to hear of a new webhook."""
    container = {"name": "c", "image": "i"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    try:
        await scene.admin.request(
            "POST",
            scene.jobs.resource.collection(scene.namespace),
            query={"dryRun": "All"},
            body={"metadata": {"name": "probe"}, "spec": {"template": template}},
        )
    except Exception as error:  # noqa: BLE001 - whatever kind it is, its words tell
        return "failed calling webhook" in str(error)
    return False


async def test_a_job_that_a_dead_webhook_holds_back_is_told_and_created_when_it_is_gone(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    async with a_webhook_that_is_down(scene):
        await scene.start()
        await scene.create()
        resource = await scene.until(lambda found: "creationProblem" in run_of(found))
        told = condition(resource, "Progressing")
        assert (told["status"], told["reason"]) == ("True", "JobPending")
        assert "failed calling webhook" in told["message"]
        assert f"policy.{scene.namespace}.example" in told["message"]
        assert run_of(resource)["sequence"] == 1
        # It is tried again, and nothing new is worth a write.
        tries = len(creations(scene))
        await eventually(lambda: len(creations(scene)) >= tries + 3, what="three more tries")
        assert (await scene.get())["metadata"]["resourceVersion"] == resource["metadata"]["resourceVersion"]
    resource = await scene.until_ready()
    await scene.quiet()
    assert run_of(resource)["sequence"] == 1
    assert len(scene.standin.created) == 1


async def test_a_creation_without_an_answer_is_told(scene: Scene) -> None:
    """A webhook that hangs longer than the operator waits looks like this."""
    scene.standin.ending = SUCCESS
    scene.inject(JOB_CREATION, Stall())
    # What it says is gone as soon as a try succeeds; until it was seen, none does, and the first problem stays the one that is told.
    refused = scene.inject(JOB_CREATION, Answer(500), times=None)
    await scene.start()
    await scene.create()
    resource = await scene.until(lambda found: "creationProblem" in run_of(found))
    scene.proxy.faults.remove(refused)
    assert "no answer in time" in run_of(resource)["creationProblem"]
    assert run_of(resource)["creationProblem"] in condition(resource, "Ready")["message"]
    await scene.until_ready()
    await scene.quiet()
    assert len(scene.standin.created) == 1


def creations(scene: Scene) -> list[object]:
    return [seen for seen in scene.proxy.requests if seen.method == "POST" and seen.path.endswith("/jobs")]
