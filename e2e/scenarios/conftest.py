"""The fixtures of the scenarios. They need a cluster with the CRD and a shared operator: `e2e/run.sh` starts both."""

from __future__ import annotations

import fcntl
import os
import secrets
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import Cluster
from e2e.operator import Launch, Operator, install_in_namespace, launch_for
from e2e.scenarios.support.api import Api
from e2e.scenarios.support.database import Database
from e2e.scenarios.support.diagnosis import describe
from e2e.scenarios.support.record import Record
from e2e.scenarios.support.rules import violations
from e2e.scenarios.support.world import OWN_OPERATOR, World, delete_namespace, new_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

STATE = "DBUPGRADE_E2E_STATE"
METRICS_URL = "OPERATOR_METRICS_URL"
# Set: every scenario has an operator of its own with Roles in its namespace only; the shared one just serves the webhook.
NAMESPACED = "DBUPGRADE_E2E_NAMESPACED"
_worlds = pytest.StashKey[list[World]]()

StartOperator = "Callable[[], Operator]"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster.load(Path(os.environ[STATE]))


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    return Api(cluster.kubeconfig)


@pytest.fixture(scope="session")
def shared_metrics(cluster: Cluster) -> Callable[[], str]:
    """What the shared operator answers on /metrics."""
    lines = (cluster.state / "env").read_text().splitlines()
    url = next(line.partition("=")[2] for line in lines if line.startswith(f"export {METRICS_URL}="))

    def read() -> str:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own URL
            return str(answer.read().decode())

    return read


@pytest.fixture(scope="session")
def all_secrets(cluster: Cluster, shared_metrics: Callable[[], str]) -> Iterator[set[str]]:
    """Every secret of the session; at its end none of them may stand in the operator's log and metrics."""
    found = {cluster.database_password}
    yield found
    seen = (cluster.state / "log" / "operator").read_text(errors="replace") + shared_metrics()
    assert not [secret for secret in found if secret in seen]


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    api: Api,
    shared_metrics: Callable[[], str],
    all_secrets: set[str],
) -> Iterator[World]:
    """A namespace and a database; the shared operator looks after what is created in it."""
    with _world(request, cluster, api, all_secrets) as made, ExitStack() as running:
        if NAMESPACED in os.environ:
            running.enter_context(Operator.start(_own_operator(made)))
        yield made
        assert not violations(made, [shared_metrics()])


@pytest.fixture
def lonely_world(
    request: pytest.FixtureRequest, cluster: Cluster, api: Api, all_secrets: set[str]
) -> Iterator[World]:
    """A world whose resources the shared operator leaves alone; `start_operator` brings one for it."""
    with _world(request, cluster, api, all_secrets) as made:
        made.labels = OWN_OPERATOR
        yield made
        assert not violations(made, [])


@pytest.fixture
def start_operator(lonely_world: World) -> Iterator[Callable[[], Operator]]:
    """Starts an operator for the lonely world, again and again if need be; what still runs is ended."""
    launch = _own_operator(lonely_world, DBUPGRADE_WATCH_LABEL_SELECTOR="e2e-operator=own")
    with ExitStack() as running:
        yield lambda: running.enter_context(Operator.start(launch))


@pytest.fixture
def own_operator() -> Callable[..., Launch]:
    """How to start an operator for one world, with settings."""
    return _own_operator


def _own_operator(world: World, **settings: str) -> Launch:
    """An operator for one namespace, with the Roles of such an installation and nothing else."""
    log = world.cluster.state / "log" / f"operator-{world.namespace}"
    kubeconfig = install_in_namespace(world.cluster, world.namespace)
    watched = {"DBUPGRADE_WATCH_NAMESPACES": world.namespace, **settings}
    return replace(launch_for(world.cluster, log, **watched), kubeconfig=kubeconfig)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: disturbs all others, so it runs while no other scenario does")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios that wait until they are alone come last, when there is little to wait for."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@contextmanager
def _room(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[None]:
    """Let one scenario that is marked `alone` in, or any number of others; the lock is shared by all processes."""
    alone = request.node.get_closest_marker("alone") is not None
    with (cluster.state / "room").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@contextmanager
def _world(
    request: pytest.FixtureRequest, cluster: Cluster, api: Api, all_secrets: set[str]
) -> Iterator[World]:
    with _room(request, cluster):
        yield from _furnished(request, cluster, api, all_secrets)


def _furnished(
    request: pytest.FixtureRequest, cluster: Cluster, api: Api, all_secrets: set[str]
) -> Iterator[World]:
    unique = secrets.token_hex(3)
    namespace = new_namespace(api, request.node.name, unique)
    database = Database.create(cluster.database_admin_url, f"db_{unique}")
    all_secrets.add(database.password)
    record = Record(api, namespace)
    world = World(cluster, api, namespace, database, record, {cluster.database_password, database.password})
    request.node.stash.setdefault(_worlds, []).append(world)
    try:
        yield world
    finally:
        record.close()
        all_secrets |= world.secrets
        delete_namespace(api, namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cluster says to the report of a scenario that failed."""
    report = yield
    if report.failed:
        for world in item.stash.get(_worlds, []):
            report.sections.append((f"namespace {world.namespace}", describe(world)))
    return report
