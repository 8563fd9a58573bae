"""The fixtures of the installation tests. They need a fresh cluster: `e2e/install.sh` starts one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbupgrade import published
from deploy.chart import without_dependencies
from e2e.cluster import Cluster, ClusterError, operator_image
from e2e.installation.release import Release
from e2e.operator import NAMESPACE
from e2e.scenarios.support.api import Api
from e2e.scenarios.support.database import Database
from e2e.scenarios.support.diagnosis import describe
from e2e.scenarios.support.record import Record
from e2e.scenarios.support.rules import violations
from e2e.scenarios.support.world import World, delete_namespace, new_namespace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

REPOSITORY = published.image("operator")
PREVIOUS = "0.0.9"
_worlds = pytest.StashKey[World]()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster.load(Path(os.environ["DBUPGRADE_E2E_STATE"]))


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    return Api(cluster.kubeconfig)


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    """The operator's image, in the cluster's registry."""
    return operator_image.push(cluster.bin_dir, cluster.registry, f"{REPOSITORY}:0.1.0")


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return without_dependencies(tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, chart: Path, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of the version before, with two replicas that look after their certificate themselves; to be upgraded.

    No version was published yet, so the one before is this one, packaged under a lower number.
    """
    made = Release(cluster, chart, image)
    operator_image.push(cluster.bin_dir, cluster.registry, f"{REPOSITORY}:{PREVIOUS}")
    folder = tmp_path_factory.mktemp("packages")
    version = (f"--version={PREVIOUS}", f"--app-version={PREVIOUS}")
    made.helm("package", str(chart), *version, f"--destination={folder}")
    made.install(chart=folder / f"{chart.name}-{PREVIOUS}.tgz")
    yield made
    made.uninstall()


@pytest.fixture
def world(request: pytest.FixtureRequest, cluster: Cluster, api: Api) -> Iterator[World]:
    """A namespace and a database; what the scenarios hold true for every resource is held true here."""
    unique = secrets.token_hex(3)
    namespace = new_namespace(api, request.node.name, unique)
    database = Database.create(cluster.database_admin_url, f"db_{unique}")
    record = Record(api, namespace)
    made = World(cluster, api, namespace, database, record, {cluster.database_password, database.password})
    request.node.stash[_worlds] = made
    try:
        yield made
        assert not violations(made, [])
    finally:
        record.close()
        delete_namespace(api, namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cluster and the operator's pods say to the report of a test that failed."""
    report = yield
    if report.failed:
        if world := item.stash.get(_worlds, None):
            report.sections.append((f"namespace {world.namespace}", describe(world)))
        cluster = Cluster.load(Path(os.environ["DBUPGRADE_E2E_STATE"]))
        for command in (
            ("describe", "pods"),
            ("logs", "--all-pods", "--prefix", "deployment/dbupgrade-operator"),
        ):
            with contextlib.suppress(ClusterError):  # there may be no operator
                said = cluster.kubectl("--namespace", NAMESPACE, *command)
                report.sections.append((f"kubectl {' '.join(command)}", said))
    return report
