"""The CustomResourceDefinition, generated from the models so that both cannot drift apart.

Pydantic's JSON schema is turned into a structural schema as the API server wants it: no references, no `anyOf`
with null, no titles (apiextensions.k8s.io/v1, "Specifying a structural schema").
"""

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import TupleSchema, WithDefaultSchema

from dbupgrade.api import lock, names
from dbupgrade.api.record import Record
from dbupgrade.api.spec import Spec, immutable
from dbupgrade.api.spec.base import Model
from dbupgrade.api.status import Status

Schema = dict[str, Any]

_DROPPED = ("title", "discriminator", "uniqueItems")
_OBSERVED_GENERATION_UNSEEN = -1


class _ModelSchema(GenerateJsonSchema):
    """Tuples as plain arrays; defaults only where they are values that a user would write."""

    def tuple_schema(self, schema: TupleSchema) -> JsonSchemaValue:
        """An array of the tuple's one item type, as long as it may be."""
        array: JsonSchemaValue = {"type": "array", "items": self.generate_inner(schema["items_schema"][0])}
        if "max_length" in schema:
            array["maxItems"] = schema["max_length"]
        return array

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        """Empty containers, null and nested objects get no default: absent stays absent."""
        inner = super().default_schema(schema)
        if not isinstance(inner.get("default"), str | int):
            inner.pop("default", None)
        return inner


def structural(model: type[Model | Record]) -> Schema:
    """The structural schema of `model`."""
    schema = TypeAdapter(model).json_schema(by_alias=True, schema_generator=_ModelSchema)
    definitions = schema.pop("$defs", {})
    result = _resolve(schema, definitions)
    if not isinstance(result, dict):
        raise TypeError(f"the schema of {model.__name__} is not an object")
    return result


def _resolve(node: Any, definitions: Schema) -> Any:
    """`node` without references, nulls and titles, all the way down."""
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    if "anyOf" in node:
        node = _without_any_of(node)
        return _resolve(node, definitions)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        node = {key: value for key, value in node.items() if key != "additionalProperties"}
    return {
        key: _properties(value, definitions) if key == "properties" else _resolve(value, definitions)
        for key, value in node.items()
        if key not in _DROPPED
    }


def _properties(properties: Schema, definitions: Schema) -> Schema:
    """Each property resolved; a property may be called `title`."""
    return {name: _resolve(schema, definitions) for name, schema in properties.items()}


def _without_any_of(node: Schema) -> Schema:
    """An optional field as its other type; an integer or string as Kubernetes writes it."""
    options = [option for option in node["anyOf"] if option.get("type") != "null"]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if node.get("x-kubernetes-int-or-string"):
        return rest  # the API server adds the two types itself
    if len(options) != 1:
        raise ValueError(f"a structural schema cannot express this choice: {options}")
    return {**options[0], **rest}


def _columns() -> list[Schema]:
    def condition(kind: str, field: str) -> str:
        return f'.status.conditions[?(@.type=="{kind}")].{field}'

    return [
        {"name": "Ready", "type": "string", "jsonPath": condition("Ready", "status")},
        {"name": "Progressing", "type": "string", "jsonPath": condition("Progressing", "status")},
        {"name": "Reason", "type": "string", "jsonPath": condition("Progressing", "reason")},
        {"name": "Failure", "type": "string", "jsonPath": ".status.run.failure"},
        {"name": "Suspended", "type": "boolean", "jsonPath": ".spec.suspend"},
        {"name": "Image", "type": "string", "jsonPath": ".spec.migrations.image", "priority": 1},
        {"name": "Version", "type": "string", "jsonPath": ".status.currentVersion", "priority": 1},
        {"name": "Job", "type": "string", "jsonPath": ".status.run.jobName", "priority": 1},
        {"name": "Message", "type": "string", "jsonPath": condition("Progressing", "message"), "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _lock_rule() -> Schema:
    """Spec is frozen while a run is active; the API server compares with the stored object, so there is no gap."""
    frozen = [Spec.model_fields[name].alias for name in Spec.model_fields if name not in lock.UNLOCKED_FIELDS]
    unchanged = " && ".join(lock.unchanged(str(name)) for name in frozen)
    return {
        "rule": f"({unchanged}) || !{lock.active('oldSelf')}",
        "messageExpression": lock.message(lock.SPEC_LOCKED, "oldSelf"),
        "message": lock.SPEC_LOCKED.format(job=lock.UNKNOWN_JOB, name="NAME"),
        "reason": lock.CAUSE,
        "fieldPath": ".spec",
    }


def _spec_schema() -> Schema:
    schema = structural(Spec)
    immutable.add_rules(schema["properties"]["database"])
    return {
        **schema,
        "description": "Desired state: which migrations are applied to which database, and when.",
    }


def _version_schema() -> Schema:
    return {
        "type": "object",
        "description": "A DBUpgrade applies the migrations in a container image to a database, whenever the image changes.",
        "required": ["spec"],
        "x-kubernetes-validations": [_lock_rule()],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"Version of the schema of this object: {names.API_VERSION}.",
            },
            "kind": {"type": "string", "description": f"Kind of this object: {names.KIND}."},
            "metadata": {"type": "object"},  # the API server describes it, and allows no description here
            "spec": _spec_schema(),
            "status": {
                **structural(Status),
                "description": "Observed state, written by the operator only.",
                "default": {"observedGeneration": _OBSERVED_GENERATION_UNSEEN},
            },
        },
    }


def custom_resource_definition() -> Schema:
    """The whole CRD as a JSON object."""
    version = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(),
        "schema": {"openAPIV3Schema": _version_schema()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
            },
            "versions": [version],
        },
    }
