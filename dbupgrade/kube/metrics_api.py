"""Asks the metrics APIs of the cluster: custom.metrics.k8s.io for pods and objects, external.metrics.k8s.io for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbupgrade.kube.discovery import Discovery
from dbupgrade.kube.errors import KubeError, NotFound, ServerError
from dbupgrade.kube.resources import path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbupgrade.decide.metric_values import Query
    from dbupgrade.kube.client import Client

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
_CUSTOM_VERSIONS = ("v1beta2", "v1beta1")  # the newer one first
_EXTERNAL_VERSIONS = ("v1beta1",)
_SECONDS = 10.0


class NoMetrics(KubeError):  # noqa: N818 - named like its siblings
    """The metrics API cannot answer: it is not there, or what is asked for makes no sense to it."""


class MetricsClient:
    """Values of metrics. What it learns about the API's versions and kinds is kept until it proves wrong."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._discovery = Discovery(client)

    async def values(self, namespace: str, query: Query) -> tuple[tuple[str, str], ...]:
        """Return (series, value as text) of all series that the query finds in the namespace. Raises a KubeError."""
        group, versions = (EXTERNAL, _EXTERNAL_VERSIONS) if query.external else (CUSTOM, _CUSTOM_VERSIONS)
        version = await self._version(group, versions)
        where = await self._where(namespace, query)
        selectors = {"labelSelector": query.selector, "metricLabelSelector": query.metric_selector}
        chosen = {name: text for name, text in selectors.items() if text}
        url = path("apis", group, version) + where
        try:
            answer = await self._client.request("GET", url, query=chosen, timeout=_SECONDS)
        except NotFound as error:
            if error.reason:  # the metrics API's own words
                raise NoMetrics(f"there is no such series: {error.safe_message}") from error
            self._discovery.forget(group)
            raise _not_installed(group) from error
        except ServerError as error:
            raise NoMetrics(f"{group} does not answer: {error.safe_message}") from error
        return tuple((_series(item), str(item["value"])) for item in answer.get("items") or ())

    async def _version(self, group: str, versions: tuple[str, ...]) -> str:
        """The newest of `versions` that the cluster serves."""
        try:
            served = await self._discovery.versions(group)
        except NotFound as error:
            raise _not_installed(group) from error
        found = next((version for version in versions if version in served), None)
        if found is None:
            raise NoMetrics(f"{group} is served as {', '.join(served)}, not as {' or '.join(versions)}")
        return found

    async def _where(self, namespace: str, query: Query) -> str:
        """The path behind the API's version; selectors are not part of it. Raises a KubeError."""
        try:
            return await self._path(namespace, query)
        except ValueError as error:
            raise NoMetrics(str(error)) from error

    async def _path(self, namespace: str, query: Query) -> str:
        scope = path("namespaces", namespace)
        reference = query.reference
        if query.external:
            return scope + path(query.metric)
        if reference is None:
            return f"{scope}/pods/*{path(query.metric)}"
        if (reference.api_version, reference.kind) == ("v1", "Namespace"):
            if reference.name != namespace:
                raise NoMetrics(f"namespace {reference.name} is not the resource's own")
            return scope + path("metrics", query.metric)
        kind = await self._discovery.kind(reference.api_version, reference.kind)
        where = scope if kind.namespaced else ""
        return where + path(kind.resource, reference.name, query.metric)


def _not_installed(group: str) -> NoMetrics:
    return NoMetrics(f"the metrics API {group} is not installed in this cluster")


def _series(item: Mapping[str, Any]) -> str:
    """What a value describes, for messages: an object, or the labels of an external metric."""
    described = item.get("describedObject")
    if described:
        return f"{described.get('kind', '')} {described.get('name', '')}".strip()
    labels = item.get("metricLabels") or {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items())) or "the metric"
