"""The CRD: a structural schema, the columns users know, and the same rules as the models'."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import Field, ValidationError

from dbupgrade.api.crd import custom_resource_definition, structural
from dbupgrade.api.failure import Failure
from dbupgrade.api.record import to_json
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.base import Model
from tests.unit.decide.builders import a_resource, decide, failed, observe, succeeded

Schema = dict[str, Any]
CRD = custom_resource_definition()
(VERSION,) = CRD["spec"]["versions"]
ROOT: Schema = VERSION["schema"]["openAPIV3Schema"]
SPEC: Schema = ROOT["properties"]["spec"]
STATUS: Schema = ROOT["properties"]["status"]
FORBIDDEN = {
    "$ref", "$defs", "definitions", "title", "anyOf", "oneOf", "allOf", "const", "discriminator", "uniqueItems",
    "prefixItems", "examples", "nullable", "dependencies", "patternProperties",
}  # fmt: skip


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in `schema`, with the path to it."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


NODES = dict(nodes(ROOT))


def test_the_walk_reaches_every_depth() -> None:
    assert len(NODES) > 150
    assert ".spec.checks.pre.minPodVersions[].selector.matchExpressions[].values[]" in NODES


@pytest.mark.parametrize("path", NODES)
def test_every_node_is_structural(path: str) -> None:
    node = NODES[path]
    if node.get("x-kubernetes-int-or-string"):
        assert "type" not in node
    else:
        assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
    assert not FORBIDDEN & node.keys()
    assert not ({"properties", "additionalProperties"} <= node.keys())
    if node.get("type") == "array":
        assert "items" in node
    if node.get("type") == "object" and path != ".metadata":
        keys = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
        assert len(keys & node.keys()) == 1
    if "default" in node and path != ".status":
        assert isinstance(node["default"], str | int)
    assert set(node.get("required", ())) <= set(node.get("properties", ()))


FIELDS = [path for path in NODES if path not in {"", ".metadata"} and not path.endswith("[]")]


@pytest.mark.parametrize("path", FIELDS)
def test_kubectl_explain_has_words_for(path: str) -> None:
    node = NODES[path]
    described = node.get("description", "")
    assert described.endswith(".")
    assert described[0].isupper() or described[0] in "*<>"
    if "default" in node and path != ".status":
        default = node["default"]
        told = default if isinstance(default, str) and default else json.dumps(default)
        assert f"Defaults to {told}" in described
    for value in node.get("enum", ()):
        assert path.endswith(".failure") or str(value) in described
    assert not {"anew", "by itself"} & set(re.findall(r"by itself|\w+", described))


def test_the_names() -> None:
    assert CRD["metadata"]["name"] == "dbupgrades.dbupgrade.subbug.learning"
    assert CRD["spec"]["scope"] == "Namespaced"
    assert CRD["spec"]["names"] == {
        "kind": "DBUpgrade",
        "listKind": "DBUpgradeList",
        "plural": "dbupgrades",
        "singular": "dbupgrade",
        "shortNames": ["dbu"],
    }
    assert (VERSION["name"], VERSION["served"], VERSION["storage"]) == ("v1alpha1", True, True)
    assert VERSION["subresources"] == {"status": {}}


def test_the_columns() -> None:
    columns = [(c["name"], c["jsonPath"], c.get("priority", 0)) for c in VERSION["additionalPrinterColumns"]]
    assert columns == [
        ("Ready", '.status.conditions[?(@.type=="Ready")].status', 0),
        ("Progressing", '.status.conditions[?(@.type=="Progressing")].status', 0),
        ("Reason", '.status.conditions[?(@.type=="Progressing")].reason', 0),
        ("Failure", ".status.run.failure", 0),
        ("Suspended", ".spec.suspend", 0),
        ("Image", ".spec.migrations.image", 1),
        ("Version", ".status.currentVersion", 1),
        ("Job", ".status.run.jobName", 1),
        ("Message", '.status.conditions[?(@.type=="Progressing")].message', 1),
        ("Age", ".metadata.creationTimestamp", 0),
    ]


def test_a_resource_that_nobody_has_seen_is_not_done() -> None:
    assert STATUS["default"] == {"observedGeneration": -1}


def test_what_must_be_given() -> None:
    required = {path: sorted(node["required"]) for path, node in NODES.items() if "required" in node}
    assert required[""] == ["spec"]
    assert required[".spec"] == ["database", "migrations"]
    assert required[".spec.migrations"] == ["image"]
    assert required[".spec.database"] == ["type"]
    assert ".spec.database.connection" not in required
    for part in ("urlSecretRef", "userSecretRef", "passwordSecretRef"):
        assert required[f".spec.database.connection.{part}"] == ["name"]
    assert required[".spec.migrations.env[]"] == ["name"]
    assert required[".spec.database.aws"] == ["dbName", "host", "region", "roleArn", "username"]
    assert required[".spec.checks.pre.minPodVersions[]"] == ["minVersion", "selector"]
    assert required[".spec.checks.post.metrics[]"] == ["metricName", "name", "target", "threshold"]
    assert ".spec.runner" not in required
    assert ".status" not in required


def test_the_defaults() -> None:
    defaults = {
        path: node["default"] for path, node in NODES.items() if "default" in node and path != ".status"
    }
    metric = {"source": "Custom", "reduce": "Max", "bakeSeconds": 0, "intervalSeconds": 15}
    expected: dict[str, object] = {
        ".spec.migrations.dir": "/migrations",
        ".spec.migrations.delivery": "Extract",
        ".spec.migrations.engine": "Atlas",
        ".spec.migrations.execOrder": "Linear",
        ".spec.database.connection.urlSecretRef.key": "url",
        ".spec.database.connection.userSecretRef.key": "username",
        ".spec.database.connection.passwordSecretRef.key": "password",
        ".spec.database.connection.caSecretRef.key": "ca.crt",
        ".spec.database.aws.port": 5432,
        ".spec.database.aws.dialect": "postgres",
        ".spec.checks.pre.minPodVersions[].strictMode": True,
        ".spec.checks.pre.minPodVersions[].disallowDowngrade": False,
        ".spec.policy.lint": "off",
        ".spec.policy.approval": "Never",
        ".spec.policy.approvalAbove": "1Gi",
        ".spec.policy.errorDetail": "Masked",
        ".spec.runner.activeDeadlineSeconds": 600,
        ".spec.runner.ttlSecondsAfterFinished": 3600,
        ".spec.runner.waitForDatabaseSeconds": 0,
        ".spec.runner.backoffLimit": 0,
        ".spec.runner.runAsUser": 65532,
        ".spec.runner.runAsGroup": 65532,
        ".spec.suspend": False,
    }
    for phase in ("pre", "post"):
        expected |= {f".spec.checks.{phase}.metrics[].{key}": value for key, value in metric.items()}
    assert {path: value for path, value in defaults.items() if path.startswith(".spec")} == expected


def test_lists_that_are_merged_by_key() -> None:
    keys = {
        path: node["x-kubernetes-list-map-keys"]
        for path, node in NODES.items()
        if "x-kubernetes-list-map-keys" in node
    }
    assert keys == {
        ".spec.migrations.imagePullSecrets": ["name"],
        ".spec.migrations.env": ["name"],
        ".spec.runner.imagePullSecrets": ["name"],
        ".spec.checks.pre.metrics": ["name"],
        ".spec.checks.post.metrics": ["name"],
        ".status.conditions": ["type"],
        ".status.checks": ["phase", "kind", "name"],
    }
    for path, names in keys.items():
        assert NODES[path]["x-kubernetes-list-type"] == "map"
        items = NODES[f"{path}[]"]
        assert set(names) <= set(items["required"])


def test_an_affinity_is_not_looked_into_and_a_threshold_is_either() -> None:
    assert NODES[".spec.runner.affinity"]["x-kubernetes-preserve-unknown-fields"] is True
    threshold = NODES[".spec.checks.pre.metrics[].threshold.value"]
    assert threshold["x-kubernetes-int-or-string"] is True
    assert threshold["pattern"]


class Choice(Model):
    value: int | str


class Titled(Model):
    title: Annotated[str, Field(title="a heading")]


def test_a_choice_that_no_structural_schema_can_express_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot express"):
        structural(Choice)


def test_a_property_may_be_called_title() -> None:
    assert structural(Titled)["properties"] == {"title": {"type": "string"}}


# --- the same rules as the models' -------------------------------------------------------------------------------


def _pattern(_: object, pattern: str, instance: object, schema: Schema) -> Iterator[SchemaError]:
    """As the API server does it: Go's `$` is the end of the text, Python's may have a line end after it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield SchemaError(f"{instance!r} does not match")


