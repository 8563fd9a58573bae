"""The operator's own certificate on a real API server: made once for all replicas, repaired, renewed, trusted first."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from dbupgrade.kube.errors import Conflict, NotFound
from dbupgrade.kube.resources import SECRETS, ResourceClient
from e2e.ports import free_port
from tests.integration.harness.certificates import store_pairs
from tests.integration.harness.guard import WebhookConfiguration
from tests.integration.harness.waiting import eventually
from webhook.certificates import Mounted, NoCertificateError, SelfManaged, bundle_of, keep_fresh
from webhook.issue import LIFETIME, issue
from webhook.rotation import PROPAGATION, RENEW_BEFORE
from webhook.tls import Pair, SwappableContext, expiry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dbupgrade.kube.client import Client

SECRET = "webhook-cert"
HOST = "127.0.0.1"


@pytest.fixture
async def configuration(admin: Client, namespace: str) -> AsyncIterator[WebhookConfiguration]:
    """Install a configuration for nobody: nothing is ever asked."""
    found = WebhookConfiguration(admin, f"certs-{namespace}", free_port(), {"nobody": namespace})
    await found.install()
    yield found
    await found.remove()


def replica(admin: Client, namespace: str, configuration: WebhookConfiguration) -> SelfManaged:
    return SelfManaged(admin, namespace, SECRET, configuration.name)


async def stored(admin: Client, namespace: str) -> dict[str, bytes]:
    secret = await ResourceClient(admin, SECRETS).get(namespace, SECRET)
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


async def test_the_first_replica_makes_it_and_the_others_take_it_over(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    one, two = (replica(admin, namespace, configuration) for _ in range(2))
    pair = await one.pair()
    assert await two.pair() == pair
    kept = await stored(admin, namespace)
    assert (kept["tls.crt"], kept["tls.key"]) == (pair.chain_pem, pair.key_pem)
    assert set(kept) == {"ca.crt", "tls.crt", "tls.key"}  # no key that could sign another
    assert bundle_of(await configuration.get()) == kept["ca.crt"]


async def test_replicas_that_start_together_agree(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    contexts = [SwappableContext() for _ in range(5)]
    sources = [replica(admin, namespace, configuration) for _ in contexts]
    keepers = [asyncio.create_task(keep_fresh(*each)) for each in zip(contexts, sources, strict=True)]
    await eventually(lambda: all(context.has_certificate for context in contexts))
    for keeper in keepers:
        keeper.cancel()
    kept = await stored(admin, namespace)
    assert not any(context.swap(Pair(kept["tls.crt"], kept["tls.key"])) for context in contexts)
    assert bundle_of(await configuration.get()) == kept["ca.crt"]


async def test_a_deleted_secret_comes_back_as_it_was(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    source = replica(admin, namespace, configuration)
    pair = await source.pair()
    await ResourceClient(admin, SECRETS).delete(namespace, SECRET, propagation="Background")
    assert await source.pair() == pair
    assert (await stored(admin, namespace))["tls.crt"] == pair.chain_pem


async def test_a_cabundle_that_somebody_overwrote_is_repaired(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    source = replica(admin, namespace, configuration)
    await source.pair()
    trusted = bundle_of(await configuration.get())
    await configuration.set_bundle("")
    await source.pair()
    assert bundle_of(await configuration.get()) == trusted


async def test_a_renewal_is_trusted_before_it_is_served(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    now = datetime.now(UTC)
    old = issue(HOST, now - LIFETIME + RENEW_BEFORE)
    await store_pairs(admin, namespace, SECRET, current=old)
    one, two = (replica(admin, namespace, configuration) for _ in range(2))
    assert (await one.pair()).chain_pem == old.cert_pem
    kept = await stored(admin, namespace)
    assert bundle_of(await configuration.get()) == old.ca_pem + kept["next-ca.crt"]
    assert (await two.pair()).chain_pem == old.cert_pem  # too early


async def test_a_renewal_that_all_have_heard_of_is_served_by_all_and_the_old_one_still_trusted(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    now = datetime.now(UTC)
    old, new = issue(HOST, now - LIFETIME + RENEW_BEFORE), issue(HOST, now - PROPAGATION)
    await store_pairs(admin, namespace, SECRET, current=old, next=new)
    one, two = (replica(admin, namespace, configuration) for _ in range(2))
    assert (await one.pair()).chain_pem == old.cert_pem  # its authority was not in the caBundle yet
    assert (await one.pair()).chain_pem == new.cert_pem
    assert (await two.pair()).chain_pem == new.cert_pem
    assert bundle_of(await configuration.get()) == new.ca_pem + old.ca_pem
    assert expiry((await stored(admin, namespace))["tls.crt"]) > now + LIFETIME - timedelta(hours=1)


async def test_a_configuration_that_changed_meanwhile_is_not_overwritten(
    admin: Client, namespace: str, configuration: WebhookConfiguration
) -> None:
    source = replica(admin, namespace, configuration)
    before = await configuration.get()
    await configuration.set_bundle(base64.b64encode(b"theirs").decode())
    with pytest.raises(Conflict):
        await source._trust(before, b"ours")
    assert bundle_of(await configuration.get()) == b"theirs"


async def test_without_a_configuration_there_is_no_certificate_and_the_log_says_so(
    admin: Client, namespace: str
) -> None:
    source = SelfManaged(admin, namespace, SECRET, "not-there")
    with pytest.raises(NoCertificateError, match="ValidatingWebhookConfiguration not-there not found"):
        await source.pair()
    context = SwappableContext()
    with capture_logs() as logs:
        keeper = asyncio.create_task(keep_fresh(context, source))
        await eventually(lambda: logs)
        keeper.cancel()
    assert not context.has_certificate
    assert "webhook.enabled" in logs[0]["error"]
    with pytest.raises(NotFound):
        await stored(admin, namespace)


async def test_no_key_is_logged(admin: Client, namespace: str, configuration: WebhookConfiguration) -> None:
    with capture_logs() as logs:
        context = SwappableContext()
        keeper = asyncio.create_task(keep_fresh(context, replica(admin, namespace, configuration)))
        await eventually(lambda: context.has_certificate)
        keeper.cancel()
    assert [entry["event"] for entry in logs] == ["webhook_trust_updated", "webhook_certificate"]
    assert "PRIVATE" not in str(logs)


class TestMounted:
    async def test_the_folder_of_cert_manager_is_read_anew_each_time(self, tmp_path: Path) -> None:
        source = Mounted(tmp_path)
        with pytest.raises(NoCertificateError, match=r"tls\.crt"):
            await source.pair()
        for issued in (issue("a.svc", datetime.now(UTC)), issue("a.svc", datetime.now(UTC))):
            (tmp_path / "tls.crt").write_bytes(issued.cert_pem)
            (tmp_path / "tls.key").write_bytes(issued.key_pem)
            assert await source.pair() == Pair(issued.cert_pem, issued.key_pem)
