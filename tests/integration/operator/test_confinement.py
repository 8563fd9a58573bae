"""Whoever has the operator's account may create the operator's Jobs, and no others."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.confinement import ACCOUNT, POLICY_NAME, operator_policy
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, KubeError
from dbupgrade.kube.resources import JOBS
from tests.integration.harness.guard import install_policy, remove_policy
from tests.integration.harness.scene import IMAGE, run_of
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.integration.harness.apiserver import ApiServer
    from tests.integration.harness.scene import Scene

Object = dict[str, Any]
COMMAND: Object = {
    "engine": "Command",
    "command": ["migrate"],
}


@pytest.fixture
async def operator(api: ApiServer, admin: Client) -> AsyncIterator[Client]:
    """The operator's account, here with all rights but what the policy takes away."""
    await install_policy(admin, operator_policy())
    kubeconfig = api.write_kubeconfig("confined", api.login(ACCOUNT, "system:masters"))
    async with await Client.connect(str(kubeconfig)) as client:
        yield client
    await remove_policy(admin, POLICY_NAME)


async def a_job(scene: Scene, **migrations: Any) -> Object:
    """A Job of the operator's, as it could be created once more."""
    await scene.start()
    await scene.create(migrations={"image": IMAGE, **migrations})
    job = await scene.jobs.get(scene.namespace, run_of(await scene.until(is_created))["jobName"])
    template = job["spec"]["template"]
    for generated in ("controller-uid", "job-name"):
        for name in (generated, f"batch.kubernetes.io/{generated}"):
            template["metadata"]["labels"].pop(name, None)
    metadata = {"generateName": "copy-", "ownerReferences": job["metadata"]["ownerReferences"]}
    body = {"metadata": metadata, "spec": {"backoffLimit": 0, "template": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", **body}


def is_created(resource: Object) -> bool:
    return "jobUid" in run_of(resource)


async def create(client: Client, namespace: str, body: Object) -> None:
    """Create a Job without storing it. Raises a KubeError when it is denied."""
    await client.request("POST", JOBS.collection(namespace), query={"dryRun": "All"}, body=body)


def pod(job: Object) -> Object:
    """The pod's spec."""
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def container(job: Object) -> Object:
    """The container `migrate`."""
    found: Object = pod(job)["containers"][0]
    return found


def security(job: Object) -> Object:
    """The security context of the container `migrate`."""
    found: Object = container(job)["securityContext"]
    return found


def with_volume(**source: Any) -> Callable[[Object], None]:
    """Add a volume."""
    return lambda job: pod(job)["volumes"].append({"name": "more", **source})


TOKEN = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
ATTACKS: dict[str, tuple[Callable[[Object], Any], str]] = {
    "without an owner": (lambda job: job["metadata"].pop("ownerReferences"), "must belong to a DBUpgrade"),
    "of another kind's": (
        lambda job: job["metadata"]["ownerReferences"][0].update(kind="Deployment", apiVersion="apps/v1"),
        "must belong to a DBUpgrade",
    ),
    "with a token": (
        lambda job: pod(job).update(automountServiceAccountToken=True),
        "service account's token",
    ),
    "with the default token": (
        lambda job: pod(job).pop("automountServiceAccountToken"),
        "service account's token",
    ),
    "with a projected token": (with_volume(projected=TOKEN), "projected Secrets only"),
    "with a host path": (with_volume(hostPath={"path": "/"}), "may have volumes of"),
    "with a claim": (with_volume(persistentVolumeClaim={"claimName": "data"}), "may have volumes of"),
    "in the host's network": (lambda job: pod(job).update(hostNetwork=True), "must not use hostNetwork"),
    "with the host's processes": (lambda job: pod(job).update(hostPID=True), "must not use hostNetwork"),
    "as root": (lambda job: pod(job)["securityContext"].pop("runAsNonRoot"), "not root"),
    "as root in one container": (lambda job: security(job).update(runAsUser=0), "every container"),
    "without seccomp": (
        lambda job: pod(job)["securityContext"].update(seccompProfile={"type": "Unconfined"}),
        "RuntimeDefault",
    ),
    "privileged": (
        lambda job: security(job).update(privileged=True, allowPrivilegeEscalation=True),
        "every container",
    ),
    "with a capability": (
        lambda job: security(job)["capabilities"].update(add=["NET_ADMIN"]),
        "every container",
    ),
    "with all capabilities": (lambda job: security(job)["capabilities"].pop("drop"), "every container"),
    "without a security context": (lambda job: container(job).pop("securityContext"), "every container"),
    "in an init container": (
        lambda job: pod(job)["initContainers"].append({"name": "more", "image": "x"}),
        "every container",
    ),
    "on a port of the host": (
        lambda job: container(job).update(ports=[{"containerPort": 80, "hostPort": 80}]),
        "every container",
    ),
}


async def test_the_account_may_create_its_own_jobs_and_no_others(scene: Scene, operator: Client) -> None:
    body = await a_job(scene)
    await eventually_denied(operator, scene.namespace, body)
    await create(operator, scene.namespace, body)
    for change, words in ATTACKS.values():
        changed = copy.deepcopy(body)
        change(changed)
        with pytest.raises(Forbidden, match=words):
            await create(operator, scene.namespace, changed)


@pytest.mark.parametrize("migrations", [COMMAND, {"delivery": "ImageVolume"}, {"engine": "Psql"}], ids=str)
async def test_every_kind_of_job_passes(scene: Scene, operator: Client, migrations: Object) -> None:
    body = await a_job(scene, **migrations)
    await eventually_denied(operator, scene.namespace, body)
    await create(operator, scene.namespace, body)


async def test_nobody_else_is_confined(scene: Scene, operator: Client) -> None:
    body = await a_job(scene)
    await eventually_denied(operator, scene.namespace, body)
    pod(body)["hostNetwork"] = True
    await create(scene.admin, scene.namespace, body)


async def eventually_denied(client: Client, namespace: str, body: Object) -> None:
    """Wait until the policy is in force."""
    bad = copy.deepcopy(body)
    pod(bad)["hostNetwork"] = True

    async def denied() -> bool:
        try:
            await create(client, namespace, bad)
        except KubeError:
            return True
        return False

    await eventually(denied, what="the policy is in force")
