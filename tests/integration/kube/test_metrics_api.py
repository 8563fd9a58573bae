"""The client of the metrics APIs against a real aggregator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.spec.checks import MetricCheck
from dbupgrade.decide.metric_values import query
from dbupgrade.kube.errors import KubeError
from dbupgrade.kube.metrics_api import MetricsClient
from tests.integration.harness.metricsapi import CUSTOM, EXTERNAL, MetricsApi, metrics_api
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dbupgrade.kube.client import Client


def asking(source: str = "Custom", **target: Any) -> MetricCheck:
    check = {"name": "c", "metricName": "m", "source": source, "target": target}
    return MetricCheck.model_validate({**check, "threshold": {"operator": "<", "value": 1}})


def an_object(api_version: str, kind: str, name: str, **more: Any) -> MetricCheck:
    reference = {"apiVersion": api_version, "kind": kind, "name": name}
    return asking(type="Object", object={"ref": reference, **more})


WEB = {"selector": {"matchLabels": {"app": "web"}}}


@pytest.fixture
async def served(admin: Client, namespace: str, tmp_path: Path) -> AsyncIterator[MetricsApi]:
    async with metrics_api(admin, namespace, tmp_path) as served:
        served.series = {"m": ["250m", "1"]}
        yield served


async def test_each_target_is_asked_by_its_own_path(
    admin: Client, namespace: str, served: MetricsApi
) -> None:
    client = MetricsClient(admin)
    scope = f"/namespaces/{namespace}"
    custom, external = f"/apis/{CUSTOM}/v1beta2", f"/apis/{EXTERNAL}/v1beta1"
    wanted: list[tuple[MetricCheck, str, dict[str, str]]] = [
        (asking(type="Pods", pods=WEB), f"{custom}{scope}/pods/*/m", {"labelSelector": "app=web"}),
        (an_object("v1", "Service", "web"), f"{custom}{scope}/services/web/m", {}),
        (an_object("apps/v1", "Deployment", "web", **WEB), f"{custom}{scope}/deployments.apps/web/m", {"metricLabelSelector": "app=web"}),
        (an_object("networking.k8s.io/v1", "Ingress", "web"), f"{custom}{scope}/ingresses.networking.k8s.io/web/m", {}),
        (an_object("v1", "Node", "node-1"), f"{custom}/nodes/node-1/m", {}),
        (an_object("v1", "Namespace", namespace), f"{custom}{scope}/metrics/m", {}),
        (asking("External", type="External"), f"{external}{scope}/m", {}),
        (asking("External", type="External", external=WEB), f"{external}{scope}/m", {"labelSelector": "app=web"}),
    ]  # fmt: skip
    for check, path, selectors in wanted:
        served.asked.clear()
        values = await client.values(namespace, query(check))
        assert [value for _, value in values] == ["250m", "1"]
        assert served.asked == [(path, selectors)]
    assert (await client.values(namespace, query(wanted[0][0])))[0][0] == "Pod web-0"
    assert (await client.values(namespace, query(wanted[-1][0])))[0][0] == "shard=0"


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (an_object("v1", "Namespace", "other"), "namespace other is not the resource's own"),
        (an_object("apps/v1", "Deploymint", "web"), "the cluster has no kind Deploymint in apps/v1"),
        (an_object("no.such/v1", "Deployment", "web"), "the cluster has no API no.such/v1"),
    ],
)
async def test_an_object_that_cannot_be_asked_for(
    admin: Client, namespace: str, served: MetricsApi, check: MetricCheck, words: str
) -> None:
    with pytest.raises(KubeError, match=words):
        await MetricsClient(admin).values(namespace, query(check))
    assert served.asked == []


async def test_an_unknown_metric_and_a_failing_adapter_are_told_apart(
    admin: Client, namespace: str, served: MetricsApi
) -> None:
    client, pods = MetricsClient(admin), query(asking(type="Pods", pods=WEB))
    served.series.clear()
    with pytest.raises(KubeError, match=r"there is no such series: .* could not find the metric m"):
        await client.values(namespace, pods)
    served.failure = 503
    with pytest.raises(KubeError, match=rf"{CUSTOM} does not answer: .* the adapter is restarting"):
        await client.values(namespace, pods)


async def test_the_older_version_is_asked_where_the_newer_one_is_not_served(
    admin: Client, namespace: str, tmp_path: Path
) -> None:
    async with metrics_api(admin, namespace, tmp_path, custom_version="v1beta1") as served:
        served.series = {"m": ["1"]}
        await MetricsClient(admin).values(namespace, query(asking(type="Pods", pods=WEB)))
        assert served.asked[0][0] == f"/apis/{CUSTOM}/v1beta1/namespaces/{namespace}/pods/*/m"


async def test_an_api_that_is_not_installed_is_found_when_it_is(
    admin: Client, namespace: str, tmp_path: Path
) -> None:
    client, pods = MetricsClient(admin), query(asking(type="Pods", pods=WEB))

    async def is_missing() -> bool:
        with pytest.raises(KubeError, match=f"the metrics API {CUSTOM} is not installed in this cluster"):
            await client.values(namespace, pods)
        return True

    await eventually(is_missing)
    async with metrics_api(admin, namespace, tmp_path) as served:
        served.series = {"m": ["1"]}
        await eventually(lambda: client.values(namespace, pods))
    await eventually(is_missing)
