"""Puts certificates into the webhook's Secret, as time would have."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from dbupgrade.kube.resources import SECRETS, ResourceClient

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client
    from webhook.issue import Issued


async def store_pairs(admin: Client, namespace: str, secret: str, **pairs: Issued) -> None:
    """Create the Secret with pairs named `current` and `next`."""
    data: dict[str, str] = {}
    for name, pair in pairs.items():
        prefix = "" if name == "current" else f"{name}-"
        values = {"ca.crt": pair.ca_pem, "tls.crt": pair.cert_pem, "tls.key": pair.key_pem}
        data |= {f"{prefix}{key}": base64.b64encode(value).decode() for key, value in values.items()}
    body = {"metadata": {"name": secret}, "type": "kubernetes.io/tls", "data": data}
    await ResourceClient(admin, SECRETS).create(namespace, body)
