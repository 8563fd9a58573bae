"""Images of a registry that wants a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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


def _trust(world: World, registry: str) -> None:
    """Let the node speak plain HTTP with it, as it does with the cluster's own."""
    hosts = world.cluster.state / "registries" / registry
    hosts.mkdir()
    (hosts / "hosts.toml").write_text(f'server = "http://{registry}"\n')


@pytest.mark.parametrize(("delivery", "failure"), [("Extract", "FetchFailed"), ("ImageVolume", "ImagePull")])
def test_pull_secrets_are_tried_in_turn_until_one_opens_the_registry(
    world: World, delivery: str, failure: str
) -> None:
    image = world.image(THREE)
    world.secret()
    with guarded(world.cluster.registry, world.cluster.host_ip, USER, PASSWORD) as registry:
        _trust(world, registry)
        private = image.replace(world.cluster.registry, registry)
        _pull_secret(world, "wrong", registry, "not-the-password")
        _pull_secret(world, "right", registry, PASSWORD)

        def migrate_with(*names: str) -> None:
            migrations = {"delivery": delivery, "imagePullSecrets": [{"name": name} for name in names]}
            world.upgrade(private, migrations=migrations)

        migrate_with("wrong")
        refused = world.wait_for(RETRIED)
        assert refused.run["failure"] == failure
        assert PASSWORD not in refused.message
        assert delivery != "Extract" or "the registry denied access" in refused.message
        # A change of the pull secrets is tried at once, as every change of delivery is.
        migrate_with("absent", "wrong", "right")
        done = world.wait_for(DONE)
    assert done.run["appliedCount"] == len(THREE)
    if delivery == "Extract":
        assert done.run["digest"].startswith("sha256:")