def _rules(_: object, rules: list[Schema], instance: object, schema: Schema) -> Iterator[SchemaError]:
    """The rules that are patterns with a message; the others are tried on a real API server."""
    for rule in rules:
        if found := re.fullmatch(r'self\.matches\(r"(.*)"\)', rule["rule"]):
            yield from _pattern(_, found[1], instance, schema)


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern, "x-kubernetes-validations": _rules}
)


def taken_by_both(spec: Schema) -> bool:
    """Whether the API server and the operator take `spec`; they must agree."""
    by_schema = bool(_Validator(SPEC).is_valid(spec))
    try:
        Spec.model_validate(spec)
    except ValidationError:
        by_model = False
    else:
        by_model = True
    assert by_schema == by_model, "one of the two is more lenient"
    return by_schema


def a_spec(migrations: Schema | None = None, secret: Schema | None = None, **more: Any) -> Schema:
    connection = {"urlSecretRef": {"name": "orders-db", **(secret or {})}}
    return {
        "migrations": {"image": "registry.test/orders:1", **(migrations or {})},
        "database": {"type": "selfHosted", "connection": connection},
        **more,
    }


GOOD = [
    *(
        {"image": image}
        for image in ("a", "a:b", "localhost:5000/a/b_c.d-e:1.0", f"a@sha256:{'0' * 64}", "A/B", "a" * 512)
    ),
    *(
        {"dir": folder}
        for folder in ("/migrations", "/a/b/", "/.hidden", "/..a", "/a@b+c=d,e-f_g/1.2", "/-rf")
    ),
    *({"baseline": version} for version in ("1", "20240101000000", "v1.2_3-a")),
    {"imagePullSecrets": [{"name": "registry.eu"}]},
]
BAD = [
    *(
        {"image": image}
        for image in (
            "", "a b", "a\n", "\na", "a;b", "a'b", 'a"b', "a`b`", "a$(b)", "$a", "-a", "a&b", "a|b", "a>b", "é",
            "a\\b", "a" * 513, "../a",
        )
    ),
    *(
        {"dir": folder}
        for folder in (
            "", "/", "migrations", "./a", "/..", "/../a", "/a/..", "/a/../b", "/.", "/a/./b", "/a//b", "//a", "/a b",
            "/a\n", "/a;b", "/a'b", '/a"b', "/a`b`", "/$(a)", "/a$b", "/a*", "/a?", "/a[b]", "/a\\b", "/...", "/é",
            "/" + "a" * 512, "/a/b//", "~/a", "/a\x00",
        )
    ),
    *({"baseline": version} for version in ("", "-1", "--url", "1 2", "1\n", "$1", "1;", "a" * 129)),
    {"imagePullSecrets": [{"name": "UPPER"}]},
    {"imagePullSecrets": [{"name": "a/b"}]},
    {"imagePullSecrets": [{}]},
    {"delivery": "Copy"},
]  # fmt: skip


