"""`kubectl apply -k` on a cluster that has nothing but Kubernetes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from e2e.operator import KUSTOMIZE, NAMESPACE
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.world import World


@pytest.fixture
def default(cluster: Cluster, image: str, tmp_path: Path) -> Iterator[Path]:
    """The default, with the images of the local registry, as a user would change them: in a kustomization of one's own."""
    own = {
        "resources": ["../default"],
        "images": [{"name": "subbug/dbupgrade-operator", "newName": image.rpartition(":")[0]}],
        "patches": [{"patch": json.dumps(_settings(cluster))}],
    }
    # kustomize takes only what is below a common folder by relative paths.
    link = tmp_path / "own"
    link.mkdir()
    (tmp_path / "default").symlink_to(KUSTOMIZE / "default")
    (link / "kustomization.yaml").write_text(json.dumps(own))
    yield link
    cluster.kubectl("delete", "-k", link, "--ignore-not-found", "--timeout=60s")


def _settings(cluster: Cluster) -> dict[str, object]:
    values = {
        "DBUPGRADE_CRANE_IMAGE": cluster.crane_image,
        "DBUPGRADE_ATLAS_IMAGE": cluster.atlas_image,
        "DBUPGRADE_INSECURE_REGISTRIES": "true",
    }
    environment = [{"name": name, "value": value} for name, value in values.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dbupgrade-operator", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [{"name": "operator", "env": environment}]}}},
    }


def test_the_default_works_on_a_fresh_cluster(cluster: Cluster, default: Path, world: World) -> None:
    cluster.kubectl("apply", "--server-side", "-k", default)
    cluster.kubectl(
        "--namespace", NAMESPACE, "rollout", "status", "deployment/dbupgrade-operator", "--timeout=120s"
    )
    world.secret()
    world.upgrade(world.image(THREE))
    assert world.wait_for(DONE).run["appliedCount"] == len(THREE)
