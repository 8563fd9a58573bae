"""The API server of the session, and what each test gets of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from dbupgrade.kube.client import Client
from tests.integration.harness.apiserver import ApiServer
from tests.integration.harness.crd import CRD_FILE, install_crd
from tests.integration.harness.faultproxy import FaultProxy
from tests.integration.harness.namespaces import clear_namespace, create_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Run an API server, with our CRD if deploy/ has it."""
    server = ApiServer(tmp_path_factory.mktemp("apiserver"))
    try:
        server.start()
        if CRD_FILE.exists():
            asyncio.run(_install_crd(server))
        yield server
    finally:
        server.stop()


async def _install_crd(server: ApiServer) -> None:
    async with await Client.connect(str(server.kubeconfig)) as admin:
        await install_crd(admin)


@pytest.fixture
async def admin(api: ApiServer) -> AsyncIterator[Client]:
    """Make a client with all rights, straight to the API server."""
    async with await Client.connect(str(api.kubeconfig)) as client:
        yield client


@pytest.fixture
async def namespace(admin: Client) -> AsyncIterator[str]:
    """Create a namespace."""
    name = await create_namespace(admin)
    yield name
    await clear_namespace(admin, name)


@pytest.fixture
async def proxy(api: ApiServer) -> AsyncIterator[FaultProxy]:
    """Put a proxy in front of the API server that injects faults."""
    async with FaultProxy(api) as proxy:
        yield proxy


@pytest.fixture
async def proxied(api: ApiServer, proxy: FaultProxy) -> AsyncIterator[Client]:
    """Make a client with all rights, through the proxy."""
    kubeconfig = api.write_kubeconfig("proxied", api.admin, server=proxy.url)
    async with await Client.connect(str(kubeconfig)) as client:
        yield client
