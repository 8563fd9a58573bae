"""Metrics over TLS, for those whom the API server lets read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.accounts import RBAC, create_account, token_of

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

CLUSTER_ROLES = ResourceKind(RBAC, "v1", "clusterroles")
CLUSTER_ROLE_BINDINGS = ResourceKind(RBAC, "v1", "clusterrolebindings")


async def allow(scene: Scene, account: str) -> None:
    name = f"{scene.namespace}-metrics"
    rules = [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    await ResourceClient(scene.admin, CLUSTER_ROLES).create("", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": scene.namespace}],
    }
    await ResourceClient(scene.admin, CLUSTER_ROLE_BINDINGS).create("", binding)


async def test_metrics_are_for_those_who_may_read_them(scene: Scene) -> None:
    for account in ("prometheus", "nobody"):
        await create_account(scene.admin, scene.namespace, account)
    await allow(scene, "prometheus")
    operator = await scene.start(DBUPGRADE_METRICS_SECURE="true")
    url = operator.metrics_url.replace("http", "https")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:

        async def get(token: str) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.get(url, headers=headers) as answer:
                return answer.status, await answer.text()

        status, text = await get(await token_of(scene.admin, scene.namespace, "prometheus"))
        assert (status, "dbupgrade_operator_up 1.0" in text) == (200, True)
        assert await get(await token_of(scene.admin, scene.namespace, "nobody")) == (403, "Forbidden\n")
        assert await get("not.a.token") == (401, "Unauthorized\n")
        assert await get("") == (401, "Unauthorized\n")
        with pytest.raises(aiohttp.ClientError):
            await session.get(url.replace("https", "http"))
