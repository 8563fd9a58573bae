"""Whoever has the operator's account may create the operator's Jobs, and no others."""

from __future__ import annotations

import asyncio
import base64
import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api import admission
from dbupgrade.api.confinement import ACCOUNT, POLICY_NAME, operator_policy
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, KubeError
from dbupgrade.kube.resources import JOBS, SECRETS, ResourceClient
from e2e.cluster import pki
from tests.integration.harness.guard import WebhookConfiguration, install_policy, remove_policy
from tests.integration.harness.scene import IMAGE, run_of
from tests.integration.harness.waiting import eventually
from webhook.certificates import CONFIGURATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.integration.harness.apiserver import ApiServer
    from tests.integration.harness.scene import Scene

Object = dict[str, Any]
COMMAND: Object = {
    "engine": "Command",
    "command": ["migrate"],
}


@pytest.fixture(scope="module")
def confined(api: ApiServer) -> Iterator[None]:
    """Put the policy in force, for all tests of this file: it takes seconds until the API server goes by it."""
    asyncio.run(_with_admin(api, partial(install_policy, policy=operator_policy())))
    yield
    asyncio.run(_with_admin(api, partial(remove_policy, name=POLICY_NAME)))


async def _with_admin(api: ApiServer, act: Callable[[Client], Awaitable[None]]) -> None:
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await act(admin)


