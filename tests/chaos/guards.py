"""What guards the specs in a chaos run. In one half the CRD's rules and the policy are in force; in the other the webhook is all.

Namespaces choose by a label whether the API server asks a webhook that is up, one that is down, or none.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from e2e.ports import free_port
from tests.integration.harness.guard import (
    WebhookConfiguration,
    install_policy,
    remove_policy,
    set_rules,
    until_deletions,
)
from tests.integration.harness.namespaces import create_namespace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dbupgrade.kube.client import Client

WEBHOOK_LABEL = "chaos-webhook"
UP, DOWN, ABSENT = "up", "down", "absent"


class Guards:
    """The webhook's two configurations, and whether the API server has rules of its own."""

    def __init__(self, admin: Client, home: str, *, rules: bool) -> None:
        self.rules = rules
        self._admin = admin
        self._home = home
        self._port = free_port()
        self._up = WebhookConfiguration(admin, "chaos-up", self._port, {WEBHOOK_LABEL: UP})
        self._down = WebhookConfiguration(admin, "chaos-down", free_port(), {WEBHOOK_LABEL: DOWN})

    @property
    def settings(self) -> dict[str, str]:
        """How an operator is to be started that serves the webhook."""
        return {
            "DBUPGRADE_NAMESPACE": self._home,
            "DBUPGRADE_WEBHOOK_ENABLED": "true",
            "DBUPGRADE_WEBHOOK_PORT": str(self._port),
            "DBUPGRADE_WEBHOOK_CONFIGURATION": self._up.name,
        }

    async def in_force(self) -> None:
        """Wait until the webhook is asked, an operator having been started, then set the rules."""
        await set_rules(self._admin, present=False)
        await self._up.until_asked(self._home)
        await set_rules(self._admin, present=self.rules)

    async def install(self) -> None:
        await self._up.install()
        await self._down.install()
        await (install_policy if self.rules else remove_policy)(self._admin)
        await until_deletions(self._admin, guarded=self.rules)

    async def remove(self) -> None:
        await self._up.remove()
        await self._down.remove()
        await remove_policy(self._admin)
        await set_rules(self._admin, present=True)


@contextlib.asynccontextmanager
async def guards(admin: Client, *, rules: bool) -> AsyncIterator[Guards]:
    """Install the guards; at the end the CRD is as it was, with its rules."""
    home = await create_namespace(admin, {WEBHOOK_LABEL: UP})
    installed = Guards(admin, home, rules=rules)
    await installed.install()
    try:
        yield installed
    finally:
        await installed.remove()
