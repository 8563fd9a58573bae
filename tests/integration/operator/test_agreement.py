"""CRD, models and webhook agree on each resource: generated from the CRD's schema, right and wrong, and asked of all three."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbupgrade.decide import admission
from dbupgrade.kube.client import Client
from tests.integration.harness.crd import CRD_FILE
from tests.integration.harness.guard import resource
from tests.integration.harness.namespaces import DBUPGRADES, create_namespace

if TYPE_CHECKING:
    import ssl

    from hypothesis.strategies import SearchStrategy

    from dbupgrade.decide.admission import Verdict
    from tests.integration.harness.apiserver import ApiServer

Object = dict[str, Any]

EXAMPLES = 150
SPEC = yaml.safe_load(CRD_FILE.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]
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
    right = st.sampled_from(fits) if fits else st.from_regex(schema["pattern"], fullmatch=True)
    return st.one_of(right, right, st.sampled_from(WRONG)) if wild else right


def _fits(schema: Object, word: str) -> bool:
    sized = schema.get("minLength", 0) <= len(word) <= schema.get("maxLength", 10**6)
    return sized and re.search(schema.get("pattern", ""), word) is not None


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


@pytest.fixture(scope="module")
def place(api: ApiServer) -> tuple[str, ssl.SSLContext]:
    """Where to create, and how to connect."""

    async def prepare() -> str:
        async with await Client.connect(str(api.kubeconfig)) as admin:
            return await create_namespace(admin)

    namespace = asyncio.run(prepare())
    return f"{api.url}{DBUPGRADES.collection(namespace)}?dryRun=All", api.client_context()


def asked_of_crd(place: tuple[str, ssl.SSLContext], body: Object) -> tuple[Object | None, str]:
    """The resource as the API server would store it, or why it would not."""
    url, context = place
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own URL
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:  # noqa: S310
            stored: Object = json.load(answer)
            return stored, ""
    except urllib.error.HTTPError as error:
        if error.code not in {400, 422}:
            raise
        return None, error.read().decode()


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(spec=specs())
def test_crd_models_and_webhook_agree_on(place: tuple[str, ssl.SSLContext], spec: Object) -> None:
    body = resource("generated", spec)
    stored, refusal = asked_of_crd(place, body)
    verdict: Verdict = admission.created(stored or body)
    if stored is not None:
        assert verdict.allowed, (verdict.message, spec)
        return
    assert not verdict.allowed, (refusal, spec)
