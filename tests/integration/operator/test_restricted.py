"""Whatever a spec asks for, the pod of its run passes Pod Security "restricted" of a real API server."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dbupgrade.decide import platform, validation
from dbupgrade.decide.platform import Platform
from dbupgrade.kube.client import Client
from dbupgrade.kube.resources import PODS
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import job
from tests.generated import SPEC, of_schema
from tests.integration.harness.namespaces import create_namespace
from tests.unit.decide.builders import a_resource, an_intent

if TYPE_CHECKING:
    import ssl

    from tests.integration.harness.apiserver import ApiServer

Object = dict[str, Any]
Place = tuple[str, "ssl.SSLContext"]

EXAMPLES = 120
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
PARTS = {
    "host": "db.shop.svc",
    "database": "shop",
    "userSecretRef": {"name": "login"},
    "passwordSecretRef": {"name": "login"},
    "sslMode": "verify-full",
    "caSecretRef": {"name": "authority"},
}
AWS = {
    "roleArn": "arn:aws:iam::123456789012:role/migrator",
    "region": "eu-central-1",
    "host": "shop.rds.example",
    "dbName": "shop",
    "username": "migrator",
}
DATABASES: list[Object] = [
    {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "database"}}},
    {"type": "selfHosted", "connection": PARTS},
    {"type": "awsRds", "aws": AWS},
    {"type": "awsRds", "aws": {**AWS, "dialect": "mysql"}},
]
MIGRATIONS: list[Object] = [
    {},
    {"delivery": "ImageVolume"},
    {"imagePullSecrets": [{"name": "one"}, {"name": "two"}]},
    {"engine": "Psql"},
    {"engine": "Command", "command": ["migrate"], "env": [{"name": "A", "value": "$(B)"}]},
]
UNCONFINED = {
    "container.apparmor.security.beta.kubernetes.io/migrate": "unconfined",
    "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
    "container.seccomp.security.alpha.kubernetes.io/migrate": "unconfined",
}
ANNOTATIONS = st.dictionaries(st.sampled_from(["note", *UNCONFINED]), st.just("unconfined"), max_size=2)


@st.composite
def specs(draw: st.DrawFn) -> Object:
    runner = draw(of_schema(SPEC["properties"]["runner"], wild=False))
    return {
        "migrations": {"image": "registry.example/shop:1.0.0", **draw(st.sampled_from(MIGRATIONS))},
        "database": draw(st.sampled_from(DATABASES)),
        "policy": draw(st.sampled_from([{}, {"lint": "warn"}, {"errorDetail": "Full"}])),
        "runner": {**runner, "podAnnotations": draw(ANNOTATIONS), "affinity": {}},
    }


@pytest.fixture(scope="module")
def place(api: ApiServer) -> Place:
    """Where pods that are not restricted are refused, and how to connect."""

    async def prepare() -> str:
        async with await Client.connect(str(api.kubeconfig)) as admin:
            return await create_namespace(admin, RESTRICTED)

    return f"{api.url}{PODS.collection(asyncio.run(prepare()))}?dryRun=All", api.client_context()


def refusal(place: Place, pod: Object) -> str:
    """Why the API server refuses the pod for its security; nothing where it does not."""
    url, context = place
    body = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"generateName": "p-", **pod["metadata"]}}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own URL
    try:
        urllib.request.urlopen(request, context=context, timeout=120).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        told = error.read().decode()
        return told if "violates PodSecurity" in told else ""
    return ""


def pod_of(spec: Object, atlas_image: str = "") -> Object | None:
    """The pod that a run of the spec gets; None where no run is started."""
    parsed, wrong = validation.parse(spec)
    if parsed is None or wrong or validation.problems(parsed) or [*platform.problems(parsed, Platform())]:
        return None
    token = "token" if parsed.database.uses_aws else None
    images = JobSettings("crane.test/crane:1", "runner.test/runner:1", atlas_image)
    template: Object = job(a_resource(parsed), an_intent(token_secret=token), images)["spec"]["template"]
    return template


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
    deadline=None,
)
@given(spec=specs(), atlas_image=st.sampled_from(["", "registry.example/atlas:1.0.0"]))
def test_every_pod_is_restricted(place: Place, spec: Object, atlas_image: str) -> None:
    pod = pod_of(spec, atlas_image)
    assume(pod is not None)
    assert pod is not None
    assert refusal(place, pod) == ""


@pytest.mark.parametrize("migrations", MIGRATIONS, ids=str)
@pytest.mark.parametrize("database", range(len(DATABASES)))
def test_every_kind_of_pod_is_looked_at(place: Place, migrations: Object, database: int) -> None:
    image = {"image": "registry.example/shop:1.0.0"}
    spec = {"migrations": {**image, **migrations}, "database": DATABASES[database]}
    pod = pod_of({**spec, "runner": {"waitForDatabaseSeconds": 30}})
    assert (pod is None) is (migrations.get("engine") == "Psql" and database == 3)
    if pod is None:
        return
    assert refusal(place, pod) == ""
    assert "hostNetwork" in refusal(place, {**pod, "spec": {**pod["spec"], "hostNetwork": True}})


@pytest.mark.parametrize("annotation", UNCONFINED)
def test_an_annotation_that_would_loosen_it_starts_no_run(annotation: str) -> None:
    image = {"image": "registry.example/shop:1.0.0"}
    spec = {"migrations": image, "database": DATABASES[0]}
    assert pod_of(spec)
    assert pod_of({**spec, "runner": {"podAnnotations": {annotation: "unconfined"}}}) is None
