"""What the models of the resource have in common: how they are written, and how a rule about them is stated."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_TEXT = 4096
MAX_PULL_SECRETS = 64  # the API server bounds what the rules on a list may cost
VALIDATIONS = "x-kubernetes-validations"

M = TypeVar("M")


@dataclass(frozen=True)
class Rule(Generic[M]):
    """A rule across the fields of a model, stated once for the API server, the webhook and the operator."""

    path: str
    """The field that is wrong, below the model (`policy.lint`); empty for the model itself."""
    message: str
    """What the field must be, as the rest of a sentence that begins with its path."""
    cel: str | None
    """The rule in CEL on `self`; None where CEL cannot express it, so that only the webhook and the operator know it."""
    holds: Callable[[M], bool]

    @property
    def schema(self) -> dict[str, Any]:
        """The rule as the API server reads it."""
        where = {"fieldPath": f".{self.path}"} if self.path else {}
        return {"rule": self.cel, "message": self.message, **where}


class Model(BaseModel):
    """Base of all models: camelCase outside, frozen, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    RULES: ClassVar[tuple[Rule[Any], ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if rules := [rule.schema for rule in cls.RULES if rule.cel]:
            handler.resolve_ref_schema(schema)[VALIDATIONS] = rules
        return schema


def models_in(annotation: Any) -> Iterator[type[Model]]:
    """The models in an annotation such as `Aws | None` or `tuple[Variable, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


@dataclass(frozen=True)
class Pattern:
    """What a text must look like. Users read the message, which has an example, and not the expression.

    In lists of lists the API server refuses the rule for its cost; there, `cel` is False and the schema has the bare
    pattern.
    """

    expression: str
    message: str
    cel: bool = True
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.expression))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if self.cel:
            schema[VALIDATIONS] = [{"rule": f'self.matches(r"{self.anchored}")', "message": self.message}]
        else:
            schema["pattern"] = self.anchored
        return schema

    @property
    def anchored(self) -> str:
        """The expression for the whole text."""
        return f"^{self.expression}$"

    def matches(self, text: str) -> bool:
        """Whether the whole text is as it must be."""
        return self._compiled.fullmatch(text) is not None

    def checked(self, text: str) -> str:
        """The text. Raises the error that tells pydantic the message."""
        if not self.matches(text):
            raise PydanticCustomError("pattern", "{message}", {"message": self.message})
        return text


QUANTITY = Pattern(
    r"(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?",
    "must be a quantity, for example 5, 0.05, 250m or 1Gi",
)


_MAX_QUANTITY = 256


class _QuantityType:
    """A string or an integer; any problem is reported in one message."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        checked = core_schema.no_info_after_validator_function(self.checked, handler(source))
        return core_schema.custom_error_schema(
            checked, custom_error_type="quantity", custom_error_message=QUANTITY.message
        )

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"pattern": QUANTITY.anchored, "maxLength": _MAX_QUANTITY, "x-kubernetes-int-or-string": True}

    def checked(self, value: int | str) -> int | str:
        if isinstance(value, str):
            QUANTITY.checked(value[: _MAX_QUANTITY + 1])
            if len(value) > _MAX_QUANTITY:
                raise PydanticCustomError("quantity", "{message}", {"message": QUANTITY.message})
        return value


Quantity = Annotated[int | str, _QuantityType()]
"""A Kubernetes quantity (`250m`, `1Ki`, `0.05`) or a bare integer."""

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "must be the name of an object: lower-case letters, digits, '-' and '.', for example shop-database",
    ),
]
DataKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        r"[-._a-zA-Z0-9]+",
        "must be a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.', for example url",
    ),
]


def quoted(words: tuple[str, ...]) -> str:
    """Words as the items of a list in CEL."""
    return ", ".join(f'"{word}"' for word in words)


def list_map(*keys: str) -> dict[str, Any]:
    """Schema additions of a list that server-side apply merges by `keys`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


class LocalReference(Model):
    """A Secret in the namespace of the DBUpgrade."""

    name: ObjectName = Field(description="Name of the Secret.")
