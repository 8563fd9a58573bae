"""Specs generated from the CRD's schema, right and wrong, for tests that compare who takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from dbupgrade.api.crd import custom_resource_definition

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Object = dict[str, Any]

(_VERSION,) = custom_resource_definition()["spec"]["versions"]
SPEC: Object = _VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]
WORDS = (
    "a",
    "web",
    "registry.example/app:1.0.0",
    "/migrations",
    "1",
    "2.0.0-rc.1",
    "v1.2",
    "250m",
    "1Ki",
    "latest",
)
WRONG = ("", "A B", "..", "/", "/a/../b", "$(X)", "-", "1.2.3 ", "5 apples", "é", "x" * 600)


def of_schema(schema: Object, *, wild: bool) -> SearchStrategy[Any]:
    """Values of a structural schema; with `wild` some of them are wrong in some place."""
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], *(["Wrong"] if wild else [])])
    if schema.get("x-kubernetes-int-or-string"):
        right = st.one_of(
            st.integers(-10, 10), st.sampled_from(["0", "250m", "0.05", "1e3", "1Ki", "-5", ".5"])
        )
        return st.one_of(right, st.sampled_from([*WRONG, "1e", "1kk", True, 1.5])) if wild else right
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.just({"any": [1]})
    made = _BY_TYPE[schema["type"]](schema, wild=wild)
    return st.one_of(made, made, made, st.sampled_from([1, "1", True, [], {}])) if wild else made


def _string(schema: Object, *, wild: bool) -> SearchStrategy[Any]:
    fits = [word for word in WORDS if _fits(schema, word)]
    right = st.sampled_from(fits) if fits else st.from_regex(pattern(schema), fullmatch=True)
    return st.one_of(right, right, st.sampled_from(WRONG)) if wild else right


def _fits(schema: Object, word: str) -> bool:
    sized = schema.get("minLength", 0) <= len(word) <= schema.get("maxLength", 10**6)
    return sized and re.search(pattern(schema), word) is not None


def pattern(schema: Object) -> str:
    """The pattern of a text, which stands in a rule where it has a message."""
    rules = schema.get("x-kubernetes-validations", ())
    found = (re.fullmatch(r'self\.matches\(r"(.*)"\)', rule["rule"]) for rule in rules)
    return next((match[1] for match in found if match), str(schema.get("pattern", "")))


def _integer(schema: Object, *, wild: bool) -> SearchStrategy[Any]:
    low, high = schema.get("minimum", 0), schema.get("maximum", 10**6)
    right = st.integers(low, high)
    return st.one_of(right, right, st.integers(low - 2, high + 2)) if wild else right


def _boolean(_: Object, *, wild: bool) -> SearchStrategy[Any]:
    del wild
    return st.booleans()


def _array(schema: Object, *, wild: bool) -> SearchStrategy[Any]:
    return st.lists(of_schema(schema["items"], wild=wild), max_size=2)


def _object(schema: Object, *, wild: bool) -> SearchStrategy[Any]:
    if "properties" not in schema:
        keys = st.sampled_from(["app", "example.com/tier"])
        return st.dictionaries(keys, of_schema(schema["additionalProperties"], wild=wild), max_size=2)
    fields = {name: of_schema(child, wild=wild) for name, child in schema["properties"].items()}
    required = set() if wild else set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: child for name, child in fields.items() if name not in required},
    )


_BY_TYPE = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
}


@st.composite
def specs(draw: st.DrawFn) -> Object:
    """A spec that is right but for what the rules across fields say, then perhaps wrong in one of its parts."""
    spec: Object = draw(of_schema(SPEC, wild=False))
    part = draw(st.sampled_from(["", "", *SPEC["properties"]]))
    if part:
        spec[part] = draw(of_schema(SPEC["properties"][part], wild=True))
    return spec
