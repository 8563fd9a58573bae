"""The CRD on a real API server: what users write is accepted, and what is wrong is denied with the field's path."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade.api import names
from dbupgrade.kube.errors import Invalid
from tests.integration.harness.namespaces import DBUPGRADES

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

FOLDER = Path(__file__).parents[3] / "examples"

MINIMAL = {
    "migrations": {"image": "registry.example/shop:1.0.0"},
    "database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "database"}}},
}

FULL = yaml.safe_load("""
migrations:
  image: registry.example:5000/team/shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  dir: /srv/app/.migrations_v2
  imagePullSecrets: [{name: one}, {name: two}]
  delivery: ImageVolume
  baseline: "20250101"
database:
  type: awsAurora
  connection: {urlSecretRef: {name: database.prod, key: DATABASE_URL, optional: true}}
  aws:
    roleArn: arn:aws-cn:iam::123456789012:role/path/migrator
    region: cn-north-1
    host: shop.cluster.rds.example
    port: 3306
    dbName: shop
    username: migrator
    dialect: mysql
policy: {lint: "off"}
checks:
  pre:
    minPodVersions:
    - selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]}
      minVersion: v2.0.0
      containerName: web
      strictMode: false
      disallowDowngrade: true
    metrics:
    - name: queue
      metricName: jobs_queued
      source: Custom
      target: {type: Object, object: {ref: {apiVersion: v1, kind: Service, name: web}, selector: {matchLabels: {a: b}}}}
      threshold: {operator: "<=", value: 250m}
      reduce: Sum
      bakeSeconds: 30
      intervalSeconds: 5
    - name: depth
      metricName: depth
      source: External
      target: {type: External, external: {selector: {matchLabels: {queue: q}}}}
      threshold: {operator: "<", value: 5}
  post:
    metrics:
    - name: errors
      metricName: error_rate
      target: {type: Pods, pods: {selector: {matchLabels: {app: web}}}}
      threshold: {operator: "<", value: "0.05"}
runner:
  activeDeadlineSeconds: 1200
  ttlSecondsAfterFinished: 60
  resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 1, memory: 128Mi}}
  serviceAccountName: migrator
  imagePullSecrets: [{name: mirror}]
  nodeSelector: {disk: ssd}
  tolerations: [{key: db, operator: Equal, value: "yes", effect: NoSchedule, tolerationSeconds: 5}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}
  priorityClassName: high
  podLabels: {team: shop}
  podAnnotations: {note: text}
