"""What the fetch script left behind, read without believing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.failure import Failure
from dbupgrade.pod.steps.fetch import Fetched, parse

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
        ("error=FetchFailed\nsaid=hunter2\n", Fetched(failure=Failure.FETCH)),
        ("postgres://u:hunter2@h/db", Fetched()),
        ("last=a=b", Fetched()),
    ],
)
def test_a_termination_message(message: str, fetched: Fetched) -> None:
    assert parse(message) == fetched


@given(st.text())
def test_any_termination_message_can_be_read(message: str) -> None:
    assert parse(message).last == "" or parse(message).last in message
