"""An operator that reads no Secrets: real pods check them, and the operator never asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.operator import Operator
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE, STALLED, held

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.operator import Launch
    from e2e.scenarios.support.world import World

BLIND = {"DBUPGRADE_SECRETS_READ": "false", "DBUPGRADE_WATCH_LABEL_SELECTOR": "e2e-operator=own"}
RETRY = "dbupgrade.subbug.learning/retry"


def test_the_pod_says_what_is_wrong_with_a_secret(
    lonely_world: World, own_operator: Callable[..., Launch]
) -> None:
    world = lonely_world
    with Operator.start(own_operator(world, **BLIND)):
        image = world.image(THREE)
        world.upgrade(image)
        missing = world.wait_for(held("SecretNotFound"))
        assert (
            "Secret database with a key url that contains the database URL was not found" in missing.message
        )
        world.secret("mysql//x")
        world.annotate("app", RETRY, "1")
        unusable = world.wait_for(held("InvalidSpec"))
        assert "key url of Secret database cannot be used: it does not begin with" in unusable.message
        world.secret(world.database.url(password="wrong"))
        world.annotate("app", RETRY, "2")
        refused = world.wait_for(STALLED)
        assert refused.run["failure"] == "AuthenticationFailed"
        assert "The operator does not read Secrets" in refused.message
        world.secret()
        world.annotate("app", RETRY, "3")
        world.wait_for(DONE)
    asked = [entry for entry in world.audit() if entry["objectRef"]["resource"] == "secrets"]
    assert [entry["verb"] for entry in asked if "dbupgrade" in entry["user"]["username"]] == []