@pytest.mark.parametrize("migrations", GOOD, ids=repr)
def test_both_take_legal_migrations(migrations: Schema) -> None:
    assert taken_by_both(a_spec(migrations))


@pytest.mark.parametrize("migrations", BAD, ids=lambda value: repr(value)[:60])
def test_both_refuse_migrations_that_could_be_more_than_data(migrations: Schema) -> None:
    assert not taken_by_both(a_spec(migrations))


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        (a_spec(secret={"key": "url.prod_1-a"}), True),
        (a_spec(secret={"key": ""}), False),
        (a_spec(secret={"key": "a/b"}), False),
        (a_spec(secret={"key": "a\n"}), False),
        (a_spec(secret={"name": ""}), False),
        (a_spec(secret={"name": "a" * 254}), False),
        (a_spec(secret={"optional": True}), True),
        (a_spec(runner={"activeDeadlineSeconds": 0}), False),
        (a_spec(runner={"activeDeadlineSeconds": 1}), True),
        (a_spec(runner={"ttlSecondsAfterFinished": -1}), False),
        (a_spec(runner={"ttlSecondsAfterFinished": 0}), True),
        (a_spec(database={"type": "oracle"}), False),
        (a_spec(runner={"runAsUser": 0}), False),
        (a_spec(runner={"runAsGroup": 0, "backoffLimit": 10}), True),
        (a_spec(runner={"backoffLimit": 11}), False),
        (a_spec({"engine": "Flyway"}), False),
        (a_spec({"env": [{"name": "1A"}]}), False),
        (a_spec({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}}]}), False),
        (a_spec(database={}), False),
        ({"database": {"type": "selfHosted"}}, False),
        ({}, False),
    ],
)
def test_both_agree_on_the_rest(spec: Schema, taken: bool) -> None:
    assert taken_by_both(spec) is taken


