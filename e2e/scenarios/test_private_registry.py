"""Images of a registry that wants a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.private import guarded, pull_secret
from e2e.scenarios.support.upgrade import DONE, RETRIED

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

USER, PASSWORD = "puller", "a-pull-password"


def _pull_secret(world: World, name: str, registry: str, password: str) -> None:
    content = pull_secret(registry, USER, password)
    world.kubectl(
        "create", "secret", "generic", name, "--type=kubernetes.io/dockerconfigjson",
        f"--from-literal=.dockerconfigjson={content}",
    )  # fmt: skip


def test_pull_secrets_are_tried_in_turn_until_one_opens_the_registry(world: World) -> None:
    image = world.image(THREE)
    world.secret()
    with guarded(world.cluster.registry, world.cluster.host_ip, USER, PASSWORD) as registry:
        private = image.replace(world.cluster.registry, registry)
        _pull_secret(world, "wrong", registry, "not-the-password")
        _pull_secret(world, "right", registry, PASSWORD)
        world.upgrade(private, migrations={"imagePullSecrets": [{"name": "wrong"}]})
        refused = world.wait_for(RETRIED)
        assert refused.run["failure"] == "FetchFailed"
        assert PASSWORD not in refused.message
        # A change of the pull secrets is tried at once, as every change of delivery is.
        world.upgrade(
            private, migrations={"imagePullSecrets": [{"name": n} for n in ("absent", "wrong", "right")]}
        )
        done = world.wait_for(DONE)
    assert done.run["appliedCount"] == len(THREE)
    assert done.run["digest"].startswith("sha256:")
