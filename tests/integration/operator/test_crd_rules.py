"""The CRD's rules on a real API server: what is wrong is denied with the field's path, and what cannot be changed is named."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.spec import immutable
from dbupgrade.decide import admission
from dbupgrade.kube.errors import Invalid
from dbupgrade.kube.resources import ResourceClient
from tests.broken_specs import BROKEN, a_spec
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.specs import FULL, MINIMAL, THRESHOLD, changed, submit

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

LONG_NAME = {**FULL["database"]["aws"], "dialect": "postgres", "dbName": "x" * 64}
DENIED: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "image-missing": (("migrations", "image"), None, "spec.migrations.image"),
    "image-with-a-space": (("migrations", "image"), "a b", "spec.migrations.image"),
    "image-with-a-shell-word": (("migrations", "image"), "a;$(reboot)", "spec.migrations.image"),
    "folder-not-absolute": (("migrations", "dir"), "migrations", "spec.migrations.dir"),
    "folder-that-climbs": (("migrations", "dir"), "/a/../b", "spec.migrations.dir"),
    "folder-is-the-root": (("migrations", "dir"), "/", "spec.migrations.dir"),
    "api-version-with-a-path": (
        ("checks", "pre", "metrics", 0, "target", "object", "ref", "apiVersion"),
        "v1%2Fnamespaces%2Fother%2Fsecrets%2Fdb",
        "spec.checks.pre.metrics[0].target.object.ref.apiVersion",
    ),
    "object-with-a-path": (
        ("checks", "pre", "metrics", 0, "target", "object", "ref", "name"),
        "../../secrets/db",
        "spec.checks.pre.metrics[0].target.object.ref.name",
    ),
    "annotation-that-is-huge": (
        ("runner", "podAnnotations", "note"),
        "x" * 5000,
        "spec.runner.podAnnotations",
    ),
    "quantity-that-is-huge": (
        ("runner", "resources", "limits", "memory"),
        "1" * 300,
        "spec.runner.resources.limits",
    ),
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
        "must be Command for command, args and env to be set",
    ),
    "command-without-words": (("migrations", "engine"), "Command", "spec.migrations.command"),
    "psql-for-mysql": (("migrations", "engine"), "Psql", "must not be Psql with dialect mysql"),
    "lint-unknown": (("policy", "lint"), "loud", "spec.policy.lint"),
    "lint-as-yaml-reads-off": (("policy", "lint"), False, "spec.policy.lint"),
    "url-and-parts": (
        ("database", "connection", "host"),
        "db",
        "must not be set together with other fields of the connection",
    ),
    "parts-without-login": (
        ("database", "connection"),
        {"host": "db", "database": "shop"},
        "spec.database.connection.userSecretRef",
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
        "must be verify-ca or verify-full for caSecretRef to be set",
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
    "postgresql-name-too-long": (
        ("database", "aws"),
        LONG_NAME,
        "must have at most 63 bytes with dialect postgres",
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


@pytest.mark.parametrize(
    ("migrations", "lint", "denied"),
    [
        ({}, "error", ""),
        ({"engine": "Psql"}, "warn", ""),
        ({"engine": "Command", "args": ["x"]}, "off", ""),
        ({"engine": "Command", "args": ["x"]}, "error", 'must be "off" with engine Command'),
    ],
)
async def test_a_command_is_not_linted(
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


@pytest.mark.parametrize("name", DENIED)
async def test_what_is_wrong_is_denied_with_its_path(admin: Client, namespace: str, name: str) -> None:
    path, value, told = DENIED[name]
    with pytest.raises(Invalid) as denial:
        await submit(admin, namespace, changed(FULL, path, value))
    assert told in denial.value.safe_message
    spec = changed(FULL, path, value)
    assert not admission.created({"metadata": {"name": "shop"}, "spec": spec}).allowed


ONLY_WEBHOOK_AND_OPERATOR = {
    "an affinity that is huge",
    "a long user name in bytes",  # CEL counts characters
    "a label that is none",  # a map without a limit would cost too much
    "a threshold that cannot be read",  # the schema's pattern is that of Kubernetes, which lets more pass
}


@pytest.mark.parametrize("row", BROKEN, ids=[row[0] for row in BROKEN])
async def test_the_api_server_denies_what_breaks_a_rule_in_the_same_words(
    admin: Client, namespace: str, row: tuple[str, dict[str, Any], list[str]]
) -> None:
    name, changes, fields = row
    spec = a_spec(**changes)
    if name in ONLY_WEBHOOK_AND_OPERATOR:
        await submit(admin, namespace, spec)
        return
    with pytest.raises(Invalid) as denial:
        await submit(admin, namespace, spec)
    problems = admission.created({"metadata": {"name": "shop"}, "spec": spec}).problems
    assert [problem.field for problem in problems] == fields
    for problem in problems:
        assert problem.field in denial.value.safe_message
        duplicate = (
            "Duplicate value" in denial.value.safe_message
        )  # the API server's own words for a list-map
        assert duplicate or problem.message in denial.value.safe_message


MESSAGES = {
    ("migrations", "dir"): ("migrations", "must be an absolute path, for example /migrations"),
    ("migrations", "image"): ("a b", "must be an image reference, for example "),
    ("migrations", "baseline"): ("-1", "must be the version of a migration file, for example 2025"),
    ("database", "connection", "urlSecretRef", "name"): (
        "A",
        "must be the name of an object: lower-case letters",
    ),
    ("database", "connection", "urlSecretRef", "key"): (
        "a/b",
        "must be a key of a Secret or ConfigMap: letters",
    ),
    ("database", "aws", "region"): ("Frankfurt", "must be an AWS region, for example eu-central-1"),
    ("database", "aws", "host"): ("a:1", "must be a host name, for example "),
    ("checks", "pre", "minPodVersions", 0, "minVersion"): ("new", "must be a version, for example 1.2.3"),
}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: str(path[-1]))
async def test_a_pattern_is_told_with_an_example_by_crd_and_webhook_alike(
    admin: Client, namespace: str, path: tuple[str | int, ...]
) -> None:
    value, told = MESSAGES[path]
    spec = changed(FULL, path, value)
    with pytest.raises(Invalid) as denial:
        await submit(admin, namespace, spec)
    assert told in denial.value.safe_message
    assert "should match" not in denial.value.safe_message
    (problem,) = admission.created({"metadata": {"name": "shop"}, "spec": spec}).problems
    assert problem.message.startswith(told)


BY_URL = FULL["database"]
BY_PARTS = {
    "type": "selfHosted",
    "connection": {
        "host": "db",
        "port": 5432,
        "database": "shop",
        "schema": "tenant",
        "userSecretRef": {"name": "login", "key": "user"},
        "passwordSecretRef": {"name": "login", "key": "pass"},
        "sslMode": "verify-full",
        "caSecretRef": {"name": "authority", "key": "crt"},
    },
}
OTHER_VALUES = {"type": "awsRds", "port": 1, "dialect": "postgres", "optional": False, "sslMode": "verify-ca"}
OPTIONAL = {"aws", "port", "schema", "optional", "caSecretRef"}
FIELDS = [".".join(path) for path, _ in immutable.fields()]


@pytest.mark.parametrize("field", FIELDS)
async def test_each_field_of_the_database_is_immutable_by_its_own_name(
    admin: Client, namespace: str, field: str
) -> None:
    """Changed where it has a value, removed and added where it is a block or optional."""
    *parents, name = field.split(".")
    base = next(each for each in (BY_URL, BY_PARTS) if name in (at(each, parents) or {}))
    tried = 0
    for old, new in variations(base, parents, name):
        stored = await submit(admin, namespace, {**MINIMAL, "database": old}, dry=False)
        after = copy.deepcopy(stored)
        after["spec"]["database"] = new
        with pytest.raises(Invalid) as denial:
            await ResourceClient(admin, DBUPGRADES).replace(namespace, "shop", after)
        told = f"spec.database.{field} {immutable.message(f'spec.database.{field}')}"
        assert told in denial.value.safe_message
        assert told in admission.updated(stored, after).message.split("; ")
        await ResourceClient(admin, DBUPGRADES).delete(namespace, "shop", propagation="Background")
        tried += 1
    assert tried


def at(obj: Any, path: list[str]) -> Any:
    for name in path:
        obj = obj.get(name) if obj else None
    return obj


def variations(base: dict[str, Any], parents: list[str], name: str) -> list[tuple[Any, Any]]:
    """Databases before and after a change of one field; the API server accepts those before."""
    if name in OPTIONAL and parents != ["aws"]:
        without = copy.deepcopy(base)
        del at(without, parents)[name]
        return [(base, without), (without, base)]
    if name in {"userSecretRef", "passwordSecretRef"}:
        without = copy.deepcopy(base)
        del at(without, parents)[name]
        return [(base, without)]
    if name == "urlSecretRef":
        return [(BY_URL, BY_PARTS), (BY_PARTS, BY_URL)]
    if name == "connection":
        return [(BY_PARTS, {"type": "awsRds", "aws": BY_URL["aws"]})]
    other = copy.deepcopy(base)
    at(other, parents)[name] = OTHER_VALUES.get(name, "other")
    return [(base, other)]