text = st.one_of(
    st.text(max_size=8), st.text("aA1._:/@+=,-", max_size=12), st.text("aA1._:/@$`'\";\n ()\\", max_size=10)
)


@given(image=text, folder=text.map(lambda value: f"/{value}"), baseline=text, name=text, key=text)
@example(image="a", folder="/a/.", baseline="1", name="a", key="a")
def test_both_agree_on_any_text(image: str, folder: str, baseline: str, name: str, key: str) -> None:
    taken_by_both(a_spec({"image": image}))
    taken_by_both(a_spec({"dir": folder}))
    taken_by_both(a_spec({"baseline": baseline}))
    taken_by_both(a_spec(secret={"name": name}))
    taken_by_both(a_spec(secret={"key": key}))


@given(folder=st.text("aA1._@+=,-/\n$", max_size=12).map(lambda value: f"/{value}"))
def test_a_folder_that_is_taken_names_itself_and_nothing_above(folder: str) -> None:
    if taken_by_both(a_spec({"dir": folder})):
        assert not {"", ".", ".."} & set(folder.strip("/").split("/"))
        assert re.fullmatch(r"[A-Za-z0-9._@+=,/-]+", folder)


@pytest.mark.parametrize("value", ["0", "250m", "0.05", "5", 5, "1Ki", "-3", "+1.5", ".5", "1e3", "12E-2"])
def test_a_threshold_is_a_quantity(value: int | str) -> None:
    schema = NODES[".spec.checks.pre.metrics[].threshold.value"]
    assert not isinstance(value, str) or re.search(schema["pattern"], value)


@pytest.mark.parametrize("value", ["", "abc", "5 ms", "1KiB", "--1", "1.2.3", "0x10", "NaN"])
def test_a_threshold_that_is_no_quantity_is_refused_by_the_schema(value: str) -> None:
    assert not re.search(NODES[".spec.checks.pre.metrics[].threshold.value"]["pattern"], value)


def test_what_the_operator_writes_as_status_fits_the_schema() -> None:
    for run in (None, succeeded(), failed(Failure.SQL, failed_file="a", failed_statement="b", error="c")):
        body = to_json(decide(observe(a_resource(run=run))).status)
        assert list(_Validator(STATUS).iter_errors(body)) == []
