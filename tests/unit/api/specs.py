"""Specs for the tests of this folder."""

from typing import Any

from dbupgrade.api.spec import Spec

IMAGE = "registry.test:5000/shop/orders:1.0@sha256:" + "0" * 64
CONNECTION = {"urlSecretRef": {"name": "orders-db"}}
AWS = {
    "roleArn": "arn:aws:iam::123456789012:role/path/migrate",
    "region": "eu-central-1",
    "host": "db.example",
    "dbName": "orders",
    "username": "migrator",
}
METRIC = {
    "name": "lag",
    "metricName": "replication_lag",
    "target": {"type": "Pods", "pods": {"selector": {}}},
    "threshold": {"operator": "<", "value": 5},
}


def a_spec(
    migrations: dict[str, Any] | None = None, database: dict[str, Any] | None = None, **more: Any
) -> Spec:
    body = {
        "migrations": {"image": IMAGE, **(migrations or {})},
        "database": database or {"type": "selfHosted", "connection": CONNECTION},
        **more,
    }
    return Spec.model_validate(body)


def rds(**changes: Any) -> dict[str, Any]:
    return {"type": "awsRds", "aws": {**AWS, **changes}}
