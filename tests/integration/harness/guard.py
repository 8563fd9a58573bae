"""What guards resources on the API server: the CRD's rules, the webhook, the policy for deletions; each can be taken away."""

from __future__ import annotations

import contextlib
import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.api import admission, names
from dbupgrade.kube.errors import AlreadyExists, Forbidden, Invalid, KubeError, NotFound
from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.crd import CRD_FILE, CRDS
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.waiting import eventually
from webhook.certificates import CONFIGURATIONS

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

Object = dict[str, Any]

POLICIES = ResourceKind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
BINDINGS = ResourceKind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
RULES = "x-kubernetes-validations"
_INVALID = {"migrations": {"image": "probe"}, "database": {"type": "selfHosted"}}


async def set_rules(admin: Client, *, present: bool) -> None:
    """Put the CRD's rules in CEL in force, or take them away, and wait until the API server goes by it."""
    crd = yaml.safe_load(CRD_FILE.read_text())
    if not present:
        _strip(crd)
    crds = ResourceClient(admin, CRDS)
    name = crd["metadata"]["name"]
    stored = await crds.get("", name)
    await crds.replace("", name, {**stored, "spec": {**stored["spec"], "versions": crd["spec"]["versions"]}})

    async def in_force() -> bool:
        body = resource("rules-probe", copy.deepcopy(_INVALID))
        try:
            await dry_run(admin, "default", body)
        except Invalid:
            return present
        return not present

    await eventually(in_force, what=f"rules of the CRD present: {present}")


def _strip(node: Any) -> None:
    if isinstance(node, dict):
        node.pop(RULES, None)
        for child in node.values():
            _strip(child)
    elif isinstance(node, list):
        for child in node:
            _strip(child)


def resource(name: str, spec: Object) -> Object:
    """A DBUpgrade to create."""
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}


async def dry_run(admin: Client, namespace: str, body: Object) -> Object:
    """Create a resource without storing it. Raises a KubeError when it is denied."""
    query = {"dryRun": "All"}
    answer: Object = await admin.request("POST", DBUPGRADES.collection(namespace), query=query, body=body)
    return answer


async def install_policy(admin: Client, policy: list[Object] | None = None) -> None:
    """Install a policy, that for deletions unless another is given; there already is fine."""
    for kind, body in zip((POLICIES, BINDINGS), policy or admission.deletion_policy(), strict=True):
        try:
            await ResourceClient(admin, kind).create("", body)
        except AlreadyExists:
            return


async def remove_policy(admin: Client, name: str = admission.POLICY_NAME) -> None:
    for kind in (BINDINGS, POLICIES):
        with contextlib.suppress(NotFound):
            await ResourceClient(admin, kind).delete("", name, propagation="Background")


async def until_deletions(admin: Client, *, guarded: bool) -> None:
    """Wait until the API server goes by the policy for deletions, or by its removal. No operator may see the namespace `default`."""
    name, resources = "deletion-probe", ResourceClient(admin, DBUPGRADES)
    secret = {"connection": {"urlSecretRef": {"name": "none"}}}
    spec = {"migrations": {"image": "probe"}, "database": {"type": "selfHosted", **secret}}
    await resources.create("default", resource(name, spec))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    running = {"type": "Progressing", "status": "True", "reason": "MigrationInProgress", "message": ""}
    status = {"conditions": [{**running, "lastTransitionTime": now}]}
    await resources.patch("default", name, {"status": status}, subresource="status")

    async def settled() -> bool:
        try:
            await admin.request("DELETE", DBUPGRADES.item("default", name), query={"dryRun": "All"})
        except Forbidden:
            return guarded
        return not guarded

    await eventually(settled, what=f"deletions are guarded: {guarded}")
    await resources.patch(
        "default", name, {"metadata": {"annotations": {names.ANNOTATION_FORCE_DELETE: "true"}}}
    )
    await resources.delete("default", name, propagation="Background")


class WebhookConfiguration:
    """The configuration of a webhook at a port of this machine, for one namespace or those that a label selects."""

    def __init__(self, admin: Client, name: str, port: int, selector: dict[str, str]) -> None:
        self._configurations = ResourceClient(admin, CONFIGURATIONS)
        self._admin = admin
        self.name = name
        self._client = {"url": f"https://127.0.0.1:{port}{names.WEBHOOK_PATH}"}
        self._selector = selector

    async def install(self) -> None:
        body = admission.webhook_configuration(self._client, self.name)
        for webhook in body["webhooks"]:
            webhook["namespaceSelector"] = {"matchLabels": self._selector}
        await self._configurations.create("", body)

    async def remove(self) -> None:
        await self._configurations.delete("", self.name, propagation="Background")

    async def get(self) -> Object:
        return await self._configurations.get("", self.name)

    async def set_bundle(self, bundle: str) -> None:
        """Set the caBundle of all entries, as somebody who applies a manifest over it does."""
        entries = range(len((await self.get())["webhooks"]))
        path = "/webhooks/{}/clientConfig/caBundle"
        patch = [{"op": "add", "path": path.format(entry), "value": bundle} for entry in entries]
        await self._configurations.patch("", self.name, patch, content_type="application/json-patch+json")

    async def until_asked(self, namespace: str) -> None:
        """Wait until the API server asks the webhook: a spec that only it knows to be wrong is denied by it."""

        async def denied() -> bool:
            try:
                await dry_run(self._admin, namespace, resource("webhook-probe", copy.deepcopy(_INVALID)))
            except KubeError as error:
                return admission.WEBHOOK_NAME in str(error) and "denied the request" in str(error)
            return False

        await eventually(denied, what="the API server asks the webhook")
