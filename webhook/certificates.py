"""Where the webhook's certificate comes from, and how it stays fresh: mounted by cert-manager, or made by the operator."""

from __future__ import annotations

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import structlog

from dbupgrade.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from dbupgrade.kube.resources import JSON_PATCH, SECRETS, ResourceClient, ResourceKind
from dbupgrade.telemetry.metrics import WEBHOOK_CERTIFICATE_EXPIRY
from webhook.issue import Issued
from webhook.rotation import Kept, step
from webhook.tls import BadCertificateError, Pair, SwappableContext, expiry

if TYPE_CHECKING:
    from pathlib import Path

    from dbupgrade.kube.client import Client

CONFIGURATIONS = ResourceKind("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
POLL_SECONDS = 10.0
_FIRST_POLL_SECONDS = 0.5

_log = structlog.get_logger()


class NoCertificateError(Exception):
    """There is no certificate yet; the message says what is missing."""


class Source(Protocol):
    """A place to get the present certificate from."""

    async def pair(self) -> Pair:
        """Return it. Raises NoCertificateError, BadCertificateError or a KubeError."""


async def keep_fresh(context: SwappableContext, source: Source) -> None:
    """Serve the source's certificate until cancelled; a source that fails leaves the last good one in use."""
    while True:
        try:
            pair = await source.pair()
            if context.swap(pair):
                _tell(expiry(pair.chain_pem))
        except (AlreadyExists, Conflict):
            pass  # another replica was faster: what it wrote is read next
        except (NoCertificateError, BadCertificateError, KubeError) as error:
            _log.warning("webhook_certificate_failed", error=str(error))
        await asyncio.sleep(POLL_SECONDS if context.has_certificate else _FIRST_POLL_SECONDS)


def _tell(expires: datetime) -> None:
    def left() -> float:
        return (expires - datetime.now(UTC)).total_seconds()

    WEBHOOK_CERTIFICATE_EXPIRY.set_function(left)
    _log.info("webhook_certificate", expires=expires.isoformat())


class Mounted:
    """A folder with tls.crt and tls.key, as the kubelet mounts a Secret of cert-manager's and keeps it current."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def pair(self) -> Pair:
        """Return what the folder holds now."""
        try:
            return Pair(*((self._folder / name).read_bytes() for name in ("tls.crt", "tls.key")))
        except OSError as error:
            raise NoCertificateError(f"{error.filename}: {error.strerror}") from None


class SelfManaged:
    """A certificate that the replicas make, share in a Secret and renew; its authority goes into the configuration.

    Any replica may take any step: writes carry the resourceVersion that the step was decided on, and the configuration
    is read before the Secret, so that an older view of the Secret never takes an authority out of the caBundle.
    """

    def __init__(self, client: Client, namespace: str, secret: str, configuration: str) -> None:
        self._secrets = ResourceClient(client, SECRETS)
        self._configurations = ResourceClient(client, CONFIGURATIONS)
        self._namespace = namespace
        self._secret = secret
        self._configuration = configuration
        self._last = Kept()  # a Secret that somebody deleted comes back as it was

    async def pair(self) -> Pair:
        """Take the next step, if one is due, and return the pair in use."""
        configuration = await self._read_configuration()
        secret = await self._read_secret()
        stored = _kept(secret) if secret else self._last
        kept = step(stored, bundle_of(configuration), host_of(configuration), datetime.now(UTC))
        if secret is None:
            await self._secrets.create(self._namespace, _secret_body(self._secret, kept))
        elif kept != stored:
            # The rest stays: an installer may have made the Secret, empty and with labels of its own; its type cannot change.
            await self._secrets.replace(self._namespace, self._secret, {**secret, "data": _data(kept)})
        if bundle_of(configuration) != kept.trusted():
            await self._trust(configuration, kept.trusted())
        self._last = kept
        if kept.current is None:
            raise AssertionError("a step always leaves a pair in use")
        return Pair(kept.current.cert_pem, kept.current.key_pem)

    async def _read_configuration(self) -> dict[str, Any]:
        try:
            configuration = await self._configurations.get("", self._configuration)
        except NotFound:
            raise NoCertificateError(
                f"ValidatingWebhookConfiguration {self._configuration} not found: install it, or set webhook.enabled to false"
            ) from None
        if not configuration.get("webhooks"):
            raise NoCertificateError(f"ValidatingWebhookConfiguration {self._configuration} has no webhooks")
        return configuration

    async def _read_secret(self) -> dict[str, Any] | None:
        try:
            return await self._secrets.get(self._namespace, self._secret)
        except NotFound:
            return None

    async def _trust(self, configuration: dict[str, Any], bundle: bytes) -> None:
        """Make `bundle` the caBundle of every webhook in the configuration, if nobody has changed it meanwhile."""
        version = configuration["metadata"]["resourceVersion"]
        value = base64.b64encode(bundle).decode()
        patch = [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]
        patch += [
            {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": value}
            for index in range(len(configuration["webhooks"]))
        ]
        await self._configurations.patch("", self._configuration, patch, content_type=JSON_PATCH)
        _log.info("webhook_trust_updated", configuration=self._configuration)


def host_of(configuration: dict[str, Any]) -> str:
    """The host that the API server calls, which the certificate must be made for."""
    client = configuration["webhooks"][0]["clientConfig"]
    if "service" in client:
        return f"{client['service']['name']}.{client['service']['namespace']}.svc"
    return urlsplit(client["url"]).hostname or ""


def bundle_of(configuration: dict[str, Any]) -> bytes:
    """The caBundle that all its webhooks have; nothing when they differ."""
    bundles = {webhook["clientConfig"].get("caBundle", "") for webhook in configuration["webhooks"]}
    return _decoded(bundles.pop()) if len(bundles) == 1 else b""


_CURRENT = ("ca.crt", "tls.crt", "tls.key")
_UPCOMING = tuple(f"next-{key}" for key in _CURRENT)
_PREVIOUS_CA = "previous-ca.crt"


def _kept(secret: dict[str, Any]) -> Kept:
    data = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}

    def pair(keys: tuple[str, ...]) -> Issued | None:
        values = [data.get(key, b"") for key in keys]
        return Issued(*values) if all(values) else None

    return Kept(pair(_CURRENT), pair(_UPCOMING), data.get(_PREVIOUS_CA, b""))


def _secret_body(name: str, kept: Kept) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name},
        "data": _data(kept),
    }


def _data(kept: Kept) -> dict[str, str]:
    data = {_PREVIOUS_CA: kept.previous_ca} if kept.previous_ca else {}
    for keys, pair in ((_CURRENT, kept.current), (_UPCOMING, kept.upcoming)):
        if pair:
            data |= dict(zip(keys, (pair.ca_pem, pair.cert_pem, pair.key_pem), strict=True))
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return b""
