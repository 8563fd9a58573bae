"""For each rule of the models, specs that break it, with the field that is told."""

from typing import Any

Object = dict[str, Any]

AWS = {
    "roleArn": "arn:aws:iam::1:role/r",
    "region": "eu-central-1",
    "host": "h",
    "dbName": "d",
    "username": "u",
}
MYSQL = {"type": "awsRds", "aws": {**AWS, "dialect": "mysql"}}
COMMAND = {"engine": "Command", "args": ["up"]}
SECRET = {"secretKeyRef": {"name": "a", "key": "b"}}
LONG_KEY = {"k" * 318: "1"}
PARTS = {"host": "db", "database": "d", "userSecretRef": {"name": "a"}, "passwordSecretRef": {"name": "a"}}


def connected(**connection: Any) -> Object:
    return {"database": {"type": "selfHosted", "connection": connection}}


def without(part: str) -> Object:
    return connected(**{name: value for name, value in PARTS.items() if name != part})


def aws(**changes: Any) -> Object:
    return {"database": {"type": "awsRds", "aws": {**AWS, **changes}}}


def metric(**changes: Any) -> Object:
    check = {
        "name": "c",
        "metricName": "m",
        "target": {"type": "Pods", "pods": {"selector": {}}},
        "threshold": {"operator": "<", "value": "1"},
        **changes,
    }
    return {"checks": {"post": {"metrics": [check]}}}


def pods(**selector: Any) -> Object:
    return {"checks": {"pre": {"minPodVersions": [{"selector": selector, "minVersion": "1"}]}}}


