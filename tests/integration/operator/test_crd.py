"""The CRD on a real API server: what users write is accepted, defaults are filled in, and kubectl shows its columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade.api import names
from dbupgrade.kube.errors import Invalid
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.specs import FULL, MINIMAL, THRESHOLD, changed, submit

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

FOLDER = Path(__file__).parents[3] / "examples"

SPECS = {"minimal": MINIMAL, "full": FULL}


@pytest.mark.parametrize("name", SPECS)
async def test_what_the_contract_allows_is_accepted(admin: Client, namespace: str, name: str) -> None:
    stored = await submit(admin, namespace, SPECS[name])
    assert contains(stored["spec"], SPECS[name])


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` is in `whole` unchanged; defaults may have come to it."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


EXAMPLES = {path.parent.name: path.read_text() for path in FOLDER.glob("**/dbupgrade.yaml")}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_the_examples_are_accepted(admin: Client, namespace: str, name: str) -> None:
    for document in yaml.safe_load_all(EXAMPLES[name]):
        if document["kind"] == names.KIND:
            await submit(admin, namespace, document["spec"])


async def test_defaults_are_those_of_the_contract(admin: Client, namespace: str) -> None:
    check = {
        "name": "a",
        "metricName": "m",
        "target": {"type": "Pods", "pods": {"selector": {}}},
        "threshold": {"operator": "<", "value": 1},
    }
    pods = {"selector": {}, "minVersion": "1.0.0"}
    spec = {
        **MINIMAL,
        "checks": {"pre": {"minPodVersions": [pods]}, "post": {"metrics": [check]}},
        "runner": {},
    }
    stored = (await submit(admin, namespace, spec))["spec"]
    assert stored["migrations"]["dir"] == "/migrations"
    assert stored["migrations"]["delivery"] == "Extract"
    assert stored["database"]["connection"]["urlSecretRef"]["key"] == "url"
    metric = stored["checks"]["post"]["metrics"][0]
    assert (metric["source"], metric["reduce"]) == ("Custom", "Max")
    assert (metric["bakeSeconds"], metric["intervalSeconds"]) == (0, 15)
    version = stored["checks"]["pre"]["minPodVersions"][0]
    assert (version["strictMode"], version["disallowDowngrade"]) == (True, False)
    assert stored["migrations"]["engine"] == "Atlas"
    assert stored["runner"] == {
        "activeDeadlineSeconds": 600,
        "ttlSecondsAfterFinished": 3600,
        "waitForDatabaseSeconds": 0,
        "backoffLimit": 0,
        "runAsUser": 65532,
        "runAsGroup": 65532,
    }
    assert stored["suspend"] is False


@pytest.mark.parametrize("given", [{}, {"dialect": "mysql"}])
async def test_aws_defaults(admin: Client, namespace: str, given: dict[str, str]) -> None:
    aws = {"roleArn": "arn", "region": "eu-west-1", "host": "h", "dbName": "d", "username": "u", **given}
    stored = await submit(admin, namespace, {**MINIMAL, "database": {"type": "awsRds", "aws": aws}})
    assert stored["spec"]["database"]["aws"] == {"port": 5432, "dialect": "postgres", **aws}


@pytest.mark.parametrize("value", ["0", "250m", "0.05", 5, "1Ki", "-3", "1e3"])
async def test_thresholds_are_quantities(admin: Client, namespace: str, value: str | int) -> None:
    stored = await submit(admin, namespace, changed(FULL, (*THRESHOLD, "value"), value))
    assert stored["spec"]["checks"]["post"]["metrics"][0]["threshold"]["value"] == value


async def test_a_field_that_does_not_exist_is_denied_when_asked_strictly(
    admin: Client, namespace: str
) -> None:
    with pytest.raises(Invalid, match=r"unknown field .*spec\.migrations\.folder"):
        await submit(admin, namespace, changed(MINIMAL, ("migrations", "folder"), "/x"))


async def test_a_resource_that_nobody_has_seen_says_so(admin: Client, namespace: str) -> None:
    """Kstatus would take a resource without observedGeneration for done."""
    stored = await submit(admin, namespace, MINIMAL, dry=False)
    assert stored["status"] == {"observedGeneration": -1}


async def test_a_status_cannot_be_given_at_creation(admin: Client, namespace: str) -> None:
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "shop"},
        "spec": MINIMAL,
        "status": {"observedGeneration": 7},
    }
    stored = await admin.request("POST", DBUPGRADES.collection(namespace), body=body)
    assert stored["status"] == {"observedGeneration": -1}


async def test_the_short_name_is_served(admin: Client) -> None:
    answer = await admin.request("GET", f"/apis/{names.API_VERSION}")
    kinds = {resource["name"]: resource for resource in answer["resources"]}
    assert kinds["dbupgrades"]["shortNames"] == ["dbu"]
    assert kinds["dbupgrades"]["singularName"] == "dbupgrade"
    assert "dbupgrades/status" in kinds


async def test_kubectl_get_shows_the_columns(admin: Client, namespace: str) -> None:
    await submit(admin, namespace, MINIMAL, dry=False)
    conditions = [
        condition("Ready", "False", "Initializing"),
        condition("Progressing", "True", "MigrationInProgress"),
    ]
    run = {
        "jobName": "shop-1",
        "sequence": 1,
        "runId": "a",
        "image": "i",
        "generation": 1,
        "startedAt": "2026-01-01T00:00:00Z",
    }
    status = {"conditions": conditions, "currentVersion": "20250102", "run": run}
    path = DBUPGRADES.item(namespace, "shop", "status")
    await admin.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
    table = await table_of(admin, namespace)
    columns = {column["name"]: column["priority"] for column in table["columnDefinitions"]}
    shown = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert [name for name, priority in columns.items() if priority == 0] == [
        "Name",
        "Ready",
        "Progressing",
        "Reason",
        "Failure",
        "Suspended",
        "Age",
    ]
    assert (shown["Ready"], shown["Progressing"], shown["Reason"]) == (
        "False",
        "True",
        "MigrationInProgress",
    )
    wide = {name: shown[name] for name, priority in columns.items() if priority == 1}
    assert wide == {
        "Image": "registry.example/shop:1.0.0",
        "Version": "20250102",
        "Job": "shop-1",
        "Message": "",
    }


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def table_of(admin: Client, namespace: str) -> dict[str, Any]:
    """Ask as kubectl get does."""
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    url = admin.host + DBUPGRADES.collection(namespace)
    async with admin._session.get(url, headers=accept) as answer:
        table: dict[str, Any] = await answer.json()
    assert table["kind"] == "Table"
    return table
