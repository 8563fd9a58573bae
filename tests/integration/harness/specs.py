"""A spec with the least and one with all that a user may write, and how to submit a variation of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.api import names
from tests.integration.harness.namespaces import DBUPGRADES

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

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

THRESHOLD = ("checks", "post", "metrics", 0, "threshold")


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
