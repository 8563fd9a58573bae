"""CRD, webhook and the operator's gate agree on each resource: generated from the CRD's schema, right and wrong."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from dbupgrade.decide import admission, validation
from dbupgrade.kube.client import Client
from tests.generated import specs
from tests.integration.harness.guard import resource
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace

if TYPE_CHECKING:
    import ssl

    from dbupgrade.decide.admission import AdmissionVerdict
    from tests.integration.harness.apiserver import ApiServer

Object = dict[str, Any]

EXAMPLES = 150


@pytest.fixture(scope="module")
def place(api: ApiServer) -> tuple[str, ssl.SSLContext]:
    """Where to create, and how to connect."""

    async def prepare() -> str:
        async with await Client.connect(str(api.kubeconfig)) as admin:
            return await create_namespace(admin)

    namespace = asyncio.run(prepare())
    return f"{api.url}{DBUPGRADES.collection(namespace)}?dryRun=All", api.client_context()


def asked_of_crd(place: tuple[str, ssl.SSLContext], body: Object) -> tuple[Object | None, str]:
    """The resource as the API server would store it, or why it would not."""
    url, context = place
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own URL
    try:
        with urllib.request.urlopen(request, context=context, timeout=120) as answer:  # noqa: S310
            stored: Object = json.load(answer)
            return stored, ""
    except urllib.error.HTTPError as error:
        if error.code not in {400, 422}:
            raise
        return None, error.read().decode()


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(spec=specs())
def test_crd_webhook_and_gate_agree_on(place: tuple[str, ssl.SSLContext], spec: Object) -> None:
    body = resource("generated", spec)
    stored, refusal = asked_of_crd(place, body)
    verdict: AdmissionVerdict = admission.created(stored or body)
    parsed, wrong = validation.parse((stored or body)["spec"])
    assert verdict.allowed is (not wrong and parsed is not None and not validation.problems(parsed))
    if stored is not None:
        assert verdict.allowed, (verdict.message, spec)
        return
    assert not verdict.allowed, (refusal, spec)
