"""What the fetch script left behind, read without believing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec import Spec
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps.fetch import Fetch, Fetched, parse
from dbupgrade.pod.view import ContainerView

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("message", "fetched"),
    [
        ("", Fetched()),
        (f"digest={DIGEST}\nlast=20240102\n", Fetched(digest=DIGEST, last="20240102")),
        (f"digest={DIGEST}\nlast=1.sql\n", Fetched(digest=DIGEST, last="1")),
        ("digest=sha256:short\nlast=../etc\n", Fetched()),
        (f"digest={DIGEST}x\nlast={'9' * 129}\n", Fetched()),
        ("error=MissingFolder\n", Fetched(failure=Failure.MISSING_FOLDER)),
        ("error=Nonsense\n", Fetched()),
        (
            "error=FetchFailed\nsaid=no such host\n",
            Fetched(failure=Failure.FETCH, error="the registry's host name cannot be resolved"),
        ),
        ("error=FetchFailed\nsaid=hunter2\nof=hunter2\n", Fetched(failure=Failure.FETCH)),
        ("error=FetchFailed\nsaid=\nof=ATLAS_IMAGE\n", Fetched(failure=Failure.FETCH, of="ATLAS_IMAGE")),
        ("postgres://u:hunter2@h/db", Fetched()),
        ("last=a=b", Fetched()),
    ],
)
def test_a_termination_message(message: str, fetched: Fetched) -> None:
    assert parse(message) == fetched


@given(st.text())
def test_any_termination_message_can_be_read(message: str) -> None:
    assert parse(message).last == "" or parse(message).last in message


SPEC = Spec.model_validate(
    {
        "migrations": {"image": "registry.test/shop:9"},
        "database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "shop"}}},
    }
)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("said=NAME_UNKNOWN\nof=IMAGE", "registry.test/shop:9: the registry does not have this repository"),
        (
            "said=NAME_UNKNOWN\nof=ATLAS_IMAGE",
            "the image of the operator's setting atlasImage: the registry does not have this repository",
        ),
        ("said=\nof=IMAGE", "registry.test/shop:9"),
        ("said=\nof=", None),
    ],
)
def test_the_image_is_named_with_what_the_registry_said(message: str, error: str | None) -> None:
    view = ContainerView(message=f"error=FetchFailed\n{message}\n")
    assert Fetch().why(view, SPEC) == Report(failure=Failure.FETCH, error=error)
