"""Service accounts with rights of their own, for clients that are not the administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbupgrade.kube.resources import ResourceClient, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbupgrade.kube.client import Client

ACCOUNTS = ResourceKind("", "v1", "serviceaccounts")
ROLES = ResourceKind("rbac.authorization.k8s.io", "v1", "roles")
ROLE_BINDINGS = ResourceKind("rbac.authorization.k8s.io", "v1", "rolebindings")
RBAC = "rbac.authorization.k8s.io"


async def create_account(
    admin: Client, namespace: str, name: str, rules: Sequence[dict[str, Any]] = ()
) -> None:
    """Create a service account with a Role of `rules` in its namespace."""
    metadata = {"name": name}
    await ResourceClient(admin, ACCOUNTS).create(namespace, {"metadata": metadata})
    await ResourceClient(admin, ROLES).create(namespace, {"metadata": metadata, "rules": list(rules)})
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    await ResourceClient(admin, ROLE_BINDINGS).create(namespace, binding)


async def token_of(admin: Client, namespace: str, name: str) -> str:
    """Ask for a token of the account, as a kubelet does for a pod."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    answer = await admin.request("POST", ACCOUNTS.item(namespace, name, "token"), body=body)
    token: str = answer["status"]["token"]
    return token
