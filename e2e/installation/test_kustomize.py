"""`kubectl apply -k` on a cluster that has nothing but Kubernetes, and `make deploy`, as users do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dbupgrade import published
from e2e.installation.release import served
from e2e.operator import CRD, KUSTOMIZE, NAMESPACE, REPOSITORY
from e2e.privileges import read, used
from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE
from e2e.scenarios.support.world import delete_namespace, new_namespace, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.api import Api
    from e2e.scenarios.support.world import World

    Apply = Callable[..., None]

DEPLOYMENT = "deployment/dbupgrade-operator"


@pytest.fixture
def crd(cluster: Cluster, api: Api) -> Iterator[None]:
    """What a world watches has to be there before it, and as long."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD)
    wait_until(lambda: served(api), "DBUpgrades can be listed")
    yield
    cluster.kubectl("delete", "-f", CRD, "--ignore-not-found", "--timeout=5m")


@pytest.fixture
def apply(cluster: Cluster, crd: None, image: str, tmp_path: Path) -> Iterator[Apply]:
    """Applies a folder, as a user would change it: from a kustomization of one's own; takes it away at the end."""
    applied = ExitStack()

    def do(folder: str, namespace: str = NAMESPACE) -> None:
        copy = tmp_path / "kustomize"
        shutil.copytree(KUSTOMIZE, copy)
        if namespace != NAMESPACE:  # the one line that says so of itself
            file = copy / folder / "kustomization.yaml"
            file.write_text(file.read_text().replace(f"namespace: {NAMESPACE}", f"namespace: {namespace}"))
        own = copy / "own"
        own.mkdir()
        kustomization = {
            "resources": [f"../{folder}"],
            "images": [{"name": published.image("operator"), "newName": image.rpartition(":")[0]}],
            "patches": [{"patch": json.dumps(_settings(cluster, namespace))}],
        }
        (own / "kustomization.yaml").write_text(json.dumps(kustomization))
        applied.callback(cluster.kubectl, "delete", "-k", own, "--ignore-not-found", "--timeout=5m")
        cluster.kubectl("apply", "--server-side", "-k", own)
        cluster.kubectl("--namespace", namespace, "rollout", "status", DEPLOYMENT, "--timeout=5m")

    with applied:
        yield do


def _settings(cluster: Cluster, namespace: str) -> dict[str, object]:
    values = {
        "DBUPGRADE_CRANE_IMAGE": cluster.crane_image,
        "DBUPGRADE_RUNNER_IMAGE": cluster.runner_image,
        "DBUPGRADE_INSECURE_REGISTRIES": "true",
    }
    environment = [{"name": name, "value": value} for name, value in values.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dbupgrade-operator", "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [{"name": "operator", "env": environment}]}}},
    }


@pytest.mark.parametrize("folder", ["default", "overlays/without-webhook"])
def test_it_works_on_a_fresh_cluster(folder: str, apply: Apply, world: World) -> None:
    apply(folder)
    world.secret()
    world.upgrade(world.image(THREE))
    assert world.wait_for(DONE).run["appliedCount"] == len(THREE)


@pytest.fixture
def other_namespace(api: Api) -> Iterator[str]:
    name = new_namespace(api, "other", "1")
    yield name
    delete_namespace(api, name)


def test_an_operator_for_one_namespace_does_all_there_with_a_role_and_leaves_others_alone(
    cluster: Cluster, apply: Apply, other_namespace: str, world: World
) -> None:
    apply("overlays/single-namespace", world.namespace)
    foreign = world.manifest("registry.example/none:1")
    foreign["metadata"]["namespace"] = other_namespace
    world.api.apply(foreign, "dbupgrades", other_namespace)
    world.secret()
    world.upgrade(world.image(THREE))
    assert world.wait_for(DONE).run["appliedCount"] == len(THREE)
    query = ("get", "dbupgrade", "app", "--output=jsonpath={.status.observedGeneration}")
    assert cluster.kubectl("--namespace", other_namespace, *query) == "-1"
    found = list(read(cluster.state / "log" / "audit.log", world.namespace))
    assert used(found).forbidden == frozenset()
    assert {"create jobs", "get secrets", "patch dbupgrades/status"} <= used(found).allowed
    places = {entry["objectRef"].get("namespace") for entry in found if "objectRef" in entry}
    assert places == {
        world.namespace,
        None,
    }  # None: its one webhook configuration, and what every account may ask for
    names = cluster.kubectl("get", "clusterroles", "--output=name")
    (role,) = [name for name in names.split() if "dbupgrade" in name and not name.endswith("-approver")]
    (rule,) = json.loads(cluster.kubectl("get", role, "--output=json"))["rules"]
    assert rule["resources"] == ["validatingwebhookconfigurations"]


def make(cluster: Cluster, *words: str) -> None:
    """Run a target of the Makefile as a user with this cluster's kubeconfig."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{cluster.bin_dir}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["make", *words], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_deploys_an_image_and_takes_it_away_but_not_the_resources(
    cluster: Cluster, crd: None, image: str, world: World
) -> None:
    try:
        make(cluster, "deploy", f"IMG={image}")
        cluster.kubectl("--namespace", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=5m")
        world.upgrade(world.image(THREE), suspend=True)
        world.wait(lambda: world.versions()[-1].current, "the operator has looked at it")
        make(cluster, "undeploy")
        pods = ("--namespace", NAMESPACE, "get", "pods", "--output=name")
        wait_until(lambda: cluster.kubectl(*pods) == "", "its pods go")
        assert "app" in world.kubectl("get", "dbupgrades")
    finally:
        make(cluster, "undeploy")
