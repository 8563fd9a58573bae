"""What the models of the resource have in common."""

from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_TEXT = 4096
_INTEGER_OR_STRING = {"x-kubernetes-int-or-string": True}
_QUANTITY = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"

Quantity = Annotated[int | str, Field(json_schema_extra={"pattern": _QUANTITY, **_INTEGER_OR_STRING})]
"""A Kubernetes quantity (`250m`, `1Ki`, `0.05`) or a bare integer."""

SecretName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key below `data` of a Secret or ConfigMap."""


class Model(BaseModel):
    """Base of all models: camelCase outside, frozen, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Rule(NamedTuple):
    """A rule that the API server checks itself, in CEL on `self` and, for a change, `oldSelf`."""

    rule: str
    message: str
    field: str = ""
    """Path below `self` of what is missing or wrong, if it is not `self`."""

    @property
    def schema(self) -> dict[str, Any]:
        """The rule as the API server reads it."""
        where = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.rule, "message": self.message, **where}


def rules(*each: Rule) -> ConfigDict:
    """Model configuration that puts rules into the schema (x-kubernetes-validations)."""
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [rule.schema for rule in each]})


def quoted(words: tuple[str, ...]) -> str:
    """Words as the items of a list in CEL."""
    return ", ".join(f'"{word}"' for word in words)


def list_map(*keys: str) -> dict[str, Any]:
    """Schema additions of a list that server-side apply merges by `keys`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class LocalReference(Model):
    """Name of an object in the resource's own namespace."""

    name: SecretName