M = "spec.migrations"
C = "spec.database.connection"
A = "spec.database.aws"
T = "spec.checks.post.metrics[0]"
S = "spec.checks.pre.minPodVersions[0].selector"
BROKEN: list[tuple[str, Object, list[str]]] = [
    ("a command is missing", {"migrations": {"engine": "Command"}}, [f"{M}.command"]),
    ("a command for Atlas", {"migrations": {"command": ["x"]}}, [f"{M}.engine"]),
    ("a variable for Psql", {"migrations": {"engine": "Psql", "env": [{"name": "A"}]}}, [f"{M}.engine"]),
    ("a baseline for a command", {"migrations": {**COMMAND, "baseline": "1"}}, [f"{M}.baseline"]),
    ("an order for a command", {"migrations": {**COMMAND, "execOrder": "NonLinear"}}, [f"{M}.execOrder"]),
    (
        "a history of Atlas for Psql",
        {"migrations": {"engine": "Psql", "revisionsSchema": "public"}},
        [f"{M}.revisionsSchema"],
    ),
    ("a reserved variable", {"migrations": {**COMMAND, "env": [{"name": "DB_HOST"}]}}, [f"{M}.env[0].name"]),
    (
        "a value from two places",
        {"migrations": {**COMMAND, "env": [{"name": "A", "value": "1", "valueFrom": SECRET}]}},
        [f"{M}.env[0].valueFrom"],
    ),
    (
        "a value from nowhere, in the second variable",
        {"migrations": {**COMMAND, "env": [{"name": "A"}, {"name": "B", "valueFrom": {}}]}},
        [f"{M}.env[1].valueFrom"],
    ),
    (
        "a variable twice",
        {"migrations": {**COMMAND, "env": [{"name": "A"}, {"name": "A"}]}},
        [f"{M}.env[1]"],
    ),
    ("no way to connect", connected(port=1), [f"{C}.urlSecretRef"]),
    ("a URL and a part", connected(urlSecretRef={"name": "a"}, port=1), [f"{C}.urlSecretRef"]),
    ("certificates for nothing", connected(**PARTS, caSecretRef={"name": "a"}), [f"{C}.sslMode"]),
    ("no database", without("database"), [f"{C}.database"]),
    ("no user", without("userSecretRef"), [f"{C}.userSecretRef"]),
    ("no password", without("passwordSecretRef"), [f"{C}.passwordSecretRef"]),
    ("selfHosted without a connection", {"database": {"type": "selfHosted"}}, [C]),
    (
        "selfHosted with aws",
        {"database": {"type": "selfHosted", "connection": PARTS, "aws": AWS}},
        [A],
    ),
    ("AWS with neither", {"database": {"type": "awsAurora"}}, [A]),
    ("a long database name", aws(dbName="x" * 64), [f"{A}.dbName"]),
    ("a long user name in bytes", aws(username="ö" * 32), [f"{A}.username"]),
    ("a name that MySQL reads otherwise", aws(dialect="mysql", dbName="a/b"), [f"{A}.dbName"]),
    ("a user that MySQL reads otherwise", aws(dialect="mysql", username="a:b"), [f"{A}.username"]),
    ("In without values", pods(matchExpressions=[{"key": "a", "operator": "In"}]), [f"{S}.matchExpressions[0].values"]),
    (
        "Exists with values",
        pods(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["b"]}]),
        [f"{S}.matchExpressions[0].values"],
    ),
    ("a label that is none", pods(matchLabels={"a": "b c"}), [f"{S}.matchLabels"]),
    ("a block that is missing", metric(target={"type": "Pods"}), [f"{T}.target.pods"]),
    ("an object that is missing", metric(target={"type": "Object"}), [f"{T}.target.object"]),
    (
        "a block too many",
        metric(target={"type": "Pods", "pods": {"selector": {}}, "external": {}}),
        [f"{T}.target.external"],
    ),
    ("Custom asked for External", metric(target={"type": "External"}), [f"{T}.target.type"]),
    ("External asked for Pods", metric(source="External"), [f"{T}.target.type"]),
    ("a threshold that cannot be read", metric(threshold={"operator": "<", "value": "1e101"}), [f"{T}.threshold.value"]),
    ("a wait as long as the Job", {"runner": {"waitForDatabaseSeconds": 600}}, ["spec.runner.waitForDatabaseSeconds"]),
    ("a node's label that is long", {"runner": {"nodeSelector": LONG_KEY}}, ["spec.runner.nodeSelector"]),
    ("a label that is long", {"runner": {"podLabels": LONG_KEY}}, ["spec.runner.podLabels"]),
    ("an annotation that is long", {"runner": {"podAnnotations": LONG_KEY}}, ["spec.runner.podAnnotations"]),
    ("a resource that is long", {"runner": {"resources": {"requests": LONG_KEY}}}, ["spec.runner.resources.requests"]),
    ("a limit that is long", {"runner": {"resources": {"limits": LONG_KEY}}}, ["spec.runner.resources.limits"]),
    ("an affinity that is huge", {"runner": {"affinity": {"podAffinity": {"a": "x" * 20_000}}}}, ["spec.runner.affinity"]),
    ("Psql for MySQL", {"migrations": {"engine": "Psql"}, "database": MYSQL}, [f"{M}.engine"]),
    ("a wait for locks as long as the Job", {"policy": {"lockTimeout": "10m"}}, ["spec.policy.lockTimeout"]),
    (
        "a limit that MySQL does not have",
        {"policy": {"statementTimeout": "1h"}, "database": MYSQL},
        ["spec.policy.statementTimeout"],
    ),
    (
        "an approval for a command",
        {"policy": {"approval": "Always"}, "migrations": {"engine": "Command", "command": ["x"]}},
        ["spec.policy.approval"],
    ),
    ("a lint for Command", {"policy": {"lint": "warn"}, "migrations": {"engine": "Command", "args": ["x"]}}, ["spec.policy.lint"]),
]  # fmt: skip


def a_spec(**changes: Any) -> Object:
    """A spec with one thing wrong."""
    migrations = {"image": "registry.test/orders:1.0", **changes.pop("migrations", {})}
    database = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "orders-db"}}}
    return {"migrations": migrations, "database": database, **changes}