suspend: true
""")

LONG_NAME = {**FULL["database"]["aws"], "dialect": "postgres", "dbName": "x" * 64}
THRESHOLD = ("checks", "post", "metrics", 0, "threshold")
DENIED: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "image-missing": (("migrations", "image"), None, "spec.migrations.image"),
    "image-with-a-space": (("migrations", "image"), "a b", "spec.migrations.image"),
    "image-with-a-shell-word": (("migrations", "image"), "a;$(reboot)", "spec.migrations.image"),
    "folder-not-absolute": (("migrations", "dir"), "migrations", "spec.migrations.dir"),
    "folder-that-climbs": (("migrations", "dir"), "/a/../b", "spec.migrations.dir"),
    "folder-is-the-root": (("migrations", "dir"), "/", "spec.migrations.dir"),
    "delivery-unknown": (("migrations", "delivery"), "Copy", "spec.migrations.delivery"),
    "baseline-with-an-option": (("migrations", "baseline"), "--force", "spec.migrations.baseline"),
    "pull-secret-named-twice": (
        ("migrations", "imagePullSecrets"),
        [{"name": "a"}, {"name": "a"}],
        "spec.migrations.imagePullSecrets[1]",
    ),
    "more-labels-than-a-rule-may-cost": (
        ("checks", "pre", "minPodVersions", 0, "selector", "matchExpressions", 0, "values"),
        [f"v{number}" for number in range(65)],
        "spec.checks.pre.minPodVersions[0].selector.matchExpressions[0].values",
    ),
    "database-missing": (("database",), None, "spec.database"),
    "database-type-unknown": (("database", "type"), "oracle", "spec.database.type"),
    "secret-name-empty": (
        ("database", "connection", "urlSecretRef", "name"),
        "",
        "spec.database.connection.urlSecretRef.name",
    ),
    "secret-name-missing": (
        ("database", "connection", "urlSecretRef", "name"),
        None,
        "spec.database.connection.urlSecretRef.name",
    ),
    "secret-key-empty": (
        ("database", "connection", "urlSecretRef", "key"),
        "",
        "spec.database.connection.urlSecretRef.key",
    ),
    "connection-without-secret": (
        ("database", "connection", "urlSecretRef"),
        None,
        "spec.database.connection.urlSecretRef",
    ),
    "engine-unknown": (("migrations", "engine"), "Flyway", "spec.migrations.engine"),
    "arguments-for-atlas": (
        ("migrations", "args"),
        ["x"],
        "command, args and env are for engine Command only",
    ),
    "command-without-words": (("migrations", "engine"), "Command", "engine Command needs command or args"),
    "psql-for-mysql": (("migrations", "engine"), "Psql", "engine Psql works with PostgreSQL only"),
    "lint-unknown": (("policy", "lint"), "loud", "spec.policy.lint"),
    "lint-as-yaml-reads-off": (("policy", "lint"), False, "spec.policy.lint"),
    "lint-for-mysql": (("policy", "lint"), "error", "policy.lint knows PostgreSQL only"),
    "url-and-parts": (("database", "connection", "host"), "db", "takes either urlSecretRef or"),
    "parts-without-login": (
        ("database", "connection"),
        {"host": "db", "database": "shop"},
        "host needs database, userSecretRef",
    ),
    "certificates-for-nothing": (
        ("database", "connection"),
        {
            "host": "db",
            "database": "shop",
            "userSecretRef": {"name": "login"},
            "passwordSecretRef": {"name": "login"},
            "sslMode": "require",
            "caSecretRef": {"name": "authority"},
        },
        "caSecretRef needs sslMode verify-ca or verify-full",
    ),
    "root": (("runner", "runAsUser"), 0, "spec.runner.runAsUser"),
    "wait-longer-than-the-job": (("runner", "waitForDatabaseSeconds"), 10**6, "spec.runner"),
    **{
        f"mysql-database-with-{word}": (
            ("database", "aws", "dbName"),
            f"a{sign}b",
            "spec.database.aws.dbName",
        )
        for word, sign in {
            "slash": "/",
            "question-mark": "?",
            "percent": "%",
            "brackets": "(",
            "backtick": "`",
        }.items()
    },
    "database-with-a-line-end": (("database", "aws", "dbName"), "a\n", "spec.database.aws.dbName"),
    "mysql-user-with-a-colon": (("database", "aws", "username"), "a:b", "spec.database.aws.username"),
    "postgresql-name-too-long": (("database", "aws"), LONG_NAME, "dbName and username have 63 bytes at most"),
    "wait-for-mysql": (
        ("runner", "waitForDatabaseSeconds"),
        9,
        "waitForDatabaseSeconds works with PostgreSQL only",
    ),
    "port-out-of-range": (("database", "aws", "port"), 65536, "spec.database.aws.port"),
    "dialect-unknown": (("database", "aws", "dialect"), "oracle", "spec.database.aws.dialect"),
    "operator-unknown": ((*THRESHOLD, "operator"), "=", "spec.checks.post.metrics[0].threshold.operator"),
    "threshold-no-quantity": ((*THRESHOLD, "value"), "many", "spec.checks.post.metrics[0].threshold.value"),
    "reduce-unknown": (
        ("checks", "post", "metrics", 0, "reduce"),
        "Median",
        "spec.checks.post.metrics[0].reduce",
    ),
    "source-unknown": (
        ("checks", "post", "metrics", 0, "source"),
        "Prometheus",
        "spec.checks.post.metrics[0].source",
    ),
    "bake-negative": (
        ("checks", "post", "metrics", 0, "bakeSeconds"),
        -1,
        "spec.checks.post.metrics[0].bakeSeconds",
    ),
    "metric-name-twice": (("checks", "pre", "metrics", 1, "name"), "queue", "spec.checks.pre.metrics[1]"),
    "deadline-of-nothing": (("runner", "activeDeadlineSeconds"), 0, "spec.runner.activeDeadlineSeconds"),
    "suspend-a-word": (("suspend",), "yes", "spec.suspend"),
}
SPECS = {"minimal": MINIMAL, "full": FULL}


async def submit(admin: Client, namespace: str, spec: Any, *, dry: bool = True) -> dict[str, Any]:
    """Create a DBUpgrade as `kubectl apply --validate=strict` does."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "shop"},
        "spec": spec,
    }
    query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry else {})
    stored: dict[str, Any] = await admin.request(
        "POST", DBUPGRADES.collection(namespace), query=query, body=body
    )
    return stored


def changed(spec: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with the value at `path`; None removes it."""
    result = copy.deepcopy(spec)
    *parents, last = path
    place = result
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return result


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


@pytest.mark.parametrize(
    ("migrations", "lint", "denied"),
    [
        ({}, "error", ""),
        ({"engine": "Psql"}, "off", ""),
        ({"engine": "Psql"}, "warn", "policy.lint needs engine Atlas"),
        ({"engine": "Command", "args": ["x"]}, "error", "policy.lint needs engine Atlas"),
    ],
)
async def test_only_what_atlas_applies_is_linted(
    admin: Client, namespace: str, migrations: dict[str, Any], lint: str, denied: str
) -> None:
    spec: dict[str, Any] = copy.deepcopy(MINIMAL)
    spec["migrations"] |= migrations
    spec["policy"] = {"lint": lint}
    if denied:
        with pytest.raises(Invalid, match=denied):
            await submit(admin, namespace, spec)
    else:
        await submit(admin, namespace, spec)


@pytest.mark.parametrize("given", [{}, {"dialect": "mysql"}])
async def test_aws_defaults(admin: Client, namespace: str, given: dict[str, str]) -> None:
    aws = {"roleArn": "arn", "region": "eu-west-1", "host": "h", "dbName": "d", "username": "u", **given}
    stored = await submit(admin, namespace, {**MINIMAL, "database": {"type": "awsRds", "aws": aws}})
    assert stored["spec"]["database"]["aws"] == {"port": 5432, "dialect": "postgres", **aws}


@pytest.mark.parametrize("name", DENIED)
async def test_what_is_wrong_is_denied_with_its_path(admin: Client, namespace: str, name: str) -> None:
    path, value, told = DENIED[name]
    with pytest.raises(Invalid) as denial:
        await submit(admin, namespace, changed(FULL, path, value))
    assert told in denial.value.safe_message


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
        "Age",
    ]
    assert (shown["Ready"], shown["Progressing"], shown["Reason"]) == (
        "False",
        "True",
        "MigrationInProgress",
    )
    wide = {name: shown[name] for name, priority in columns.items() if priority == 1}
    assert wide == {"Version": "20250102", "Job": "shop-1"}


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
