"""A scene for each test: a namespace with a Secret, a stand-in for nodes, and as many operators as the test starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.harness.guard import set_rules
from tests.integration.harness.scene import Scene, open_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dbupgrade.kube.client import Client
    from tests.integration.harness.apiserver import ApiServer


@pytest.fixture
async def without_rules(admin: Client) -> AsyncIterator[None]:
    """Take the CRD's rules away, and the lock with them."""
    await set_rules(admin, present=False)
    yield
    await set_rules(admin, present=True)


@pytest.fixture
async def scene(api: ApiServer, admin: Client, namespace: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Set a scene without an operator."""
    async with open_scene(api, admin, namespace, tmp_path) as scene:
        yield scene