@pytest.fixture
async def operator(api: ApiServer, confined: None) -> AsyncIterator[Client]:
    """The operator's account, here with all rights but what the policy takes away."""
    del confined
    kubeconfig = api.write_kubeconfig("confined", api.login(ACCOUNT, "system:masters"))
    async with await Client.connect(str(kubeconfig)) as client:
        yield client


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
    "on a node of its choice": (lambda job: pod(job).update(nodeName="master"), "must not select its node"),
    "as a process of the host on Windows": (
        lambda job: pod(job)["securityContext"].update(windowsOptions={"runAsUserName": "System"}),
        "AppArmor, SELinux, sysctl or Windows",
    ),
    "without AppArmor": (
        lambda job: pod(job)["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
        "AppArmor, SELinux, sysctl or Windows",
    ),
    "without AppArmor, by an annotation": (
        lambda job: job["spec"]["template"]["metadata"]["annotations"].update(
            {"container.apparmor.security.beta.kubernetes.io/migrate": "unconfined"}
        ),
        "AppArmor, SELinux, sysctl or Windows",
    ),
    "with settings of the kernel": (
        lambda job: pod(job)["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
        "AppArmor, SELinux, sysctl or Windows",
    ),
    "with another SELinux label in one container": (
        lambda job: security(job).update(seLinuxOptions={"type": "spc_t"}),
        "every container",
    ),
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


class TestJobsThatExist:
    async def test_its_own_may_be_kept_for_a_time_and_deleted(self, scene: Scene, operator: Client) -> None:
        body = await a_job(scene)
        await eventually_denied(operator, scene.namespace, body)
        name = scene.standin.created[0]["metadata"]["name"]
        jobs = ResourceClient(operator, JOBS)
        await jobs.patch(scene.namespace, name, {"spec": {"ttlSecondsAfterFinished": 3600}})
        for change in (
            {"spec": {"suspend": True}},
            {"spec": {"parallelism": 5}},
            {"metadata": {"annotations": {"run-id": "another"}}},
            {"metadata": {"ownerReferences": None}},
        ):
            with pytest.raises(Forbidden, match="only ttlSecondsAfterFinished"):
                await jobs.patch(scene.namespace, name, change)
        await jobs.delete(scene.namespace, name, propagation="Background")

    async def test_those_of_others_may_not(self, scene: Scene, operator: Client) -> None:
        body = await a_job(scene)
        await eventually_denied(operator, scene.namespace, body)
        del body["metadata"]["ownerReferences"]
        name = (await scene.jobs.create(scene.namespace, body))["metadata"]["name"]
        jobs = ResourceClient(operator, JOBS)
        with pytest.raises(Forbidden, match="only Jobs of a DBUpgrade"):
            await jobs.patch(scene.namespace, name, {"spec": {"ttlSecondsAfterFinished": 0}})
        with pytest.raises(Forbidden, match="only Jobs of a DBUpgrade"):
            await jobs.delete(scene.namespace, name, propagation="Background")


class TestSecrets:
    async def test_only_those_of_a_resource_may_be_written(self, scene: Scene, operator: Client) -> None:
        body = await a_job(scene)
        await eventually_denied(operator, scene.namespace, body)
        owners = body["metadata"]["ownerReferences"]
        secrets = ResourceClient(operator, SECRETS)
        token = {"metadata": {"name": "token", "ownerReferences": owners}, "stringData": {"url": "u"}}
        stored = await secrets.create(scene.namespace, token)
        await secrets.replace(scene.namespace, "token", {**stored, "stringData": {"url": "v"}})
        with pytest.raises(Forbidden, match="must belong to a DBUpgrade"):
            await secrets.create(scene.namespace, {"metadata": {"name": "free"}})
        for denied in (
            secrets.patch(scene.namespace, "database", {"stringData": {"url": "another"}}),
            secrets.delete(scene.namespace, "database", propagation="Background"),
        ):
            with pytest.raises(Forbidden, match="only Secrets of a DBUpgrade"):
                await denied
        await secrets.delete(scene.namespace, "token", propagation="Background")

    async def test_none_may_ask_for_the_token_of_a_service_account(
        self, scene: Scene, operator: Client
    ) -> None:
        """The controller of tokens fills such a Secret, and whoever may read it has the account."""
        body = await a_job(scene)
        await eventually_denied(operator, scene.namespace, body)
        metadata = {
            "name": "account",
            "ownerReferences": body["metadata"]["ownerReferences"],
            "annotations": {"kubernetes.io/service-account.name": "default"},
        }
        secrets = ResourceClient(operator, SECRETS)
        with pytest.raises(Forbidden, match="be of type Opaque or"):
            await secrets.create(
                scene.namespace, {"metadata": metadata, "type": "kubernetes.io/service-account-token"}
            )


def widened(configuration: Object) -> None:
    configuration["webhooks"][0]["rules"][0].update(apiGroups=["*"], apiVersions=["*"], resources=["*"])


WIDENINGS: dict[str, Callable[[Object], Any]] = {
    "to every kind": widened,
    "to another server": lambda found: found["webhooks"][0].update(
        clientConfig={"url": "https://attacker.example/"}
    ),
    "to every namespace": lambda found: found["webhooks"][0].update(namespaceSelector={}),
    "until it cannot be passed": lambda found: found["webhooks"][1].update(failurePolicy="Fail"),
    "until it can be passed": lambda found: found["webhooks"][0].update(failurePolicy="Ignore"),
    "by another webhook": lambda found: found["webhooks"].append({**found["webhooks"][0], "name": "a.b.c"}),
    "by fewer": lambda found: found["webhooks"].pop(),
    "by a certificate of cert-manager": lambda found: found["metadata"].update(
        annotations={"cert-manager.io/inject-ca-from": "attacker/certificate"}
    ),
    "under a label": lambda found: found["metadata"].update(labels={"team": "attacker"}),
}


async def test_of_a_webhook_the_account_may_change_the_ca_bundle_only(
    scene: Scene, operator: Client, admin: Client
) -> None:
    configuration = WebhookConfiguration(admin, f"confined-{scene.namespace}", 1, {"never": "there"})
    configurations = ResourceClient(operator, CONFIGURATIONS)
    body = await a_job(scene)
    await eventually_denied(operator, scene.namespace, body)
    await configuration.install()
    try:
        bundle = base64.b64encode(pki.Authority.create("confined").cert_pem).decode()
        path = "/webhooks/{}/clientConfig/caBundle"
        patch = [{"op": "add", "path": path.format(entry), "value": bundle} for entry in (0, 1)]
        await configurations.patch("", configuration.name, patch, content_type="application/json-patch+json")
        for change in WIDENINGS.values():
            found = copy.deepcopy(await configuration.get())
            change(found)
            with pytest.raises(Forbidden, match="only the caBundle of a webhook for DBUpgrades"):
                await configurations.replace("", configuration.name, found)
        with pytest.raises(Forbidden, match="only the caBundle"):
            await configurations.delete("", configuration.name, propagation="Background")
    finally:
        await configuration.remove()


async def test_the_webhooks_of_others_stay_as_they_are(scene: Scene, operator: Client, admin: Client) -> None:
    body = await a_job(scene)
    await eventually_denied(operator, scene.namespace, body)
    client = {"url": "https://127.0.0.1:1/"}
    other = admission.webhook_configuration(client, f"other-{scene.namespace}")
    for webhook in other["webhooks"]:
        webhook["rules"] = [
            {
                "apiGroups": ["example.com"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["none"],
            }
        ]
    name = other["metadata"]["name"]
    await ResourceClient(admin, CONFIGURATIONS).create("", other)
    try:
        path = "/webhooks/0/clientConfig/caBundle"
        patch = [{"op": "add", "path": path, "value": base64.b64encode(b"x").decode()}]
        with pytest.raises(Forbidden, match="only the caBundle of a webhook for DBUpgrades"):
            await ResourceClient(operator, CONFIGURATIONS).patch(
                "", name, patch, content_type="application/json-patch+json"
            )
        with pytest.raises(Forbidden, match="only the caBundle of a webhook for DBUpgrades"):
            await ResourceClient(operator, CONFIGURATIONS).create(
                "", admission.webhook_configuration(client, f"new-{scene.namespace}")
            )
    finally:
        await ResourceClient(admin, CONFIGURATIONS).delete("", name, propagation="Background")


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
